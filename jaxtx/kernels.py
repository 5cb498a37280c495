"""The functions of the rungs with gradients written by hand: XLA's CPU compiler makes slow loops of its own.

Each is <name>_forward and <name>_backward, the same code in float32 and float64. A sum over rows or over a short last
axis is what costs: of 768 rows of 32 numbers it takes 50 to 200 us, and a product with ones 5. Most sums here are such
products. dev/LOG.md has what each of them brought.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

EPSILON = 1e-5
"""Added to the variance by torch's LayerNorm; Flax would take 1e-6."""
NEAR_ZERO = 0.25**2
"""Squares below which tanh is its continued fraction."""


def row_sums(x: Float[Array, "*row width"]) -> Float[Array, "*row 1"]:
    """Return the sum over the last axis, which stays as one of 1."""
    ones = jnp.ones((x.shape[-1], 1), x.dtype)
    return jnp.matmul(flat(x), ones, precision="highest").reshape(*x.shape[:-1], 1)


def column_sums(x: Float[Array, "*row width"]) -> Float[Array, " width"]:
    """Return the sum over all axes but the last."""
    rows = flat(x)
    return jnp.matmul(jnp.ones((1, len(rows)), x.dtype), rows, precision="highest")[0]


def flat(x: Float[Array, "*row width"]) -> Float[Array, "rows width"]:
    """Return all axes but the last as one."""
    return x.reshape(-1, x.shape[-1])


def along_rows(vector: Float[Array, " width"], x: Float[Array, "*row _"]) -> Float[Array, "*one width"]:
    """Return the vector with as many axes as x."""
    return vector.reshape((1,) * (x.ndim - 1) + vector.shape)


@jax.custom_vjp
def linear(
    x: Float[Array, "*row inner"], kernel: Float[Array, "inner outer"], bias: Float[Array, " outer"]
) -> Float[Array, "*row outer"]:
    """Return x W + b."""
    return linear_forward(x, kernel, bias)[0]


