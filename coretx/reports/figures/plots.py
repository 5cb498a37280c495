"""The figures of the reports: functions that return a matplotlib figure."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float, Int
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter

from coretx.evaluation.scores import Calibration, Curve, SplitScores, mean_pr, mean_roc, wilson_interval
from coretx.reports.figures.curves import POINTS, envelope, thin
from coretx.reports.figures.style import CHANCE, COLOUR, DASHED, LINES, PAGE_COLOURS, STYLE
from coretx.tasks.splits import SPLIT_NAMES

MEMBER_LINES = 50
"""The most members drawn one by one; their mean is over all."""
FIFTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def new_axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """Return a figure of a page's half width, with empty axes of these names."""
    figure = Figure()
    axes = figure.subplots()
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.margins(x=0.01)
    return figure, axes


def with_legend(figure: Figure, axes: Axes, columns: int = 4) -> Figure:
    """Return the figure with a legend above the axes; its rows make the figure higher, not the axes lower."""
    lines, names = axes.get_legend_handles_labels()
    rows = -(-len(names) // columns)
    height = 2.65 + 0.19 * rows
    figure.set_figheight(height)
    figure.subplots_adjust(left=0.165, right=0.965, top=1 - (0.12 + 0.19 * rows) / height, bottom=0.45 / height)
    figure.legend(lines, names, loc="upper left", bbox_to_anchor=(0.165, 1 - 0.03 / height), ncols=columns)
    return figure


def loss_curves(history: Mapping[str, Float[np.ndarray, "member epoch"]]) -> Figure:
    """Return the loss per epoch: train while training, test after the epoch; mean of the members and their range.

    The values must be finite (see `curves.finite_part`). Without an epoch the axes are empty.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = new_axes("Epoch", "Loss (nats)")
        drawn = _draw_history(axes, history, "loss")
        lowest, highest = min(map(np.min, drawn), default=0.0), max(map(np.max, drawn), default=0.0)
        if lowest > 0 and highest / lowest > 50:  # decades
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(numticks=7))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.minorticks_off()
        elif drawn:
            axes.set_ylim(bottom=0)
        return with_legend(figure, axes)


def accuracy_curves(history: Mapping[str, Float[np.ndarray, "member epoch"]], chance: float) -> Figure:
    """Return the accuracy per epoch, as `loss_curves`, with a line for always answering the more frequent class."""
    with matplotlib.rc_context(STYLE):
        figure, axes = new_axes("Epoch", "Accuracy")
        drawn = _draw_history(axes, history, "accuracy")
        axes.axhline(chance, label="chance", **CHANCE)
        low = min([chance, *(float(values.min()) for values in drawn)])
        axes.set_ylim(low - 0.04, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        return with_legend(figure, axes)


def roc_curves(scores: Mapping[str, SplitScores]) -> Figure:
    """Return the ROC curve of each split: a thin line per member, and the mean of several members."""
    with matplotlib.rc_context(STYLE):
        figure, axes = new_axes("False positive rate", "True positive rate")
        for split, score in scores.items():
            _draw_members(axes, split, score.roc, mean_roc, POINTS, "default")
        axes.plot([0, 1], [0, 1], label="chance", **CHANCE)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.03), xticks=FIFTHS, yticks=FIFTHS)
        return with_legend(figure, axes)


def pr_curves(scores: Mapping[str, SplitScores]) -> Figure:
    """Return the precision-recall curve of each split, as `roc_curves`; chance is the share of positives."""
    with matplotlib.rc_context(STYLE):
        figure, axes = new_axes("Recall", "Precision")
        for split, score in scores.items():
            # Half as many points, since a step draws two; "pre": a recall's precision holds for the recalls before it.
            _draw_members(axes, split, score.pr, mean_pr, POINTS // 2 - 1, "steps-pre")
        for number, share in enumerate(sorted({score.positives / score.n for score in scores.values() if score.pr})):
            axes.axhline(share, label=None if number else "chance", **CHANCE)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.03), xticks=FIFTHS, yticks=FIFTHS)
        return with_legend(figure, axes)


def confusion_matrix(confusion: Int[np.ndarray, "2 2"], split: str) -> Figure:
    """Return the counts of label by prediction; the tint of a cell is its share of the row."""
    with matplotlib.rc_context(STYLE):
        figure, axes = new_axes("Predicted class", "Label")
        figure.subplots_adjust(left=0.11, right=0.6, top=0.97, bottom=0.16)
        axes.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), xticks=(0, 1), yticks=(0, 1))
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        rows = confusion.sum(axis=1)
        for (label, predicted), count in np.ndenumerate(confusion):
            share = count / rows[label] if rows[label] else 0.0
            what = f"{100 * share:.1f}% of label {label}" if rows[label] else f"no row of label {label}"
            tint = Rectangle(
                (predicted - 0.49, label - 0.48), 0.98, 0.96, color=COLOUR[split], alpha=0.06 + 0.34 * share
            )
            axes.add_patch(tint)
            axes.text(predicted, label - 0.06, f"{count:,}", ha="center", va="center", fontsize=15)
            axes.text(predicted, label + 0.26, what, ha="center", va="center", fontsize=8)
        return figure


def reliability(found: Calibration, members: int) -> Figure:
    """Return the share of class 1 against the mean probability given, by bin, above the number of answers by bin.

    DeGroot and Fienberg, "The comparison and evaluation of forecasters", 1983. Intervals count each row once.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure()
        axes, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
        filled = found.count > 0
        count, given = found.count[filled], found.probability[filled] / found.count[filled]
        share = found.positives[filled] / count
        ends = [wilson_interval(float(p), max(round(n / members), 1)) for p, n in zip(share, count, strict=True)]
        axes.plot([0, 1], [0, 1], label="calibrated", **CHANCE)
        axes.vlines(given, *zip(*ends, strict=True), color=COLOUR["test"], linewidth=1, alpha=0.6)
        axes.plot(given, share, color=COLOUR["test"], marker="o", markersize=3.5, label="test")
        axes.set(ylabel="Share of label 1", ylim=(-0.04, 1.04), xlim=(-0.01, 1.01), xticks=FIFTHS)
        edges = np.linspace(0, 1, len(found.count) + 1)
        below.stairs(found.count, edges, fill=True, color=COLOUR["test"], alpha=0.5, linewidth=0)
        below.set(xlabel="Probability given to label 1", ylabel="Answers")
        below.yaxis.set_major_locator(MaxNLocator(nbins=2, integer=True))
        return with_legend(figure, axes)


def to_svg(figure: Figure, prefix: str, alt: str) -> Markup:
    """Return the figure as inline SVG for a page, with an alternative text. The same figure gives the same bytes.

    Ids begin with the prefix, so that a page can have several figures. The page's variables replace colours and font.
    Coordinates keep two decimals, a hundredth of a point.
    """
    file = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    _, _, text = file.getvalue().partition("<svg")
    view = re.findall('viewBox="(.*?)"', text)[0]
    _, _, shapes = text.partition("</style>")  # a rule for `*`, which style.css has for figures alone

    def of_page(found: re.Match) -> str:
        tag = re.sub(r'( id="|href="#|url\(#)', rf"\1{prefix}-", found[0]).replace("xlink:", "")
        tag = tag.replace("'DejaVu Sans'", "var(--sans)")
        tag = re.sub(r"#[0-9a-f]{6}", lambda colour: PAGE_COLOURS.get(colour[0], colour[0]), tag)
        return re.sub(r"(\.\d\d)\d+", r"\1", tag)

    shapes = re.sub(r"<[^>]+>", of_page, "<defs>" + shapes)
    return Markup('<svg viewBox="{}" role="img" aria-label="{}" class="plot">').format(view, alt) + Markup(shapes)


def accuracy_by_size(
    series: Mapping[str, Sequence[tuple[float, float, float, float]]], x_label: str, *, log: bool
) -> Figure:
    """Return the accuracy against a size, on a logarithmic or linear axis, with a line for each point's interval.

    `series` maps a name to its points (size, accuracy, low, high); points of equal size are drawn side by side. A name
    without points is not drawn, and the others keep their colours. The dashed line is chance at even odds.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = new_axes(x_label, "Accuracy")
        sizes = sorted({point[0] for points in series.values() for point in points})
        for place, (name, points) in enumerate(series.items()):
            if not points:
                continue
            x, accuracy, low, high = np.array(points, float).T
            kind = place % len(LINES)
            colour, dashes = LINES[kind], (0, (5, 2)) if kind in DASHED else "solid"
            aside = (place - (len(series) - 1) / 2) * 0.006
            x = x * (sizes[-1] / sizes[0]) ** aside if log else x + (sizes[-1] - sizes[0]) * aside
            literal = name.encode(errors="replace").decode().replace("$", r"\$")  # a CSV may hold any name
            axes.plot(x, accuracy, color=colour, linestyle=dashes, marker="o", markersize=3, label=literal)
            axes.vlines(x, low, high, color=colour, linewidth=0.8, alpha=0.5)
        axes.axhline(0.5, label="chance", **CHANCE)
        axes.set_xscale("log" if log else "linear")
        axes.margins(x=0.03)
        axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        longest = max(map(len, series), default=0)
        return with_legend(figure, axes, columns=2 if longest < 28 else 1)  # else one name pushes others out of view


def to_file(figure: Figure) -> str:
    """Return the figure as an SVG file of its own, on white. The same figure gives the same bytes."""
    file = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None}, facecolor="white")
    return file.getvalue()


def _draw_history(axes: Axes, history: Mapping[str, np.ndarray], quantity: str) -> list[np.ndarray]:
    drawn = []
    for split, label, width in (("train", "train, running", 1.0), ("val", "validation", 1.0), ("test", "test", 1.4)):
        if f"{quantity}_{split}" not in history:
            continue
        values = history[f"{quantity}_{split}"]
        epochs = np.arange(1, values.shape[1] + 1)
        if not len(epochs):
            continue
        if len(values) > 1:
            x, low, high = envelope(epochs, values)
            axes.fill_between(x, low, high, color=COLOUR[split], alpha=0.2, linewidth=0)
        marker = "o" if len(epochs) < 4 else ""
        x, mean = thin(epochs, values.mean(axis=0))
        axes.plot(x, mean, color=COLOUR[split], linewidth=width, marker=marker, markersize=3, label=label)
        drawn.append(values)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    return drawn


def _draw_members(
    axes: Axes,
    split: str,
    curves: Sequence[Curve],
    mean: Callable[[Sequence[Curve]], Curve],
    limit: int,
    drawstyle: str,
) -> None:
    if not curves:
        return
    style: dict[str, Any] = {"color": COLOUR[split], "drawstyle": drawstyle, "solid_joinstyle": "round"}
    if len(curves) > 1:
        shown = curves[:: -(-len(curves) // MEMBER_LINES)]
        for curve in shown:
            x, y = _thinned(curve, max(30, min(limit, 480 // len(shown))))
            axes.plot(x, y, linewidth=0.6, alpha=0.45, **style)
    x, y = _thinned(mean(curves) if len(curves) > 1 else curves[0], limit)
    axes.plot(x, y, linewidth=1.5, label=SPLIT_NAMES[split], **style)


def _thinned(curve: Curve, limit: int) -> tuple[np.ndarray, ...]:
    # Steps and thinning both need recall to ascend; scikit-learn's descends.
    x, y = (curve.x[::-1], curve.y[::-1]) if curve.x[0] > curve.x[-1] else (curve.x, curve.y)
    return thin(x, y, limit)
