"""The JAX engine with a rougher tanh, for copies of a training that shall show what rounding alone can do.

The slope of tanh is 1 - tanh^2. Where a unit is saturated that is a small difference of large numbers, and the last
bits of tanh decide it; no change of the unit's input by one unit in the last place does the same.
"""

import copy
from functools import cache
from typing import Any
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from coretx.training.backend import Backend
from jaxtx import kernels
from parity_tests.bounds import TANH_ULPS


@jax.custom_jvp
def rough_tanh(x: jax.Array) -> jax.Array:
    """Return tanh(x), wrong by up to TANH_ULPS units in the last place, by how many as a hash of x says."""
    y, kind = lax.tanh(x), jnp.finfo(x.dtype)
    whole = jnp.dtype(f"uint{kind.bits}").type
    hashed = lax.bitcast_convert_type(x, whole) * whole(2654435761) >> whole(kind.bits // 2)
    error = 2 * (hashed % whole(1 << 12)).astype(x.dtype) / (1 << 12) - 1
    one = (jnp.abs(y) == 1) & (jnp.abs(x) > np.log(4 / kind.epsneg) / 2)  # that near to 1 no engine is wrong
    error = jnp.where(one, 0, error)
    return jnp.clip(y * (1 + TANH_ULPS * kind.epsneg * error), -1, 1)


@rough_tanh.defjvp
def slope(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Return tanh and its change, from the same wrong value, as engines do."""
    y = rough_tanh(*primals)
    return y, (1 - y * y) * tangents[0]


@cache
def rough(model_class: type) -> type:
    """Return the model with tanh rougher wherever its forward pass calls it: XLA's, or the engine's own."""

    def forward(self: Any, *args: Any) -> Any:
        with patch.object(jnp, "tanh", rough_tanh), patch.object(kernels, "tanh", rough_tanh):
            return model_class.__call__(self, *args)

    return type(f"Rough{model_class.__name__}", (model_class,), {"__call__": forward})


def roughened(backend: Backend) -> Backend:
    """Return the JAX engine with all its models rougher."""
    twin = copy.copy(backend)
    twin._models = {kind: rough(model_class) for kind, model_class in backend._models.items()}  # type: ignore[attr-defined]
    return twin
