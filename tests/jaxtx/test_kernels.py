"""Gradients written by hand are those of the plain formulas, alone and over members."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

from jaxtx import kernels
from jaxtx.programs import loss_and_correct


def plain_linear(x, kernel, bias):
    return x @ kernel + bias


def plain_layer_norm(x, scale, bias):
    deviation = jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return (x - x.mean(-1, keepdims=True)) / deviation * scale + bias


def plain_gelu(x):
    return jax.nn.gelu(x, approximate=False)


def plain_mix(logits, value):
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(logits, axis=-1), value)


CASES = {
    "attention": (kernels.mix, plain_mix, ((7, 2, 3, 5), (7, 5, 2, 4))),
    "attention of one step": (kernels.mix, plain_mix, ((2, 1, 1, 1), (2, 1, 1, 3))),
    "linear, wider": (kernels.linear, plain_linear, ((7, 3, 4), (4, 6), (6,))),
    "linear, narrower": (kernels.linear, plain_linear, ((7, 3, 6), (6, 4), (4,))),
    "linear, rows alone": (kernels.linear, plain_linear, ((7, 4), (4, 4), (4,))),
    "layer norm": (kernels.layer_norm, plain_layer_norm, ((7, 3, 5), (5,), (5,))),
    "tanh": (kernels.tanh, jnp.tanh, ((7, 3, 5),)),
    "gelu": (kernels.gelu, plain_gelu, ((7, 3, 5),)),
}


def value_and_gradients(function, arrays):
    """Return a function's value and its gradients by all arguments, each entry of the value weighed differently."""

    def weighed(*arguments):
        value = function(*arguments)
        return (value * jnp.cos(jnp.arange(value.size, dtype=value.dtype)).reshape(value.shape)).sum(), value

    slopes, value = jax.grad(weighed, argnums=tuple(range(len(arrays))), has_aux=True)(*arrays)
    return value, *slopes


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradients_are_those_of_the_formula(name, stacked):
    ours, plain, shapes = CASES[name]
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        arrays = [jnp.asarray(rng.normal(1, 2, (2, *shape) if stacked else shape)) for shape in shapes]
        found, wanted = (
            (
                jax.vmap(lambda *a, f=f: value_and_gradients(f, a))
                if stacked
                else lambda *a, f=f: value_and_gradients(f, a)
            )(*arrays)
            for f in (ours, plain)
        )
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def loss(logit, label):
    """Return what one row adds to the loss that is trained."""
    return loss_and_correct(logit[None], label[None], jnp.ones_like(logit)[None])["loss_sum"]


def normal_slope(x):
    """Return the slope of GELU: P(X <= x) + x times the density at x."""
    return ndtr(x.astype(np.float64)) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


