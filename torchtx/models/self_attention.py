"""Attention without queries, keys, values or positions."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coretx.models import architectures
from coretx.models.spec import InputShape
from torchtx.layers import Record, no_record, scaled_dot_product


class SelfAttention(nn.Module):
    """h = tanh(W x + b); mix = softmax(h h^T / sqrt(width)) h; logit from the mean over t of tanh(U mix_t + c).

    Blind to order: any permutation of the steps gives the same logit.
    """

    def __init__(self, spec: architectures.SelfAttention, shape: InputShape) -> None:
        super().__init__()
        self.embed = nn.Linear(shape.feature, spec.width)
        self.mix = nn.Linear(spec.width, spec.width)
        self.head = nn.Linear(spec.width, 1)

    def forward(self, x: Float[Tensor, "batch time feature"], record: Record = no_record) -> Float[Tensor, " batch"]:
        """Return one logit per row."""
        hidden = torch.tanh(self.embed(x))
        record("hidden", hidden)
        heads = hidden[:, :, None, :]  # [batch, time, 1, width]: one head
        attended = scaled_dot_product(heads, heads, heads, record)[:, :, 0, :]
        record("attended", attended)
        mixed = torch.tanh(self.mix(attended))
        record("mixed", mixed)
        return self.head(mixed.mean(dim=1))[:, 0]
