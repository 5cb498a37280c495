"""How sure a score is: its mean, deviation and 95 % interval over members, and its 95 % interval over rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from coretx.evaluation.scores import Predictions, SplitScores, wilson_interval
from coretx.tasks.splits import SplitCounts

Interval = tuple[float, float]
BOUNDS = {"accuracy": (0.0, 1.0), "loss": (0.0, math.inf), "auc": (0.0, 1.0), "average_precision": (0.0, 1.0)}
"""The scores of a split, with the range of each."""


@dataclass(frozen=True)
class Summary:
    """A score over members, None where it has no finite value; and what it would be with others, at 95 %.

    `std` is the sample standard deviation (n - 1) over members, `members` the interval for the mean of other members on
    the same rows; both are None for a single member. `rows` is the interval for the same members on other rows.
    """

    mean: float | None
    std: float | None = None
    members: Interval | None = None
    rows: Interval | None = None


def summaries(
    scores: SplitScores, predictions: Predictions | None, counts: SplitCounts | None, *, last: bool = False
) -> dict[str, Summary]:
    """Return each score of a split by its name; with `last`, `scores` are of the last epoch.

    Over members: Student, "The probable error of a mean", 1908. Over rows: Wilson's interval for the accuracy; for the
    area under ROC the same with n the rarer class, since no classifier of this area varies more than A (1 - A) / n
    (Birnbaum and Klose, "Bounds for the variance of the Mann-Whitney statistic", 1957); for average precision with n
    the rows of class 1 (Boyd, Eng and Page, "Area under the precision-recall curve", 2013); Student's for the loss,
    which is a mean over rows. Where the side of the task's space is small the units are its problems in place of rows:
    as wide as if rows of one problem were all alike.
    """
    units = _units(scores, counts)
    found = {}
    for name, bounds in BOUNDS.items():
        values = getattr(scores, name)
        if not np.isfinite(values).all():
            found[name] = Summary(None)
            continue
        mean, std = float(np.mean(values, dtype=np.float64)), deviation(values)
        over_members = None if std is None else student_interval(mean, std, len(values), bounds)
        if name == "loss":
            over_rows = None if predictions is None else _loss_interval(mean, predictions, last, units[name])
        else:
            over_rows = wilson_interval(mean, units[name])
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


def _units(scores: SplitScores, counts: SplitCounts | None) -> dict[str, int]:
    """Return on how many independent units each score stands at least."""
    positives, negatives, n = scores.positives, scores.n - scores.positives, scores.n
    if counts is not None and counts.small_space:
        (negatives, positives), n = counts.distinct_keys, counts.keys
    return {"accuracy": n, "loss": n, "auc": min(negatives, positives), "average_precision": positives}


def _loss_interval(mean: float, predictions: Predictions, last: bool, units: int) -> Interval | None:
    logits = predictions.last_logits if last else predictions.logits
    if logits is None or units < 2:
        return None
    logits = logits.astype(np.float64)
    rows = (np.logaddexp(0, logits) - predictions.y * logits).mean(axis=0)
    return student_interval(mean, deviation(rows) or 0.0, units, BOUNDS["loss"])
