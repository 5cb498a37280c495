"""The envelope's roughness is that of the engines: tanh, in units in the last place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxtx import kernels
from parity_tests.bounds import TANH_ULPS
from parity_tests.rounding import rough_tanh

WIDER = {"float32": np.float64, "float64": np.longdouble}


def ulps(found, exact, dtype):
    """Return the largest distance in units in the last place of the exact number (of the one below 1 where it is 1)."""
    unit = np.spacing(np.minimum(np.abs(exact), 1 - np.finfo(dtype).epsneg).astype(dtype))
    return float((np.abs(np.asarray(found).astype(exact.dtype) - exact) / unit).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tanh_of_the_copies_is_as_rough_as_that_of_xla(dtype):
    """XLA's is several units off and torch's is not: copies are moved by as much as that, and not by more."""
    if np.finfo(WIDER[dtype]).eps >= np.finfo(dtype).eps:
        pytest.skip("no wider floats here")
    x = np.random.default_rng(0).uniform(0, 10, 1_000_000).astype(dtype)
    exact = np.tanh(x.astype(WIDER[dtype]))
    assert ulps(torch.tanh(torch.from_numpy(x)), exact, dtype) < 1
    with jax.enable_x64(dtype == "float64"):
        functions = (jnp.tanh, rough_tanh, kernels.tanh)
        smooth, rough, own = (np.asarray(jax.jit(function)(x)) for function in functions)
    assert smooth.dtype == rough.dtype == dtype
    assert 0.75 * TANH_ULPS < ulps(smooth, exact, dtype) < TANH_ULPS
    assert 0.75 * TANH_ULPS < ulps(rough, smooth, dtype) < TANH_ULPS + 1
    assert 1 < ulps(own, exact, dtype) < {"float32": 3, "float64": 3.5}[dtype]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tanh_of_the_copies_is_1_where_that_is_the_nearest_number(dtype):
    with jax.enable_x64(dtype == "float64"):
        assert (rough_tanh(jnp.linspace(21, 1000, 1000, dtype=dtype)) == 1).all()
