"""Layers that several rungs share."""

from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from coretx.models.positions import sinusoids
from jaxtx import kernels

Record = Callable[[str, Array], None]
"""Takes the name and the value of an intermediate of a forward pass."""


def no_record(name: str, value: Array) -> None:
    """Record nothing: the default while training."""


def scoped(scope: str, record: Record) -> Record:
    """Return the recorder of a part of the model: it puts the scope before every name."""
    return lambda name, value: record(f"{scope}.{name}", value)


def scaled_dot_product(
    query: Float[Array, "batch query head head_dim"],
    key: Float[Array, "batch key head head_dim"],
    value: Float[Array, "batch key head value_dim"],
    record: Record,
) -> Float[Array, "batch query head value_dim"]:
    """Return softmax(q k^T / sqrt(head_dim)) v (Vaswani et al., 2017, eq. 1)."""
    logits = jnp.einsum("bqhd,bkhd->bhqk", query / key.shape[-1] ** 0.5, key)
    record("attention.logits", logits)
    record("attention.weights", kernels.mix_weights(logits, value))
    return kernels.mix(logits, value)


def tanh(x: Float[Array, "batch *time width"]) -> Float[Array, "batch *time width"]:
    """Return the hyperbolic tangent: XLA's own is faster where there is but one step, and half as exact."""
    return kernels.tanh(x) if x.ndim > 2 else jnp.tanh(x[:, None])[:, 0]


class Linear(nnx.Module):
    """W x + b for every step of a sequence, with a gradient that is faster than Flax's for many rows.

    It draws no weights: those of the spec take their place. Rows without steps are taken as rows of one step: of
    [batch, width] XLA's CPU compiler makes a loop that takes three times as long.
    """

    def __init__(self, width: int, out: int) -> None:
        self.kernel = nnx.Param(jnp.zeros((width, out)))
        self.bias = nnx.Param(jnp.zeros(out))

    def __call__(self, x: Float[Array, "batch *time width"]) -> Float[Array, "batch *time out"]:
        """Return the product for every step."""
        if x.ndim == 2:
            return self(x[:, None])[:, 0]
        return kernels.linear(x, self.kernel[...], self.bias[...])


class LayerNorm(nnx.Module):
    """Every step over its own mean and deviation, then scaled and shifted."""

    def __init__(self, width: int) -> None:
        self.scale = nnx.Param(jnp.ones(width))
        self.bias = nnx.Param(jnp.zeros(width))

    def __call__(self, x: Float[Array, "batch time width"]) -> Float[Array, "batch time width"]:
        """Return every step normalised."""
        return kernels.layer_norm(x, self.scale[...], self.bias[...])


class Attention(nnx.Module):
    """Multi-head attention of some steps to others; the heads are concatenated, with no output projection."""

    def __init__(self, width: int, heads: int) -> None:
        self.heads = heads
        self.query = Linear(width, width)
        self.key = Linear(width, width)
        self.value = Linear(width, width)

    def __call__(
        self,
        queries: Float[Array, "batch query width"],
        keys: Float[Array, "batch key width"],
        record: Record = no_record,
    ) -> Float[Array, "batch query width"]:
        """Return, for each step of queries, the mix of the values of the steps of keys."""
        split = (self.heads, queries.shape[-1] // self.heads)
        query = self.query(queries).reshape(*queries.shape[:-1], *split)
        key = self.key(keys).reshape(*keys.shape[:-1], *split)
        value = self.value(keys).reshape(*keys.shape[:-1], *split)
        return scaled_dot_product(query, key, value, record).reshape(queries.shape)


def prepend(cls: Float[Array, " width"], x: Float[Array, "batch time width"]) -> Float[Array, "batch time+1 width"]:
    """Return x with the vector cls as a new first step."""
    return jnp.concatenate([jnp.broadcast_to(cls, (x.shape[0], 1, x.shape[2])), x], axis=1)


def add_positions(x: Float[Array, "batch time width"], scale: float) -> Float[Array, "batch time width"]:
    """Return x plus scaled sinusoids, the first step at position 0."""
    return x + jnp.asarray(scale * sinusoids(*x.shape[1:]), x.dtype)[None]
