"""Pre-norm transformer blocks, read at a CLS step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from coretx.models import architectures
from coretx.models.spec import InputShape
from torchtx.layers import Attention, Note, add_positions, prepend, silent, within


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
        self, x: Float[Tensor, "batch time width"], asking: int, note: Note = silent
    ) -> Float[Tensor, "batch asking width"]:
        """Return the first `asking` steps after this block; every step answers."""
        normed = self.attention_norm(x)
        x = x[:, :asking] + self.attention(normed[:, :asking], normed, note)
        note("attended", x)
        x = x + self.contract(functional.gelu(self.expand(self.feedforward_norm(x)), approximate="none"))
        note("output", x)
        return x


class MultiLayerTransformer(nn.Module):
    """Embed, prepend CLS, add positions, `depth` blocks, the logit from the CLS step; no final LayerNorm.

    Nothing is read from the last block but its CLS step, so that only this one asks there.
    """

    def __init__(self, spec: architectures.MultiLayerTransformer, shape: InputShape) -> None:
        super().__init__()
        self.position_scale = spec.position_scale
        self.embed = nn.Linear(shape.feature, spec.width)
        self.cls = nn.Parameter(torch.zeros(spec.width))
        self.blocks = nn.ModuleList([Block(spec) for _ in range(spec.depth)])
        self.head = nn.Linear(spec.width, 1)

    def forward(self, x: Float[Tensor, "batch time feature"], note: Note = silent) -> Float[Tensor, " batch"]:
        """Return one logit per row."""
        x = add_positions(prepend(self.cls, self.embed(x)), self.position_scale)
        note("hidden", x)
        for i, block in enumerate(self.blocks):
            asking = 1 if i == len(self.blocks) - 1 else x.shape[1]
            x = block(x, asking, within(f"blocks.{i}", note))
        return self.head(x[:, 0])[:, 0]
