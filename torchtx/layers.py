"""Layers that several rungs share."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coretx.models.positions import sinusoids

Note = Callable[[str, Tensor], None]
"""Called with the name and the value of every intermediate that a forward pass wants to show."""


def silent(name: str, value: Tensor) -> None:
    """Note nothing: the default while training."""


def within(scope: str, note: Note) -> Note:
    """Return a note that puts the scope before every name."""
    return lambda name, value: note(f"{scope}.{name}", value)


def scaled_dot_product(
    query: Float[Tensor, "batch query head head_dim"],
    key: Float[Tensor, "batch key head head_dim"],
    value: Float[Tensor, "batch key head value_dim"],
    note: Note,
) -> Float[Tensor, "batch query head value_dim"]:
    """Return softmax(q k^T / sqrt(head_dim)) v (Vaswani et al., 2017, eq. 1)."""
    logits = torch.einsum("bqhd,bkhd->bhqk", query, key) / key.shape[-1] ** 0.5
    note("attention.logits", logits)
    weights = torch.softmax(logits, dim=-1)
    note("attention.weights", weights)
    return torch.einsum("bhqk,bkhd->bqhd", weights, value)


class Attention(nn.Module):
    """Multi-head attention of some steps to others; the heads are concatenated, with no output projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(
        self,
        asking: Float[Tensor, "batch query width"],
        answering: Float[Tensor, "batch key width"],
        note: Note = silent,
    ) -> Float[Tensor, "batch query width"]:
        """Return, for each asking step, the mix of the answering steps' values."""
        split = (self.heads, asking.shape[-1] // self.heads)
        query = self.query(asking).reshape(*asking.shape[:-1], *split)
        key = self.key(answering).reshape(*answering.shape[:-1], *split)
        value = self.value(answering).reshape(*answering.shape[:-1], *split)
        return scaled_dot_product(query, key, value, note).reshape(asking.shape)


def prepend(cls: Float[Tensor, " width"], x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time+1 width"]:
    """Return x with the vector cls as a new first step."""
    return torch.cat([cls.expand(x.shape[0], 1, x.shape[2]), x], dim=1)


def add_positions(x: Float[Tensor, "batch time width"], scale: float) -> Float[Tensor, "batch time width"]:
    """Return x plus scaled sinusoids, the first step at position 0."""
    return x + torch.as_tensor(scale * sinusoids(*x.shape[1:]), dtype=x.dtype, device=x.device)[None]
