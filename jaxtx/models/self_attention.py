"""Attention without queries, keys, values or positions."""

from flax import nnx
from jaxtyping import Array, Float

from coretx.models import architectures
from coretx.models.spec import InputShape
from jaxtx.layers import Linear, Record, no_record, scaled_dot_product, tanh


class SelfAttention(nnx.Module):
    """h = tanh(W x + b); mix = softmax(h h^T / sqrt(width)) h; logit from the mean over t of tanh(U mix_t + c).

    Blind to order: any permutation of the steps gives the same logit.
    """

    def __init__(self, spec: architectures.SelfAttention, shape: InputShape, *, rngs: nnx.Rngs) -> None:
        self.embed = Linear(shape.feature, spec.width)
        self.mix = Linear(spec.width, spec.width)
        self.head = nnx.Linear(spec.width, 1, rngs=rngs)

    def __call__(self, x: Float[Array, "batch time feature"], record: Record = no_record) -> Float[Array, " batch"]:
        """Return one logit per row."""
        hidden = tanh(self.embed(x))
        record("hidden", hidden)
        heads = hidden[:, :, None, :]  # [batch, time, 1, width]: one head
        attended = scaled_dot_product(heads, heads, heads, record)[:, :, 0, :]
        record("attended", attended)
        mixed = tanh(self.mix(attended))
        record("mixed", mixed)
        return self.head(mixed.mean(axis=1))[:, 0]
