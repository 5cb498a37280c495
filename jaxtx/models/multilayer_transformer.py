"""Pre-norm transformer blocks, read at a CLS step."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from coretx.models import architectures
from coretx.models.spec import InputShape
from jaxtx import kernels
from jaxtx.layers import Attention, LayerNorm, Linear, Record, add_positions, no_record, prepend, scoped


class Block(nnx.Module):
    """x + attention(LN x), then x + W2 gelu(W1 LN x)."""

    def __init__(self, spec: architectures.MultiLayerTransformer) -> None:
        self.attention_norm = LayerNorm(spec.width)
        self.attention = Attention(spec.width, spec.heads)
        self.feedforward_norm = LayerNorm(spec.width)
        self.expand = Linear(spec.width, spec.feedforward)
        self.contract = Linear(spec.feedforward, spec.width)

    def __call__(
        self, x: Float[Array, "batch time width"], queries: int, record: Record = no_record
    ) -> Float[Array, "batch query width"]:
        """Return the first `queries` steps after this block; every step is a key."""
        normed = self.attention_norm(x)
        x = x[:, :queries] + self.attention(normed[:, :queries], normed, record)
        record("attended", x)
        x = x + self.contract(kernels.gelu(self.expand(self.feedforward_norm(x))))
        record("output", x)
        return x


class MultiLayerTransformer(nnx.Module):
    """Embed, prepend CLS, add positions, `depth` blocks, the logit from the CLS step; no final LayerNorm.

    Nothing is read from the last block but its CLS step, so that it alone is a query there.
    """

    def __init__(self, spec: architectures.MultiLayerTransformer, shape: InputShape, *, rngs: nnx.Rngs) -> None:
        self.position_scale = spec.position_scale
        self.embed = Linear(shape.feature, spec.width)
        self.cls = nnx.Param(jnp.zeros(spec.width))
        self.blocks = nnx.List([Block(spec) for _ in range(spec.depth)])
        self.head = nnx.Linear(spec.width, 1, rngs=rngs)

    def __call__(self, x: Float[Array, "batch time feature"], record: Record = no_record) -> Float[Array, " batch"]:
        """Return one logit per row."""
        x = add_positions(prepend(self.cls[...], self.embed(x)), self.position_scale)
        record("hidden", x)
        for i, block in enumerate(self.blocks):
            queries = 1 if i == len(self.blocks) - 1 else x.shape[1]
            x = block(x, queries, scoped(f"blocks.{i}", record))
        return self.head(x[:, 0])[:, 0]
