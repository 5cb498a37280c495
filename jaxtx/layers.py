"""Layers that several rungs share."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from coretx.models.positions import sinusoids
from jaxtx import kernels

Note = Callable[[str, Array], None]
"""Called with the name and the value of every intermediate that a forward pass wants to show."""


def silent(name: str, value: Array) -> None:
    """Note nothing: the default while training."""


def within(scope: str, note: Note) -> Note:
    """Return a note that puts the scope before every name."""
    return lambda name, value: note(f"{scope}.{name}", value)


def scaled_dot_product(
    query: Float[Array, "batch query head head_dim"],
    key: Float[Array, "batch key head head_dim"],
    value: Float[Array, "batch key head value_dim"],
    note: Note,
) -> Float[Array, "batch query head value_dim"]:
    """Return softmax(q k^T / sqrt(head_dim)) v (Vaswani et al., 2017, eq. 1)."""
    logits = jnp.einsum("bqhd,bkhd->bhqk", query / key.shape[-1] ** 0.5, key)
    note("attention.logits", logits)
    note("attention.weights", jax.nn.softmax(logits, axis=-1))
    return kernels.mix(logits, value)


class Linear(nnx.Module):
    """W x + b for every step of a sequence, with a gradient that is faster than Flax's for many rows.

    It draws no weights: those of the spec take their place.
    """

    def __init__(self, width: int, out: int) -> None:
        self.kernel = nnx.Param(jnp.zeros((width, out)))
        self.bias = nnx.Param(jnp.zeros(out))

    def __call__(self, x: Float[Array, "batch time width"]) -> Float[Array, "batch time out"]:
        """Return the product for every step."""
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
        self, asking: Float[Array, "batch query width"], answering: Float[Array, "batch key width"], note: Note = silent
    ) -> Float[Array, "batch query width"]:
        """Return, for each asking step, the mix of the answering steps' values."""
        split = (self.heads, asking.shape[-1] // self.heads)
        query = self.query(asking).reshape(*asking.shape[:-1], *split)
        key = self.key(answering).reshape(*answering.shape[:-1], *split)
        value = self.value(answering).reshape(*answering.shape[:-1], *split)
        return scaled_dot_product(query, key, value, note).reshape(asking.shape)


def prepend(cls: Float[Array, " width"], x: Float[Array, "batch time width"]) -> Float[Array, "batch time+1 width"]:
    """Return x with the vector cls as a new first step."""
    return jnp.concatenate([jnp.broadcast_to(cls, (x.shape[0], 1, x.shape[2])), x], axis=1)


def add_positions(x: Float[Array, "batch time width"], scale: float) -> Float[Array, "batch time width"]:
    """Return x plus scaled sinusoids, the first step at position 0."""
    return x + jnp.asarray(scale * sinusoids(*x.shape[1:]), x.dtype)[None]
