"""From the samples of a measurement to the figures that are shown."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.speed.comparison import Spread, ratios, spread
from benchmarks.speed.contestants import MANY
from benchmarks.speed.worker import LOWER

LADDER_EPOCHS = 1000
"""Epochs of a cell of the ladder: what the cold figures are scaled to."""

Model = Mapping[str, Any]
"""What `rounds.measure_model` returns."""
Result = Mapping[str, Any]
"""One of its contestants."""


class Cold(NamedTuple):
    """A whole cell from the start of a process on, in seconds: the first chunk as measured, the rest scaled."""

    start: float
    """Until the first chunk of epochs is trained: imports, compiling, data."""
    cell: float


def find(model: Model, contestant: str, members: int) -> Result | None:
    """Return a contestant's result for so many members; None where it was not measured.

    Who trains members one after the other was measured with one, which stands for any number.
    """
    for result in model["contestants"]:
        wanted = members if contestant in MANY else 1
        if result["contestant"] == contestant and result["members"] == wanted and result["samples"]:
            return result
    return None


def rates(model: Model, result: Result, clock: str = "seconds") -> dict[int, float]:
    """Return the member-steps per second of each round, by the samples' clock of this name."""
    steps = model["steps"] * result["members"]
    return {sample["round"]: steps / sample[clock] for sample in result["samples"]}


def against(model: Model, result: Result, other: str, clock: str = "seconds") -> Spread | None:
    """Return how many times as many member-steps per second the result has as the other contestant, round by round.

    By `cpu_seconds` the seconds are those of processors, as many as were used.
    """
    base = find(model, other, result["members"])
    return ratios(rates(model, result, clock), rates(model, base, clock)) if base else None


def peak_rate(rates: Mapping[str, float]) -> float:
    """Return the best rate at the precision that is trained with: a product of lower precision is no peak of it.

    >>> peak_rate({"jax, highest": 4e13, "jax, default": 3e14})
    40000000000000.0
    """
    return max(rate for name, rate in rates.items() if name != f"jax, {LOWER}")


def best_peak(run: Mapping[str, Any]) -> float:
    """Return the highest peak of all rounds: what another program took from the machine in a round is no share."""
    return max(peak_rate(rates) for model in run["models"].values() for rates in model["peak"])


def share_of_peak(model: Model, result: Result, run: Mapping[str, Any], evaluation: bool) -> Spread:
    """Return the matrix operations per second of each round as a share of the run's peak.

    Those of the training steps alone or, with `evaluation`, those of the passes after each epoch too.
    """
    n, epochs = run["arguments"]["n_samples"], run["arguments"]["epochs"]
    one = model["operations"]
    row = one["forward"] + one["backward"] + evaluation * (one["forward"] + one["scores"])
    done = row * n * epochs * result["members"]
    return spread(done / sample["seconds"] / best_peak(run) for sample in result["samples"])


def cold(result: Result, members: int, epochs: int) -> Cold:
    """Return the cold times for so many members; those of a contestant with one member are scaled."""
    chunk = spread(sample["seconds"] for sample in result["samples"]).median
    repeats = members / result["members"]
    start = result["start"]["cold"]
    return Cold(start, start + (repeats * LADDER_EPOCHS / epochs - 1) * chunk)


def compile_seconds(result: Result) -> float | None:
    """Return what compiling took: as the engine tells, or for torch.compile what the first chunk took longer."""
    if result["contestant"] == "jax":
        return result["start"]["compile"]
    if result["contestant"] == "compiled":
        return result["start"]["first"] - result["settled_seconds"]
    return None
