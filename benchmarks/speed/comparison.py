"""What the samples say: spreads, ratios between contestants of one round, and whether all did the same work."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

BOUND = 2e-5
"""Largest difference between two contestants' losses, of any member, after any epoch, in nats.

Float32 rounding came to at most 4.2e-6 in a chunk of 25 epochs (seven models, all contestants, CPU and GPU). What would
be found: no weight decay makes at least 2e-4, one row of an epoch's first batch twice 1e-3, a batch left out 2e-2.
"""

Losses = Mapping[str, Sequence[Sequence[float]]]
"""`loss_train` and `loss_test` as [member][epoch]."""


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
    """Return the spread of above / below, round by round: what slowed the machine in a round slowed both.

    >>> ratios({0: 4.0, 1: 9.0}, {0: 2.0, 1: 3.0, 2: 1.0})
    Spread(median=2.5, low=2.0, high=3.0)
    """
    return spread(above[k] / below[k] for k in above.keys() & below.keys())


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean.

    >>> round(geometric_mean([2.0, 8.0]), 6)
    4.0
    """
    return statistics.geometric_mean(values)


def disagreement(losses: Sequence[Losses]) -> list[float]:
    """Return for each contestant how far its losses are from any other's, over the members that both have.

    Not finite where a loss is not; 0 for one that stands alone.
    """
    worst = [0.0] * len(losses)
    for i, j in combinations(range(len(losses)), 2):
        apart = max(difference(losses[i][name], losses[j][name]) for name in losses[i])
        worst[i], worst[j] = max(worst[i], apart), max(worst[j], apart)
    return worst


def difference(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> float:
    """Return the largest difference of losses [member][epoch] over the members that both have; inf for a nan."""
    shared = min(len(a), len(b))
    apart = np.abs(np.subtract(a[:shared], b[:shared])).max()
    return float(apart) if np.isfinite(apart) else float("inf")


def faults(model: str, contestants: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for every contestant that did other work than the rest, or not the same each time."""
    found = []
    for one in contestants:
        name = f"{model}, {one['contestant']}, {one['members']} members"
        drift = max([0.0, *(sample["drift"] for sample in one["samples"])])
        if one["disagreement"] > BOUND:
            found.append(f"{name}: a loss is {one['disagreement']:.1e} from another's, more than {BOUND:.0e}")
        if drift > BOUND:
            found.append(f"{name}: a loss moved by {drift:.1e} between samples, more than {BOUND:.0e}")
        if one["start"]["measured"] != contestants[0]["start"]["measured"]:
            found.append(f"{name}: it did not measure what {contestants[0]['contestant']} did after each epoch")
    return found
