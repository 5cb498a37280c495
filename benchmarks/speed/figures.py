"""The figures of the speed page: rates of the contestants, and costs as things grow."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from coretx.reports.figures.frame import new_axes
from coretx.reports.figures.style import CHANCE, INK, SERIES, STYLE


def speed_ratios(ratios: Mapping[str, Mapping[str, tuple[float, float, float]]], baseline: str) -> Figure:
    """Return bars of how many times as fast as the baseline each contestant is, by model, on a logarithmic axis.

    `ratios` maps a contestant to {model: (median, low, high)}; the line over a bar goes from low to high. A contestant
    without a model has no bar there.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = new_axes("", f"Rate / that of {baseline}")
        figure.set_size_inches(8.4, 3.4)
        models = list(dict.fromkeys(model for found in ratios.values() for model in found))
        width = 0.84 / max(len(ratios), 1)
        for place, (contestant, found) in enumerate(ratios.items()):
            x = np.array([models.index(model) for model in found]) + width * (place - (len(ratios) - 1) / 2)
            median, low, high = np.array(list(found.values())).T
            axes.bar(x, median - 1, width, bottom=1, color=SERIES[place % len(SERIES)], label=contestant)
            axes.vlines(x, low, high, color=INK, linewidth=0.8)
        axes.axhline(1, **CHANCE)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xticks(range(len(models)), [model.replace("_", "\n", 1) for model in models])
        axes.grid(visible=False, axis="x")
        figure.subplots_adjust(left=0.075, right=0.965, top=0.89, bottom=0.16)
        handles, labels = axes.get_legend_handles_labels()
        order = [place for column in range(5) for place in range(column, len(labels), 5)]  # matplotlib fills columns
        named = [handles[place] for place in order], [labels[place] for place in order]
        figure.legend(*named, loc="upper left", bbox_to_anchor=(0.075, 0.99), ncols=5)
        return figure


def scaling_curves(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], wanted: float) -> Figure:
    """Return lines of the cost of an operation over that at the middle size, by size over the middle one.

    `curves` maps what grows to (sizes, costs), each divided by its middle; `wanted` is the cost that the largest size
    should stay below.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = new_axes("Size / middle size", "Time per operation / middle's")
        figure.set_size_inches(8.4, 3.4)
        for place, (name, (sizes, costs)) in enumerate(curves.items()):
            axes.plot(sizes, costs, color=SERIES[place % len(SERIES)], marker="o", markersize=3, label=name)
        axes.axhline(wanted, label=f"{wanted:g}", **CHANCE)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_ylim(bottom=0)
        figure.subplots_adjust(left=0.075, right=0.6, top=0.97, bottom=0.14)
        figure.legend(*axes.get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(0.62, 0.97))
        return figure
