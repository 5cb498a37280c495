"""Pre-norm transformer blocks, read at a CLS step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from coretx.models import architectures
from coretx.models.spec import InputShape
from torchtx.layers import Attention, Record, add_positions, no_record, prepend, scoped


class Block(nn.Module):
    """x + attention(LN x), then x + W2 gelu(W1 LN x)."""

    def __init__(self, spec: architectures.MultiLayerTransformer) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(spec.width)
        self.attention = Attention(spec.width, spec.heads)
        self.feedforward_norm = nn.LayerNorm(spec.width)
        self.expand = nn.Linear(spec.width, spec.feedforward)
        self.contract = nn.Linear(spec.feedforward, spec.width)

    def forward(
        self, x: Float[Tensor, "batch time width"], queries: int, record: Record = no_record
    ) -> Float[Tensor, "batch query width"]:
        """Return the first `queries` steps after this block; every step is a key."""
        normed = self.attention_norm(x)
        x = x[:, :queries] + self.attention(normed[:, :queries], normed, record)
        record("attended", x)
        x = x + self.contract(functional.gelu(self.expand(self.feedforward_norm(x)), approximate="none"))
        record("output", x)
        return x


class MultiLayerTransformer(nn.Module):
    """Embed, prepend CLS, add positions, `depth` blocks, the logit from the CLS step; no final LayerNorm.

    Nothing is read from the last block but its CLS step, so that it alone is a query there.
    """

    def __init__(self, spec: architectures.MultiLayerTransformer, shape: InputShape) -> None:
        super().__init__()
        self.position_scale = spec.position_scale
        self.embed = nn.Linear(shape.feature, spec.width)
        self.cls = nn.Parameter(torch.zeros(spec.width))
        self.blocks = nn.ModuleList([Block(spec) for _ in range(spec.depth)])
        self.head = nn.Linear(spec.width, 1)

    def forward(self, x: Float[Tensor, "batch time feature"], record: Record = no_record) -> Float[Tensor, " batch"]:
        """Return one logit per row."""
        x = add_positions(prepend(self.cls, self.embed(x)), self.position_scale)
        record("hidden", x)
        for i, block in enumerate(self.blocks):
            queries = 1 if i == len(self.blocks) - 1 else x.shape[1]
            x = block(x, queries, scoped(f"blocks.{i}", record))
        return self.head(x[:, 0])[:, 0]
