"""Attention by content alone: steps compete with a score of their own."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coretx.models import architectures
from coretx.models.spec import InputShape
from torchtx.layers import Record, no_record


class BahdanauAttention(nn.Module):
    """h = tanh(W x + b); a = softmax over t of the channel mean of h_t; logit from sum_t a_t tanh(U h_t + c).

    Blind to order. Unlike Bahdanau et al. (2015) the score is not learned apart from h.
    """

    def __init__(self, spec: architectures.BahdanauAttention, shape: InputShape) -> None:
        super().__init__()
        self.embed = nn.Linear(shape.feature, spec.width)
        self.mix = nn.Linear(spec.width, spec.width)
        self.head = nn.Linear(spec.width, 1)

    def forward(self, x: Float[Tensor, "batch time feature"], record: Record = no_record) -> Float[Tensor, " batch"]:
        """Return one logit per row."""
        hidden = torch.tanh(self.embed(x))
        record("hidden", hidden)
        logits = hidden.mean(dim=2)[:, None, None, :]  # [batch, head, query, key]: one head, one query
        record("attention.logits", logits)
        weights = torch.softmax(logits, dim=-1)
        record("attention.weights", weights)
        mixed = torch.tanh(self.mix(hidden))
        record("mixed", mixed)
        attended = torch.einsum("bk,bkd->bd", weights[:, 0, 0], mixed)
        record("attended", attended)
        return self.head(attended)[:, 0]
