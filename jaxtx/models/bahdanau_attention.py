"""Attention by content alone: steps compete with a score of their own."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from coretx.models import architectures
from coretx.models.spec import InputShape
from jaxtx.layers import Linear, Record, no_record, tanh


class BahdanauAttention(nnx.Module):
    """h = tanh(W x + b); a = softmax over t of the channel mean of h_t; logit from sum_t a_t tanh(U h_t + c).

    Blind to order. Unlike Bahdanau et al. (2015) the score is not learned apart from h.
    """

    def __init__(self, spec: architectures.BahdanauAttention, shape: InputShape, *, rngs: nnx.Rngs) -> None:
        self.embed = Linear(shape.feature, spec.width)
        self.mix = Linear(spec.width, spec.width)
        self.head = nnx.Linear(spec.width, 1, rngs=rngs)

    def __call__(self, x: Float[Array, "batch time feature"], record: Record = no_record) -> Float[Array, " batch"]:
        """Return one logit per row."""
        hidden = tanh(self.embed(x))
        record("hidden", hidden)
        logits = hidden.mean(axis=2)[:, None, None, :]  # [batch, head, query, key]: one head, one query
        record("attention.logits", logits)
        weights = jax.nn.softmax(logits, axis=-1)
        record("attention.weights", weights)
        mixed = tanh(self.mix(hidden))
        record("mixed", mixed)
        attended = jnp.einsum("bk,bkd->bd", weights[:, 0, 0], mixed)
        record("attended", attended)
        return self.head(attended)[:, 0]
