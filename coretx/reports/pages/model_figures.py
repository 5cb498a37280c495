"""The matplotlib figures of a model page, each with an alternative text and its data as a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from coretx.evaluation.scores import Calibration, SplitScores, calibration, mean_pr, mean_roc, wilson_interval
from coretx.records.results import ModelResult
from coretx.reports.figures import plots as figures
from coretx.reports.figures.curves import finite_part
from coretx.reports.pages.formatting import DASH, between, count, counted, decimal, percent
from coretx.tasks.splits import SPLIT_NAMES, SPLITS

DRAWN = tuple(f"{quantity}_{split}" for quantity in ("loss", "accuracy") for split in SPLITS)
"""The quantities of the learning curves; a cell without validation lacks some."""

LISTED = 11
"""The most points of a curve in its table."""


@dataclass(frozen=True)
class Table:
    """The data of a figure: headings, and a row for each point or bin, its name first."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Plot:
    """A figure of the page: its SVG, its caption, and its data."""

    svg: Markup
    caption: str
    data: Table


def draw(result: ModelResult) -> dict[str, list[Plot]]:
    """Return the figures by section, at most six in all."""
    history = finite_part({key: result.history[key] for key in DRAWN if key in result.history})
    curves = [_history_plot(result, history, "loss"), _history_plot(result, history, "accuracy")]
    ranked = {split: scores for split, scores in result.scores.items() if scores.roc}
    found = {"curves": curves, "ranking": [], "confusion": [], "calibration": []}
    if ranked:
        found["ranking"] = [_ranking_plot(ranked, "roc"), _ranking_plot(ranked, "pr")]
    if "test" in result.scores:
        found["confusion"] = [_confusion_plot(result.scores)]
    if "test" in result.predictions:
        found["calibration"] = [_calibration_plot(result)]
    return found


def _history_plot(result: ModelResult, history: Mapping[str, np.ndarray], quantity: str) -> Plot:
    form = {"loss": decimal, "accuracy": percent}[quantity]
    chance = max((scores.chance for scores in result.scores.values()), default=0.5)
    figure = figures.loss_curves(history) if quantity == "loss" else figures.accuracy_curves(history, chance=chance)
    shown = {split: history[f"{quantity}_{split}"] for split in SPLITS if f"{quantity}_{split}" in history}
    ends = []
    for split, values in shown.items():
        mean = values.mean(axis=0)
        if len(mean):
            ends.append(f"{SPLIT_NAMES[split]} from {form(float(mean[0]))} to {form(float(mean[-1]))}")
    name = quantity.capitalize()
    alt = f"{name} over {counted(result.config.epochs, 'epoch')}: {'; '.join(ends) or 'nothing finite'}."
    band = " Lines are means over members, bands their range." if result.config.members > 1 else ""
    others = "validation and test" if "loss_val" in history else "test"
    caption = f"{name} per epoch. Train is measured while training, {others} after the epoch.{band}"
    epochs = min((values.shape[1] for values in shown.values()), default=0)
    listed = np.unique(np.linspace(0, epochs - 1, min(epochs, LISTED)).astype(int))
    rows = [[count(int(i) + 1), *(_spread(values[:, i], form) for values in shown.values())] for i in listed]
    table = Table(["Epoch", *(SPLIT_NAMES[split].capitalize() for split in shown)], rows)
    return Plot(figures.to_svg(figure, quantity, alt), caption, table)


def _spread(values: np.ndarray, form: Callable[[float], str]) -> str:
    mean = form(float(values.mean()))
    return mean if len(values) == 1 else f"{mean} ({between((float(values.min()), float(values.max())), form)})"


def _ranking_plot(scores: Mapping[str, SplitScores], kind: str) -> Plot:
    if kind == "roc":
        figure, mean, name, area = figures.roc_curves(scores), mean_roc, "ROC curve", "auc"
        across, up, word = "False positive rate", "true positive rate", "area under the curve"
    else:
        figure, mean, name, area = figures.pr_curves(scores), mean_pr, "Precision-recall curve", "average_precision"
        across, up, word = "Recall", "precision", "average precision"
    areas = [f"{SPLIT_NAMES[split]} {decimal(float(getattr(part, area).mean()))}" for split, part in scores.items()]
    members = len(next(iter(scores.values())).accuracy)
    lines = " A thin line per member, the thick one is their mean." if members > 1 else ""
    curves = [mean(getattr(part, kind), LISTED) for part in scores.values()]
    listed = zip(curves[0].x[-LISTED:], *(curve.y[-LISTED:] for curve in curves), strict=True)
    table = Table(
        [across, *(f"{SPLIT_NAMES[split].capitalize()}, {up}" for split in scores)],
        [[percent(float(value)) for value in row] for row in listed],
    )
    alt = f"{name}; {word}: {', '.join(areas)}."
    return Plot(figures.to_svg(figure, kind, alt), f"{name}.{lines}", table)


def _confusion_plot(scores: Mapping[str, SplitScores]) -> Plot:
    (true_negative, false_positive), (false_negative, true_positive) = scores["test"].confusion.tolist()
    alt = (
        f"Confusion matrix, test: label 0: {true_negative} predicted 0, {false_positive} predicted 1; "
        f"label 1: {false_negative} predicted 0, {true_positive} predicted 1."
    )
    members = len(scores["test"].accuracy)
    summed = f", summed over {members} members" if members > 1 else ""
    rows = [
        [f"{SPLIT_NAMES[split].capitalize()}, label {label}", *map(count, split_scores.confusion[label].tolist())]
        for split, split_scores in scores.items()
        for label in (0, 1)
    ]
    figure = figures.confusion_matrix(scores["test"].confusion, "test")
    table = Table(["Split and label", "Predicted 0", "Predicted 1"], rows)
    caption = f"Test: rows by label and prediction{summed}. The table has the other splits too."
    return Plot(figures.to_svg(figure, "confusion", alt), caption, table)


def _calibration_plot(result: ModelResult) -> Plot:
    test = result.predictions["test"]
    found = calibration(test.logits, test.y)
    figure = figures.reliability(found, len(test.logits))
    filled = int((found.count > 0).sum())
    alt = (
        f"Reliability diagram on test: share of label 1 against the probability given, in {counted(filled, 'bin')}; "
        f"expected calibration error {decimal(found.error)}, Brier score {decimal(found.brier)}."
    )
    pooled = f", answers of {len(test.logits)} members together" if len(test.logits) > 1 else ""
    caption = (
        f"Test{pooled}: of the answers that give label 1 a probability, how many have it. Bars are 95 % intervals over "
        f"rows (Wilson), below them the number of answers. Expected calibration error {decimal(found.error)}, Brier "
        f"score {decimal(found.brier)}."
    )
    return Plot(figures.to_svg(figure, "calibration", alt), caption, _calibration_table(found, len(test.logits)))


def _calibration_table(found: Calibration, members: int) -> Table:
    bins, rows = len(found.count), []
    for i, total in enumerate(found.count.tolist()):
        cells = [f"{between((i / bins, (i + 1) / bins), percent)}", count(total)]
        if total:
            share = found.positives[i] / total
            ends = wilson_interval(float(share), max(round(total / members), 1))
            cells += [percent(float(found.probability[i] / total)), percent(float(share)), between(ends, percent)]
        rows.append(cells + [DASH] * (5 - len(cells)))
    return Table(["Probability given", "Answers", "Mean given", "Have label 1", "95 % interval"], rows)
