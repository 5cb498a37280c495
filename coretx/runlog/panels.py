"""The panels of W&B as plain points: pure functions of the records, without wandb.

Their keys, below `<prefix>/`: `metrics/<line plot>` and `<split>/roc`, `<split>/pr`, `<split>/confusion`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from coretx.evaluation.scores import Curve, Predictions, SplitScores, mean_pr, mean_roc, split_scores
from coretx.records.results import ModelResult

MAX_POINTS = 400
"""Points of one line: about the pixels of a panel, and the points of a curve on a page."""
MAX_ROWS = 2_500
"""Rows of one panel's table, a fourth of W&B's own limit: six lines of MAX_POINTS, or 62 of 40. A row costs 20 us of
Python, and each cell has six such panels."""

LINE_PLOTS = {
    "loss": "loss_train",
    "accuracy_train_history": "accuracy_train",
    "loss_val_history": "loss_val",
    "accuracy_val_history": "accuracy_val",
    "loss_test_history": "loss_test",
    "accuracy_test_history": "accuracy_test",
}
"""Name of a line plot -> the metric it draws over the epochs, as a mean over members."""

Kind = Literal["line", "roc", "pr", "confusion"]
FORMATS: Mapping[Kind, tuple[str, dict[str, str], dict[str, str]]] = {
    "line": (
        "wandb/lineseries/v0",
        {"lineKey": "lineKey", "step": "step", "lineVal": "lineVal"},
        {"xname": "epoch"},
    ),
    "roc": (
        "wandb/area-under-curve/v0",
        {"class": "class", "x": "fpr", "y": "tpr"},
        {"x-axis-title": "False positive rate", "y-axis-title": "True positive rate"},
    ),
    "pr": (
        "wandb/area-under-curve/v0",
        {"class": "class", "x": "recall", "y": "precision"},
        {"x-axis-title": "Recall", "y-axis-title": "Precision"},
    ),
    "confusion": (
        "wandb/confusion_matrix/v1",
        {"Actual": "Actual", "Predicted": "Predicted", "nPredictions": "nPredictions"},
        {},
    ),
}
"""Kind -> W&B's definition of the panel, its fields by the columns of our table in their order, and its labels."""


@dataclass(frozen=True)
class Panel:
    """One panel: its kind, title and rows."""

    kind: Kind
    title: str
    rows: Sequence[list[Any]]


def line_plots(prefix: str, curves: Mapping[str, Curve]) -> dict[str, Panel]:
    """Return a line plot of each metric that LINE_PLOTS names."""
    panels = {}
    for name, metric in LINE_PLOTS.items():
        if metric in curves:
            rows, shown = line_rows({metric: curves[metric]})
            panels[f"{prefix}/metrics/{name}"] = Panel("line", f"{prefix}: {metric}{shown}", rows)
    return panels


def split_panels(prefix: str, split: str, result: ModelResult) -> dict[str, Panel]:
    """Return ROC and PR curve (none for a split with one class) and confusion matrix of one split."""
    scores = result.scores[split]
    panels = {}
    for kind in ("roc", "pr"):
        if scores.roc:
            rows, shown = line_rows(class_lines(kind, scores, result.predictions.get(split)))
            panels[f"{prefix}/{split}/{kind}"] = Panel(kind, f"{prefix}: {kind.upper()}, {split}{shown}", rows)
    counts = [[str(y), str(answer), int(scores.confusion[y, answer])] for y in (0, 1) for answer in (0, 1)]
    panels[f"{prefix}/{split}/confusion"] = Panel("confusion", f"{prefix}: confusion matrix, {split}", counts)
    return panels


def plot_epochs(epochs: int) -> frozenset[int]:
    """Return the epochs, counted from 0, after which the line plots are drawn: the middle one and the last.

    Six tables of all epochs so far take 10 ms each; the scalars are logged after every epoch in any case.

    >>> sorted(plot_epochs(1)), sorted(plot_epochs(1000))
    ([0], [500, 999])
    """
    return frozenset({epochs // 2, epochs - 1})


def class_lines(kind: Literal["roc", "pr"], scores: SplitScores, predictions: Predictions | None) -> dict[str, Curve]:
    """Return {label: ROC or PR curve} of a split with two classes.

    One member: a line per class, "0" and "1". Class 0's is the curve of the negated logits and swapped labels, left
    out without predictions. Several members: class 1, a line per member ("1 (member 0)") and the mean of these lines
    ("1 (mean)"); the curve of their mean logits would belong to a model that nobody trained.
    """
    curves: Sequence[Curve] = getattr(scores, kind)
    if len(curves) > 1:
        mean = {"roc": mean_roc, "pr": mean_pr}[kind]
        return {f"1 (member {i})": curve for i, curve in enumerate(curves)} | {"1 (mean)": mean(curves)}
    lines = {"1": curves[0]}
    if predictions is not None:
        swapped = split_scores(-predictions.logits, 1 - predictions.y)
        lines = {"0": getattr(swapped, kind)[0], **lines}
    return lines


def line_rows(lines: Mapping[str, Curve]) -> tuple[list[list[Any]], str]:
    """Return the lines as rows [label, x, y], and the words for a title if points were left out.

    A line keeps at most MAX_POINTS evenly spaced points, fewer if the rows would exceed MAX_ROWS.
    """
    limit = min(MAX_POINTS, MAX_ROWS // len(lines))
    rows = [
        [label, float(x), float(y)]
        for label, line in lines.items()
        for x, y in zip(thin(line.x, limit), thin(line.y, limit), strict=True)
    ]
    points = sum(len(line.x) for line in lines.values())
    return rows, f" ({len(rows)} of {points} points)" if len(rows) < points else ""


def thin(values: np.ndarray, limit: int) -> np.ndarray:
    """Return at most `limit` of the values, evenly spaced in their order, both ends kept.

    >>> thin(np.arange(9), 3)
    array([0, 4, 8])
    """
    if len(values) <= limit:
        return values
    return values[np.linspace(0, len(values) - 1, limit).round().astype(int)]
