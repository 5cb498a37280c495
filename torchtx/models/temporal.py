"""A verdict per step, added up over positions."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coretx.models import architectures
from coretx.models.spec import InputShape
from torchtx.layers import Record, no_record


class Temporal(nn.Module):
    """z_t = mean over channels of tanh(W x_t + b); logit = v z + c.

    Additive over positions: no step can change what another counts for.
    """

    def __init__(self, spec: architectures.Temporal, shape: InputShape) -> None:
        super().__init__()
        self.embed = nn.Linear(shape.feature, spec.width)
        self.head = nn.Linear(shape.time, 1)

    def forward(self, x: Float[Tensor, "batch time feature"], record: Record = no_record) -> Float[Tensor, " batch"]:
        """Return one logit per row."""
        hidden = torch.tanh(self.embed(x))
        record("hidden", hidden)
        verdicts = hidden.mean(dim=2)  # [batch, time]
        record("verdicts", verdicts)
        return self.head(verdicts)[:, 0]
