"""The dashboard's small multiples: accuracy on test by epoch, a panel for each task, a line for each model."""

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
"""Kinds of lines there are: further models begin again with the first."""


@dataclass(frozen=True)
class Panel:
    """One task's panel: its lines as (model, kind of line, points of the path), the values as a table beneath."""

    task: str
    title: str
    alt: str
    lines: Sequence[tuple[str, int, str]]
    values: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Axes:
    """What all panels have in common: the last epoch, on a logarithmic axis, and the lowest accuracy shown."""

    last: int
    low: float

    @property
    def epochs(self) -> list[int]:
        """The powers of ten up to the last epoch."""
        return [10**power for power in range(math.floor(math.log10(self.last)) + 1)]

    def x(self, epoch: Any) -> Any:
        """Return where an epoch, or each of an array of them, lies."""
        return LEFT + np.log(epoch) / max(math.log(self.last), 1e-9) * (WIDTH - LEFT - RIGHT)

    def y(self, accuracy: Any) -> Any:
        """Return where an accuracy, or each of an array of them, lies."""
        return TOP + (1 - accuracy) / (1 - self.low) * (HEIGHT - TOP - BOTTOM)

    @property
    def grid(self) -> dict[str, list[tuple[str, str]]]:
        """Ticks as (place, words), along x and along y."""
        shares = [share / 10 for share in range(round(10 * self.low), 11) if share % 5 == 0 or self.low > 0.5]
        return {
            "x": [(f"{self.x(epoch):.1f}", count(epoch)) for epoch in self.epochs],
            "y": [(f"{self.y(share):.1f}", f"{100 * share:.0f}%") for share in shares],
        }


def learning_panels(
    configuration: Configuration,
    curves: Mapping[str, CurveRow],
    tasks: Sequence[str],
    models: Sequence[str],
    titles: Mapping[str, str],
) -> dict:
    """Return what the figure needs: panels, axes, the legend and the epochs of the table; no panels where no curve is.

    `curves` are by the ids of their cells.
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
        return {"panels": []}
    axes = Axes(
        last=max(int(epochs[-1]) for epochs, _ in every),
        low=min(0.4, math.floor(10 * alike(min(float(accuracy.min()) for _, accuracy in every))) / 10),
    )
    kinds = {model: place % LINES for place, model in enumerate(models)}
    shown = sorted({*axes.epochs, axes.last})
    return {
        "panels": [_panel(task, titles.get(task) or task, drawn, axes, kinds, shown) for task, drawn in found.items()],
        "grid": axes.grid,
        "chance": f"{axes.y(0.5):.1f}",
        "legend": [(model, kind) for model, kind in kinds.items() if any(model in drawn for drawn in found.values())],
        "epochs": [count(epoch) for epoch in shown],
    }


def _panel(
    task: str, title: str, drawn: Mapping[str, tuple], axes: Axes, kinds: Mapping[str, int], shown: Sequence[int]
) -> Panel:
    lines, values, words = [], [], []
    for model, (epochs, accuracy) in drawn.items():
        path = " ".join(f"{x:.0f},{y:.1f}" for x, y in zip(axes.x(epochs), axes.y(accuracy), strict=True))
        lines.append((model, kinds[model], path))
        values.append((model, [_at(epoch, epochs, accuracy) for epoch in shown]))
        words.append(f"{model} {percent(float(accuracy[-1]))}")
    alt = f"{title}: accuracy on test by epoch, after the last one {', '.join(words)}."
    return Panel(task, title, alt, lines, values)


def _at(epoch: int, epochs: Int[np.ndarray, " point"], accuracy: Float[np.ndarray, " point"]) -> str:
    """Return the accuracy at the known epoch that is nearest, nothing after the last."""
    if epoch > epochs[-1]:
        return ""
    return percent(float(accuracy[np.abs(epochs - epoch).argmin()]))
