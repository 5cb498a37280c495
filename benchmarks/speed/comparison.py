"""Ratios between the samples of one round, and the check that all contestants did the same work."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

BOUND = 2e-5
"""Largest difference between two contestants' losses, of any member, after any epoch, in nats.

Float32 rounding came to at most 4.2e-6 in a chunk of 25 epochs (seven models, all contestants, CPU and GPU). Cheats
differ by more: no weight decay by 2e-4, one row of an epoch's first batch twice by 1e-3, a batch left out by 2e-2.
"""

Losses = Mapping[str, Sequence[Sequence[float]]]
"""`loss_train` and `loss_test` as [member][epoch]."""
Model = Mapping[str, Any]
"""The record of one model: see `rounds.measure_model`."""
Result = Mapping[str, Any]
"""The record of one of its contestants."""


class Spread(NamedTuple):
    """The median and the range of a figure over the rounds."""

    median: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread:
    """Return median and range of at least one value.

    >>> spread([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.0, high=3.0)
    """
    ordered = sorted(values)
    return Spread(statistics.median(ordered), ordered[0], ordered[-1])


def ratios(above: Mapping[int, float], below: Mapping[int, float]) -> Spread:
    """Return the spread of above / below, round by round: a slow round slows both.

    >>> ratios({0: 4.0, 1: 9.0}, {0: 2.0, 1: 3.0, 2: 1.0})
    Spread(median=2.5, low=2.0, high=3.0)
    """
    return spread(above[k] / below[k] for k in above.keys() & below.keys())


def find(model: Model, contestant: str, members: int) -> Result | None:
    """Return a contestant's result for this number of members, or None.

    Torch trains members one after the other, so that its rate with one member holds for any number.
    """
    wanted = (contestant, members if contestant == "jax" else 1)
    found = (one for one in model["contestants"] if (one["contestant"], one["members"]) == wanted and one["samples"])
    return next(found, None)


def rates(model: Model, result: Result) -> dict[int, float]:
    """Return the member-steps per second of each round."""
    steps = model["steps"] * result["members"]
    return {sample["round"]: steps / sample["seconds"] for sample in result["samples"]}


def against(model: Model, result: Result, other: str) -> Spread | None:
    """Return the result's member-steps per second over the other contestant's, round by round."""
    base = find(model, other, result["members"])
    return ratios(rates(model, result), rates(model, base)) if base else None


def difference(a: Losses, b: Losses) -> float:
    """Return the largest difference of losses over the members that both have; inf if one is not finite."""
    shared = min(len(a["loss_train"]), len(b["loss_train"]))
    largest = max(float(np.abs(np.subtract(a[name][:shared], b[name][:shared])).max()) for name in a)
    return largest if np.isfinite(largest) else float("inf")


def disagreement(losses: Sequence[Losses]) -> list[float]:
    """Return for each contestant its largest difference from any other; 0 for a single contestant."""
    worst = [0.0] * len(losses)
    for i, j in combinations(range(len(losses)), 2):
        found = difference(losses[i], losses[j])
        worst[i], worst[j] = max(worst[i], found), max(worst[j], found)
    return worst


def faults(model: str, contestants: Sequence[Result]) -> list[str]:
    """Return a sentence for every contestant whose work differed from the rest, or between samples."""
    found = []
    for one in contestants:
        name = f"{model}, {one['contestant']}, {one['members']} members"
        drift = max([0.0, *(sample["drift"] for sample in one["samples"])])
        if one["disagreement"] > BOUND:
            found.append(f"{name}: a loss is {one['disagreement']:.1e} from another's, more than {BOUND:.0e}")
        if drift > BOUND:
            found.append(f"{name}: a loss moved by {drift:.1e} between samples, more than {BOUND:.0e}")
        if one["measured"] != contestants[0]["measured"]:
            found.append(f"{name}: it did not measure what {contestants[0]['contestant']} did after each epoch")
    return found