SLOPES = {
    "tanh": (kernels.tanh, lambda x: np.cosh(x) ** -2.0, 2),
    "gelu": (kernels.gelu, normal_slope, 2),
    "loss of class 0": (lambda z: loss(z, 0 * z), lambda z: 1 / (1 + np.exp(-z)), 0),
    "loss of class 1": (lambda z: loss(z, 0 * z + 1), lambda z: -1 / (1 + np.exp(z)), 0),
}
"""Function, exact slope, and by how many epsilons it may be wrong besides 5 (float64: 10) of itself.

The slope of tanh is a difference of numbers near 1 and keeps their error, half an epsilon a unit in the last place:
1 - tanh^2 twice that of tanh, which is measured to be 2.5 units wrong. Measured 1.5 epsilons. In the slope of the loss
nothing cancels: it is right as a share of itself however small it is, measured 4.4 epsilons in float32.
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SLOPES)
def test_slope_is_right_to_rounding_far_from_0_too(name, dtype):
    function, exact, absolute = SLOPES[name]
    x = np.linspace(-20, 20, 20_001).astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        found = np.asarray(jax.jit(jax.vmap(jax.grad(function)))(x))
    assert found.dtype == dtype
    wanted, eps = exact(x.astype(np.longdouble)), np.finfo(dtype).eps
    share = 5 if dtype == "float32" else 10
    error = np.abs(found - wanted) / (eps * (absolute + share * np.abs(wanted)))
    assert error.max() <= 1, f"at {x[error.argmax()]}: {found[error.argmax()]} for {wanted[error.argmax()]}"


def layer_norm_in_numpy(x, scale, bias, slope):
    """Return the value and its gradients by x, scale and bias, in NumPy's longest floats."""
    x, scale, bias, slope = (each.astype(np.longdouble) for each in (x, scale, bias, slope))
    centred = x - x.mean(-1, keepdims=True)
    inverse = 1 / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    normed, scaled = centred * inverse, slope * scale
    by_x = inverse * (scaled - scaled.mean(-1, keepdims=True) - normed * (scaled * normed).mean(-1, keepdims=True))
    return normed * scale + bias, by_x, (slope * normed).sum((0, 1)), slope.sum((0, 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layer_norm_of_rows_far_from_0_is_right_to_rounding(dtype):
    """Rounding costs what it does in x - mean, as a share of the deviation; a variance of squares costs its square."""

    @jax.jit
    def value_and_slopes(slope, *arguments):
        value, back = jax.vjp(kernels.layer_norm, *arguments)
        return value, *back(slope)

    rng = np.random.default_rng(0)
    for mean, deviation in itertools.product((0, 30, 1000), (1e-3, 1, 30)):
        rows, slope = rng.standard_normal((2, 7, 3, 32))
        given = [each.astype(dtype) for each in (mean + deviation * rows, *rng.normal(1, 1, (2, 32)), slope)]
        with jax.enable_x64(dtype == "float64"):
            found = value_and_slopes(given[-1], *given[:-1])
        bound = 3 * (1 + (mean + deviation) / np.hypot(deviation, 1e-5**0.5)) * np.finfo(dtype).eps
        for one, other in zip(found, layer_norm_in_numpy(*given), strict=True):
            assert np.abs(np.asarray(one) - other).max() <= bound * np.abs(other).max(), (mean, deviation)


def test_layer_norm_of_equal_numbers_is_the_bias():
    found = kernels.layer_norm(jnp.full((2, 3), 7.0), jnp.full(3, 2.0), jnp.arange(3.0))
    np.testing.assert_array_equal(found, [[0, 1, 2], [0, 1, 2]])


def test_attention_to_scores_that_exponents_would_not_hold_is_finite():
    logits, value = jnp.array([[[[1e4, -1e4, 1e4]]]]), jnp.arange(6.0).reshape(1, 3, 1, 2)
    found, wanted = (value_and_gradients(f, (logits, value)) for f in (kernels.mix, plain_mix))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize(("dtype", "units"), [("float32", 3), ("float64", 3.5)])
def test_tanh_is_right_to_a_few_units_in_the_last_place(dtype, units):
    """Between the continued fraction, the exponents and where the two meet; and its slope is that of its own value."""
    near = np.concatenate([np.logspace(-30, -1, 10_000), np.linspace(0.2499, 0.2501, 10_001)])
    x = np.concatenate([np.linspace(-10, 10, 200_001), near, -near]).astype(dtype)
    exact = np.tanh(x.astype(np.longdouble))
    with jax.enable_x64(dtype == "float64"):
        found, slopes = map(np.asarray, jax.jit(jax.vmap(jax.value_and_grad(kernels.tanh)))(x))
    assert found.dtype == dtype
    assert (np.abs(found - exact) <= units * np.spacing(np.abs(exact).astype(dtype))).all()
    np.testing.assert_allclose(slopes, (1 - exact**2).astype(dtype), atol=4 * np.finfo(dtype).eps)


def test_tanh_of_what_is_no_ordinary_number():
    found = jax.jit(kernels.tanh)(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 200, -200], np.float32))
    np.testing.assert_array_equal(found, np.array([0.0, -0.0, 1, -1, np.nan, 1, -1], np.float32))
    np.testing.assert_array_equal(np.signbit(found), [False, True, False, True, False, False, True])
