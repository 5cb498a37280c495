"""Intervals of scores: mean, deviation and 95 % interval over members, and 95 % interval over rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from coretx.evaluation.scores import Predictions, SplitScores, row_losses, wilson_interval
from coretx.tasks.splits import SplitCounts

Interval = tuple[float, float]
BOUNDS = {"accuracy": (0.0, 1.0), "loss": (0.0, math.inf), "auc": (0.0, 1.0), "average_precision": (0.0, 1.0)}
"""The scores of a split, with the range of each."""


@dataclass(frozen=True)
class Summary:
    """The mean of a score over members (None if it is not finite), with two 95 % intervals.

    `std` is the sample standard deviation (n - 1) over members. `members` is the interval for the mean of other members
    on the same rows; both are None for a single member. `rows` is the interval for the same members on other rows.
    """

    mean: float | None
    std: float | None = None
    members: Interval | None = None
    rows: Interval | None = None


def summaries(
    scores: SplitScores, predictions: Predictions | None, counts: SplitCounts | None, *, last: bool = False
) -> dict[str, Summary]:
    """Return the summary of each score of a split by name; with `last`, `scores` are of the last epoch.

    Over members: Student, "The probable error of a mean", 1908. Over rows: Student's interval for the loss, Wilson's
    for the others, with the sample size of `effective_sizes`. For the area under ROC that is the rarer class: no
    classifier of area A varies more than A (1 - A) / n (Birnbaum and Klose, "Bounds for the variance of the
    Mann-Whitney statistic", 1957). For average precision it is class 1 (Boyd, Eng and Page, "Area under the
    precision-recall curve", 2013).
    """
    sizes = effective_sizes(scores, counts)
    found = {}
    for name, bounds in BOUNDS.items():
        values = getattr(scores, name)
        if not np.isfinite(values).all():
            found[name] = Summary(None)
            continue
        mean, std = float(np.mean(values, dtype=np.float64)), deviation(values)
        over_members = None if std is None else student_interval(mean, std, len(values), bounds)
        if name == "loss":
            over_rows = None if predictions is None else _loss_interval(mean, predictions, last, sizes[name])
        else:
            over_rows = wilson_interval(mean, sizes[name])
        found[name] = Summary(mean, std, over_members, over_rows)
    return found


def deviation(values: Float[np.ndarray, " n"] | Sequence[float]) -> float | None:
    """Return the sample standard deviation (n - 1), None for a single value."""
    return float(np.std(values, ddof=1, dtype=np.float64)) if len(values) > 1 else None


def student_interval(mean: float, std: float, n: int, bounds: tuple[float, float] = (-math.inf, math.inf)) -> Interval:
    """Return the 95 % interval for a mean of n values with this deviation, cut off at the bounds. n is at least 2.

    >>> [round(end, 3) for end in student_interval(0.5, 0.1, 2)]
    [-0.398, 1.398]
    """
    half = float(stdtrit(n - 1, 0.975)) * std / math.sqrt(n)
    return max(mean - half, bounds[0]), min(mean + half, bounds[1])


def effective_sizes(scores: SplitScores, counts: SplitCounts | None) -> dict[str, int]:
    """Return the effective sample size of each score: rows, or distinct problems on a small side."""
    positives, negatives, n = scores.positives, scores.n - scores.positives, scores.n
    if counts is not None and counts.small_space:
        (negatives, positives), n = counts.distinct_keys, counts.keys
    return {"accuracy": n, "loss": n, "auc": min(negatives, positives), "average_precision": positives}


def _loss_interval(mean: float, predictions: Predictions, last: bool, n: int) -> Interval | None:
    logits = predictions.last_logits if last else predictions.logits
    if logits is None or n < 2:
        return None
    rows = row_losses(logits.astype(np.float64), predictions.y).mean(axis=0)
    return student_interval(mean, deviation(rows) or 0.0, n, BOUNDS["loss"])