def linear_forward(x: Array, kernel: Array, bias: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return the value, and what its gradient needs: x and W."""
    return x @ kernel + along_rows(bias, x), (x, kernel)


def linear_backward(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array, Array]:
    """Return the gradients by x, W and b."""
    x, kernel = kept
    rows, slopes = flat(x), flat(slope)
    if kernel.shape[0] > kernel.shape[1]:
        # XLA's CPU product is twice as slow the other way round; the barrier keeps XLA from turning it.
        by_kernel = jax.lax.optimization_barrier(slopes.T @ rows).T
    else:
        by_kernel = rows.T @ slopes
    return slope @ kernel.T, by_kernel, column_sums(slope)


linear.defvjp(linear_forward, linear_backward)


@jax.custom_vjp
def layer_norm(
    x: Float[Array, "*row width"], scale: Float[Array, " width"], bias: Float[Array, " width"]
) -> Float[Array, "*row width"]:
    """Return g (x - mean) / sqrt(variance + 1e-5) + b over the last axis (Ba, Kiros and Hinton, 2016, eq. 4)."""
    return layer_norm_forward(x, scale, bias)[0]


def layer_norm_forward(x: Array, scale: Array, bias: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return the value, and what its gradient needs: x normalised, 1 over its deviation, the scale."""
    width = x.shape[-1]
    centred = x - row_sums(x) / width
    inverse = jax.lax.rsqrt(row_sums(centred * centred) / width + EPSILON)
    normed = centred * inverse
    return normed * along_rows(scale, x) + along_rows(bias, x), (normed, inverse, scale)


def layer_norm_backward(kept: tuple[Array, Array, Array], slope: Array) -> tuple[Array, Array, Array]:
    """Return the gradients by x, scale and bias: that by x is without mean and without a part along x."""
    normed, inverse, scale = kept
    width, scaled = normed.shape[-1], slope * along_rows(scale, slope)
    along = row_sums(scaled * normed) / width
    by_x = inverse * (scaled - row_sums(scaled) / width - normed * along)
    return by_x, column_sums(slope * normed), column_sums(slope)


layer_norm.defvjp(layer_norm_forward, layer_norm_backward)


@jax.custom_vjp
def gelu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return x P(X <= x) for a standard normal X (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016)."""
    return gelu_forward(x)[0]


def gelu_forward(x: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return the value, and what its gradient needs: x and P(X <= x)."""
    below = 0.5 * (1 + jax.lax.erf(x * 0.5**0.5))
    return x * below, (x, below)


def gelu_backward(kept: tuple[Array, Array], slope: Array) -> tuple[Array]:
    """Return the gradient by x: P(X <= x) + x times the density at x."""
    x, below = kept
    density = jnp.exp(-0.5 * x * x) * (2 * jnp.pi) ** -0.5
    return (slope * (below + x * density),)


gelu.defvjp(gelu_forward, gelu_backward)


@jax.custom_vjp
def tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the hyperbolic tangent, right to 3.5 units in the last place.

    Of several steps, [batch, time, width], XLA's CPU compiler makes a loop over single numbers of its own tanh. It
    takes twice as long and errs more. This one is (1 - e) / (1 + e) with e = exp(-2 |x|). Near 0 that difference loses
    digits, and Lambert's continued fraction takes its place, cut off after six divisions (Abramowitz and Stegun,
    "Handbook of Mathematical Functions", 1964, 4.5.70): it errs by 1e-17 of itself at most.
    """
    return tanh_forward(x)[0]


def tanh_forward(x: Array) -> tuple[Array, Array]:
    """Return the value twice: its gradient needs nothing else."""
    square, decay = x * x, jnp.exp(-2 * jnp.abs(x))
    near = square < NEAR_ZERO
    above = x * (10395 + square * (1260 + square * 21))
    below = 10395 + square * (4725 + square * (210 + square))
    value = jnp.where(near, above, jnp.copysign(1 - decay, x)) / jnp.where(near, below, 1 + decay)
    return value, value


def tanh_backward(value: Array, slope: Array) -> tuple[Array]:
    """Return the gradient by x."""
    return (slope * (1 - value * value),)


tanh.defvjp(tanh_forward, tanh_backward)


@jax.custom_vjp
def mix(
    logits: Float[Array, "batch head query key"], value: Float[Array, "batch key head width"]
) -> Float[Array, "batch query head width"]:
    """Return softmax(logits) over the keys times the values."""
    return mix_forward(logits, value)[0]


def mix_forward(logits: Array, value: Array) -> tuple[Array, tuple[Array, Array, Array, Array]]:
    """Return the value, and what its gradient needs: exponents, values with a last 1, their mix, 1 over the sums.

    One product sums exponents and mixes values, which are divided afterwards: they are fewer than the weights.
    """
    exponents = jnp.exp(logits - logits.max(axis=-1, keepdims=True))
    values = value.swapaxes(1, 2)
    values = jnp.concatenate([values, jnp.ones_like(values[..., :1])], axis=-1)
    mixed = exponents @ values
    inverse = 1 / mixed[..., -1:]
    mixed = mixed[..., :-1] * inverse
    return mixed.swapaxes(1, 2), (exponents, values, mixed, inverse)


def mix_weights(
    logits: Float[Array, "batch head query key"], value: Float[Array, "batch key head width"]
) -> Float[Array, "batch head query key"]:
    """Return the weights with which `mix` takes the values."""
    _, (exponents, _, _, inverse) = mix_forward(logits, value)
    return exponents * inverse


def mix_backward(kept: tuple[Array, Array, Array, Array], slope: Array) -> tuple[Array, Array]:
    """Return the gradients by logits and values: with weights w and slopes s, w (s v - s (w v)), one product more."""
    exponents, values, mixed, inverse = kept
    slopes = slope.swapaxes(1, 2) * inverse
    by_value = exponents.swapaxes(2, 3) @ slopes
    along = jnp.concatenate([slopes, -row_sums(slopes * mixed)], axis=-1)
    return exponents * (along @ values.swapaxes(2, 3)), by_value.swapaxes(1, 2)


mix.defvjp(mix_forward, mix_backward)
