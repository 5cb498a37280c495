"""One attention head, read at a CLS step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coretx.models import architectures
from coretx.models.spec import InputShape
from torchtx.layers import Attention, Record, add_positions, no_record, prepend


class SingleLayerTransformer(nn.Module):
    """CLS and positions in input space; embed; one head of attention; tanh(W .); the logit from the CLS step.

    No residual path, no LayerNorm, no feed-forward block: what the CLS step attends to is all that it sees.
    """

    def __init__(self, spec: architectures.SingleLayerTransformer, shape: InputShape) -> None:
        super().__init__()
        self.position_scale = spec.position_scale
        self.cls = nn.Parameter(torch.zeros(shape.feature))
        self.embed = nn.Linear(shape.feature, spec.width)
        self.attention = Attention(spec.width, heads=1)
        self.mix = nn.Linear(spec.width, spec.width)
        self.head = nn.Linear(spec.width, 1)

    def forward(self, x: Float[Tensor, "batch time feature"], record: Record = no_record) -> Float[Tensor, " batch"]:
        """Return one logit per row."""
        x = add_positions(prepend(self.cls, x), self.position_scale)
        hidden = self.embed(x)
        record("hidden", hidden)
        attended = self.attention(hidden, hidden, record)
        record("attended", attended)
        mixed = torch.tanh(self.mix(attended[:, 0]))
        record("mixed", mixed)
        return self.head(mixed)[:, 0]
