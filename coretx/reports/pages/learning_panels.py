"""Small multiples of the learning curves: accuracy on test by epoch, a panel for each task, a line for each model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from coretx.reports.pages.formatting import alike, count, percent
from coretx.reports.tables.configurations import Configuration
from coretx.reports.tables.training import CurveRow, points

LEFT, RIGHT, TOP, BOTTOM, WIDTH, HEIGHT = 30.0, 4.0, 6.0, 16.0, 240.0, 150.0
"""The box of a panel and its margins, in the units of its drawing."""
LINES = 8
"""Kinds of lines: further models begin again with the first."""


@dataclass(frozen=True)
class Panel:
    """One task's panel: its lines as (model, kind of line, points of the path), and the values of its table."""

    task: str
    title: str
    alt: str
    lines: Sequence[tuple[str, int, str]]
    values: Sequence[tuple[str, Sequence[str]]]


def learning_panels(
    configuration: Configuration,
    curves: Mapping[str, CurveRow],
    tasks: Sequence[str],
    models: Sequence[str],
    titles: Mapping[str, str],
) -> dict[str, Any] | None:
    """Return the panels with their common axes, legend and epochs of the table; None without a curve.

    `curves` are by the ids of their cells. The epochs are on a logarithmic axis.
    """
    found: dict[str, dict[str, tuple]] = {}
    for task in tasks:
        for model in models:
            cell = configuration.cells.get((task, model), {})
            row = curves.get(next(iter(cell.values())).id) if cell else None
            if row is not None:
                found.setdefault(task, {})[model] = points(row)
    every = [curve for drawn in found.values() for curve in drawn.values()]
    if not every:
        return None
    last = max(int(epochs[-1]) for epochs, _ in every)
    low = min(0.4, math.floor(10 * alike(min(float(accuracy.min()) for _, accuracy in every))) / 10)
    kinds = {model: place % LINES for place, model in enumerate(models)}
    ticks = [10**power for power in range(math.floor(math.log10(last)) + 1)]
    shares = [share / 10 for share in range(round(10 * low), 11) if share % 5 == 0 or low > 0.5]
    shown = sorted({*ticks, last})

    def x(epoch: Any) -> Any:
        return LEFT + np.log(epoch) / max(math.log(last), 1e-9) * (WIDTH - LEFT - RIGHT)

    def y(accuracy: Any) -> Any:
        return TOP + (1 - accuracy) / (1 - low) * (HEIGHT - TOP - BOTTOM)

    def path(epochs: Int[np.ndarray, " point"], accuracy: Float[np.ndarray, " point"]) -> str:
        return " ".join(f"{right:.0f},{down:.1f}" for right, down in zip(x(epochs), y(accuracy), strict=True))

    def panel(task: str, drawn: Mapping[str, tuple]) -> Panel:
        title = titles.get(task) or task
        words = [f"{model} {percent(accuracy[-1])}" for model, (_, accuracy) in drawn.items()]
        return Panel(
            task,
            title,
            alt=f"{title}: accuracy on test by epoch, after the last one {', '.join(words)}.",
            lines=[(model, kinds[model], path(*curve)) for model, curve in drawn.items()],
            values=[(model, [_at(epoch, *curve) for epoch in shown]) for model, curve in drawn.items()],
        )

    return {
        "panels": [panel(task, drawn) for task, drawn in found.items()],
        "x": [(f"{x(epoch):.1f}", count(epoch)) for epoch in ticks],
        "y": [(f"{y(share):.1f}", f"{100 * share:.0f}%") for share in shares],
        "chance": f"{y(0.5):.1f}",
        "legend": [(model, kind) for model, kind in kinds.items() if any(model in drawn for drawn in found.values())],
        "epochs": [count(epoch) for epoch in shown],
    }


def _at(epoch: int, epochs: Int[np.ndarray, " point"], accuracy: Float[np.ndarray, " point"]) -> str:
    """Return the accuracy at the known epoch that is nearest, nothing after the last."""
    return "" if epoch > epochs[-1] else percent(accuracy[np.abs(epochs - epoch).argmin()])
