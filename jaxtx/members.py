"""One member of a population as arrays; stacked members have a leading member axis."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from coretx.models.spec import Optimizer

Rows = tuple[Float[Array, "_ time feature"], Float[Array, " _"]]
"""Inputs and labels of a split; splits differ in their number of rows."""


class Best(NamedTuple):
    """The epoch of least loss on the split for selection; before the first epoch, the loss is infinite."""

    parameters: Float[Array, " parameter"]
    loss: Float[Array, ""]
    epoch: Int[Array, ""]


class Carry(NamedTuple):
    """One member between two epochs."""

    parameters: Float[Array, " parameter"]
    first_moment: Float[Array, " parameter"]
    second_moment: Float[Array, " parameter"]
    step: Int[Array, ""]
    epoch: Int[Array, ""]
    best: Best


class Schedule(NamedTuple):
    """The batches and rates of one member in a chunk. The epoch axis may be longer than the chunk."""

    rows: Int[Array, "epoch step batch"]
    weights: Float[Array, "epoch step batch"]
    learning_rate: Float[Array, " epoch"]
    weight_decay: Float[Array, ""]


class Adam(NamedTuple):
    """AdamW's constants; 1 - b and log b are computed in float64.

    In float32 1 - b2 would be 1.3e-5 off, and 1 - b2^t in the first steps too, as it is in optax.scale_by_adam.
    """

    b1: Float[Array, ""]
    b2: Float[Array, ""]
    eps: Float[Array, ""]
    rest1: Float[Array, ""]
    """1 - b1."""
    rest2: Float[Array, ""]
    log_b1: Float[Array, ""]
    log_b2: Float[Array, ""]


def adam_constants(optimizer: Optimizer) -> Adam:
    """Return AdamW's constants, in float64."""
    b1, b2 = optimizer.b1, optimizer.b2
    with np.errstate(divide="ignore"):  # the logarithm of a beta of 0 is -inf, and its correction 1
        constants: Any = b1, b2, optimizer.eps, 1 - b1, 1 - b2, np.log(b1), np.log(b2)
    return Adam(*constants)
