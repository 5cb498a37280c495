"""What one member of a population is and does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Rows = tuple[Float[Tensor, "_ time feature"], Float[Tensor, " _"]]
"""Inputs and labels of a split; splits differ in their number of rows."""


@dataclass
class Member:
    """One member between two epochs."""

    model: nn.Module
    """In evaluation mode but for the steps of training: see `training`."""
    optimizer: torch.optim.AdamW
    epoch: int
    best: dict[str, Tensor]
    best_loss: Float[Tensor, ""]
    best_epoch: int


class Schedule(NamedTuple):
    """What one member does in a chunk."""

    rows: Int[Tensor, "epoch step batch"]
    weights: Float[Tensor, "epoch step batch"]
    learning_rate: Float[Tensor, " epoch"]
    weight_decay: Float[Tensor, ""]


@contextmanager
def training(model: nn.Module) -> Iterator[None]:
    """Set the model's training mode inside, and its evaluation mode after."""
    model.train()
    try:
        yield
    finally:
        model.eval()
