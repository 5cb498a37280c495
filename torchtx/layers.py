"""Layers that several rungs share."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coretx.models.positions import sinusoids

Record = Callable[[str, Tensor], None]
"""Takes the name and the value of an intermediate of a forward pass."""


def no_record(name: str, value: Tensor) -> None:
    """Record nothing: the default while training."""


def scoped(scope: str, record: Record) -> Record:
    """Return the recorder of a part of the model: it puts the scope before every name."""
    return lambda name, value: record(f"{scope}.{name}", value)


def scaled_dot_product(
    query: Float[Tensor, "batch query head head_dim"],
    key: Float[Tensor, "batch key head head_dim"],
    value: Float[Tensor, "batch key head value_dim"],
    record: Record,
) -> Float[Tensor, "batch query head value_dim"]:
    """Return softmax(q k^T / sqrt(head_dim)) v (Vaswani et al., 2017, eq. 1)."""
    logits = torch.einsum("bqhd,bkhd->bhqk", query, key) / key.shape[-1] ** 0.5
    record("attention.logits", logits)
    weights = torch.softmax(logits, dim=-1)
    record("attention.weights", weights)
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
        queries: Float[Tensor, "batch query width"],
        keys: Float[Tensor, "batch key width"],
        record: Record = no_record,
    ) -> Float[Tensor, "batch query width"]:
        """Return, for each step of queries, the mix of the values of the steps of keys."""
        split = (self.heads, queries.shape[-1] // self.heads)
        query = self.query(queries).reshape(*queries.shape[:-1], *split)
        key = self.key(keys).reshape(*keys.shape[:-1], *split)
        value = self.value(keys).reshape(*keys.shape[:-1], *split)
        return scaled_dot_product(query, key, value, record).reshape(queries.shape)


def prepend(cls: Float[Tensor, " width"], x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time+1 width"]:
    """Return x with the vector cls as a new first step."""
    return torch.cat([cls.expand(x.shape[0], 1, x.shape[2]), x], dim=1)


def add_positions(x: Float[Tensor, "batch time width"], scale: float) -> Float[Tensor, "batch time width"]:
    """Return x plus scaled sinusoids, the first step at position 0."""
    return x + torch.as_tensor(scale * sinusoids(*x.shape[1:]), dtype=x.dtype, device=x.device)[None]
