"""One attention head, read at a CLS step."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from coretx.models import architectures
from coretx.models.spec import InputShape
from jaxtx.layers import Attention, Linear, Record, add_positions, no_record, prepend, tanh


class SingleLayerTransformer(nnx.Module):
    """CLS and positions in input space; embed; one head of attention; tanh(W .); the logit from the CLS step.

    No residual path, no LayerNorm, no feed-forward block: what the CLS step attends to is all that it sees.
    """

    def __init__(self, spec: architectures.SingleLayerTransformer, shape: InputShape, *, rngs: nnx.Rngs) -> None:
        self.position_scale = spec.position_scale
        self.cls = nnx.Param(jnp.zeros(shape.feature))
        self.embed = Linear(shape.feature, spec.width)
        self.attention = Attention(spec.width, heads=1)
        self.mix = nnx.Linear(spec.width, spec.width, rngs=rngs)
        self.head = nnx.Linear(spec.width, 1, rngs=rngs)

    def __call__(self, x: Float[Array, "batch time feature"], record: Record = no_record) -> Float[Array, " batch"]:
        """Return one logit per row."""
        x = add_positions(prepend(self.cls[...], x), self.position_scale)
        hidden = self.embed(x)
        record("hidden", hidden)
        attended = self.attention(hidden, hidden, record)
        record("attended", attended)
        mixed = tanh(self.mix(attended[:, 0]))
        record("mixed", mixed)
        return self.head(mixed)[:, 0]
