"""What one member of a population is, does and leaves behind, as arrays; stacked members have a leading member axis."""

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Rows = tuple[Float[Array, "_ time feature"], Float[Array, " _"]]
"""Inputs and labels of a split; splits differ in their number of rows."""


SUMS = ("loss_sum", "correct", "count")
TRAINED = tuple(f"train/{name}" for name in (*SUMS, "grad_norm_sum", "weight_norm_sum", "steps"))
"""Names of what is measured while an epoch trains."""


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


def quantities(evaluate: Iterable[str], *, attends: bool) -> list[str]:
    """Return the names of what is measured after an epoch, splits in the order of their names: jax sorts a dict's."""
    names = [f"{split}/{name}" for split in sorted(evaluate) for name in SUMS]
    return names + [f"attention/{name}" for name in ("count", "sum", "squares", "maxabs") if attends]


def noted(history: dict[str, Array], i: Int[Array, ""], measured: dict[str, Array]) -> dict[str, Array]:
    """Return the history with what was measured at its place i."""
    return {name: values.at[i].set(measured[name]) for name, values in history.items()}


def keep_better(best: Best, now: Best) -> Best:
    """Return the later one where its loss is below that of all before it."""
    return jax.tree.map(partial(jnp.where, now.loss < best.loss), now, best)
