"""What the W&B panels show, as plain points: pure functions of the records, without W&B."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from coretx.evaluation.scores import Curve, Predictions, SplitScores, mean_pr, mean_roc, split_scores
from coretx.training.loop import EpochRecord

MAX_POINTS = 400
"""Points of one line: as many as a panel has pixels, about, and as a curve of a page has."""
PASSING_POINTS = 100
"""Points of a line that the next plot replaces."""
MAX_ROWS = 2_500
"""Rows of one panel's table, a fourth of W&B's own limit: six lines of MAX_POINTS, or 62 of 40. A row costs 20 us of
Python, and each cell has six such panels."""
CURVES = ("roc", "pr")
"""The kinds of curve of a split, as SplitScores names them."""


def plot_epochs(epochs: int) -> frozenset[int]:
    """Return the epochs, counted from 0, after which the line plots are drawn: the middle one and the last.

    A drawing is six tables that hold all epochs so far, 10 ms each; the scalars are logged after every epoch in any
    case.

    >>> sorted(plot_epochs(1)), sorted(plot_epochs(1000))
    ([0], [500, 999])
    """
    return frozenset({epochs // 2, epochs - 1})


def thin(curve: Curve, limit: int = MAX_POINTS) -> Curve:
    """Return at most `limit` of the curve's own points, evenly spaced in their order, both ends kept."""
    if len(curve.x) <= limit:
        return curve
    kept = np.linspace(0, len(curve.x) - 1, limit).round().astype(int)
    return Curve(curve.x[kept], curve.y[kept])


def curve_lines(scores: SplitScores, predictions: Predictions | None) -> dict[str, dict[str, Curve]]:
    """Return {"roc" and "pr": {label: line}} of one split; no lines for a split with one class.

    One member: a line per class, "0" and "1"; class 0's is that of the negated logits against the swapped labels, and
    is left out where the predictions are not at hand. Several members: class 1, a line per member ("1 (member 0)") and
    the mean of these lines ("1 (mean)"); their mean logits would be the curve of a model that nobody trained.
    """
    if len(scores.roc) == 1 and predictions is not None:
        swapped = split_scores(-predictions.logits, 1 - predictions.y)
        return {name: {"0": getattr(swapped, name)[0], "1": getattr(scores, name)[0]} for name in CURVES}
    if len(scores.roc) == 1:
        return {name: {"1": getattr(scores, name)[0]} for name in CURVES}
    lines = {name: {f"1 (member {i})": line for i, line in enumerate(getattr(scores, name))} for name in CURVES}
    if scores.roc:
        lines["roc"]["1 (mean)"] = mean_roc(scores.roc)
        lines["pr"]["1 (mean)"] = mean_pr(scores.pr)
    return lines


def curve_rows(lines: Mapping[str, Curve], limit: int = MAX_POINTS) -> tuple[list[list[str | float]], int]:
    """Return the lines as rows [label, x, y], and how many points they had before each was thinned to `limit`.

    The limit is lower where so many lines would have more than MAX_ROWS.
    """
    limit = min(limit, MAX_ROWS // max(len(lines), 1))
    thinned = {label: thin(curve, limit) for label, curve in lines.items()}
    rows = [[label, float(x), float(y)] for label, line in thinned.items() for x, y in zip(line.x, line.y, strict=True)]
    return rows, sum(len(curve.x) for curve in lines.values())


def confusion_rows(scores: SplitScores) -> list[list[str | int]]:
    """Return the counts, summed over members, as rows [actual, predicted, count]."""
    return [[str(y), str(answer), int(scores.confusion[y, answer])] for y in (0, 1) for answer in (0, 1)]


def summarise(metrics: Mapping[str, Float[np.ndarray, " member"]]) -> tuple[dict[str, float], dict[str, float]]:
    """Return key -> mean over members, and, of several, key -> sample standard deviation.

    A metric that is not finite in some member is left out: W&B would store the word "NaN" among the numbers.

    >>> summarise({"loss": np.array([1.0, 2.0, 3.0])})
    ({'loss': 2.0}, {'loss': 1.0})
    """
    if not metrics:
        return {}, {}
    table = np.array(list(metrics.values()), dtype=np.float64)  # at once: key by key it took a third of a row's time
    names, finite = list(metrics), np.isfinite(table).all(axis=1)
    if not np.all(finite):
        names, table = np.array(names)[finite].tolist(), table[finite]
    if table.shape[1] == 1:
        return dict(zip(names, table[:, 0].tolist(), strict=True)), {}
    means, stds = table.mean(axis=1).tolist(), table.std(axis=1, ddof=1).tolist()
    return dict(zip(names, means, strict=True)), dict(zip(names, stds, strict=True))


class Histories:
    """The means of every epoch so far of each model of a run: what its line plots show."""

    def __init__(self) -> None:
        self._points: dict[tuple[str, str], list[tuple[int, float]]] = {}

    def add(self, prefix: str, record: EpochRecord, means: Mapping[str, float]) -> None:
        """Add one epoch of one model."""
        for metric, mean in means.items():
            self._points.setdefault((prefix, metric), []).append((record.epoch, mean))

    def curve(self, prefix: str, metric: str) -> Curve:
        """Return one metric of one model over its epochs; empty where none was finite."""
        points = np.array(self._points.get((prefix, metric), []), dtype=np.float64).reshape(-1, 2)
        return Curve(points[:, 0], points[:, 1])
