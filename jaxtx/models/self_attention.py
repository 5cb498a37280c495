"""Attention without queries, keys, values or positions."""

from flax import nnx
from jaxtyping import Array, Float

from coretx.models import architectures
from coretx.models.spec import InputShape
from jaxtx import kernels
from jaxtx.layers import Linear, Note, scaled_dot_product, silent


class SelfAttention(nnx.Module):
    """h = tanh(W x + b); mix = softmax(h h^T / sqrt(width)) h; logit from the mean over t of tanh(U mix_t + c).

    Blind to order: any permutation of the steps gives the same logit.
    """

    def __init__(self, spec: architectures.SelfAttention, shape: InputShape, *, rngs: nnx.Rngs) -> None:
        self.embed = Linear(shape.feature, spec.width)
        self.mix = Linear(spec.width, spec.width)
        self.head = nnx.Linear(spec.width, 1, rngs=rngs)

    def __call__(self, x: Float[Array, "batch time feature"], note: Note = silent) -> Float[Array, " batch"]:
        """Return one logit per row."""
        hidden = kernels.tanh(self.embed(x))
        note("hidden", hidden)
        heads = hidden[:, :, None, :]  # [batch, time, 1, width]: one head
        attended = scaled_dot_product(heads, heads, heads, note)[:, :, 0, :]
        note("attended", attended)
        mixed = kernels.tanh(self.mix(attended))
        note("mixed", mixed)
        return self.head(mixed.mean(axis=1))[:, 0]
