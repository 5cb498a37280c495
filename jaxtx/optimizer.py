"""AdamW's constants, as the compiled step takes them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from coretx.models.spec import Optimizer


class Adam(NamedTuple):
    """AdamW's constants, with what follows from the betas worked out in float64.

    In float32 1 - b2 would be 1.3e-5 off, and 1 - b2^t in the first steps too, as it is in optax.scale_by_adam.
    """

    b1: Float[Array, ""]
    b2: Float[Array, ""]
    eps: Float[Array, ""]
    rest1: Float[Array, ""]
    """1 - b1."""
    rest2: Float[Array, ""]
    log_b1: Float[Array, ""]
    log_b2: Float[Array, ""]


def adam_constants(optimizer: Optimizer) -> tuple[float, ...]:
    """Return what Adam holds, in its order, in float64."""
    b1, b2 = optimizer.b1, optimizer.b2
    with np.errstate(divide="ignore"):  # the logarithm of a beta of 0 is -inf, and its correction 1
        return b1, b2, optimizer.eps, 1 - b1, 1 - b2, float(np.log(b1)), float(np.log(b2))
