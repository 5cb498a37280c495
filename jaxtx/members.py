"""What one member of a population is, does and leaves behind, as arrays; stacked members have a leading member axis."""

from typing import NamedTuple

from jaxtyping import Array, Float, Int

Rows = tuple[Float[Array, "_ time feature"], Float[Array, " _"]]
"""Inputs and labels of a split; splits differ in their number of rows."""


class Carry(NamedTuple):
    """One member between two epochs."""

    parameters: Float[Array, " parameter"]
    first_moment: Float[Array, " parameter"]
    second_moment: Float[Array, " parameter"]
    step: Int[Array, ""]
    epoch: Int[Array, ""]


class Schedule(NamedTuple):
    """What one member does in a chunk; the epoch axis may be longer than the chunk, the rest is not looked at."""

    rows: Int[Array, "epoch step batch"]
    weights: Float[Array, "epoch step batch"]
    learning_rate: Float[Array, " epoch"]
    weight_decay: Float[Array, ""]


class Path(NamedTuple):
    """What each epoch of a stretch left behind: the parameters, and the number of the epoch."""

    parameters: Float[Array, "epoch parameter"]
    epoch: Int[Array, " epoch"]


class Best(NamedTuple):
    """One member's epoch of least loss on the split that selects; before the first, the loss is infinite."""

    parameters: Float[Array, " parameter"]
    loss: Float[Array, ""]
    epoch: Int[Array, ""]
