"""The page that the dashboard links: accuracy by rows trained on, and at other lengths. From the CSV files alone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from coretx.reports.figures import plots as figures
from coretx.reports.pages.formatting import alike, between, count, counted, percent
from coretx.reports.pages.learning_curves import LearningCurves, Point, learning_curves
from coretx.reports.pages.length_curves import LengthCurves, length_curves
from coretx.reports.pages.templating import POLICY, render
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.groups import LengthRow

Series = Mapping[str, Sequence[tuple[float, float, float, float]]]
"""Points (size, accuracy, low, high) by model, ascending."""


def render_generalisation(
    rows: Sequence[BenchmarkRow],
    lengths: Sequence[LengthRow],
    *,
    task_titles: Mapping[str, str],
    task_order: Sequence[str],
    model_order: Sequence[str],
) -> str | None:
    """Return the page as one self-contained HTML file, or None where there is nothing to show.

    Tasks and models stand in the orders given, unknown ones after them by name.
    """
    curves: list[LearningCurves | LengthCurves] = [*learning_curves(rows), *length_curves(rows, lengths)]
    sections = []
    for task in sorted({found.task for found in curves}, key=_in_order(task_order)):
        own = [found for found in curves if found.task == task]
        parts = []
        for found in own:
            models = sorted(found.models, key=_in_order(model_order))
            prefix = f"curve-{len(sections)}-{len(parts)}"
            if isinstance(found, LearningCurves):
                parts.append(_sizes_part(found, models, prefix))
            else:
                parts.append(_lengths_part(found, models, prefix))
        sections.append({"title": task_titles.get(task) or task, "parts": parts})
    return render("generalisation.html", policy=POLICY, sections=sections) if sections else None


def _in_order(order: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    places = {name: place for place, name in enumerate(order)}
    return lambda name: (places.get(name, len(places)), name)


def _sizes_part(curves: LearningCurves, models: Sequence[str], prefix: str) -> dict[str, Any]:
    """Return the figure and table of accuracy against the rows trained on."""
    heads = []
    for size in curves.sizes:
        tests = [found[size].test for found in curves.models.values() if size in found]
        asked = _span(test.n_samples for test in tests)
        note = "" if asked == count(size) else f"of {asked} asked"
        heads.append({"text": count(size), "note": note, "rows": _span(test.rows or test.n_samples for test in tests)})
    lines = []
    for model in models:
        found = curves.models[model]
        cells = [_cell(found[size]) if size in found else None for size in curves.sizes]
        lines.append({"model": model, "cells": cells, "ceiling": _ceiling(found.values())})
    series = {model: _drawn(curves.models[model].items()) for model in models}
    return {
        "id": prefix,
        "label": curves.label,
        "what": "Rows trained on",
        "heads": heads,
        "lines": lines,
        "ceilings": any(line["ceiling"] for line in lines),
        "hidden": counted(curves.hidden, "other result") if curves.hidden else "",
        "figure": _figure(series, prefix, "rows trained on") if len(heads) > 1 and any(series.values()) else None,
    }


def _lengths_part(curves: LengthCurves, models: Sequence[str], prefix: str) -> dict[str, Any]:
    """Return the figure and table of accuracy against the number of steps."""
    heads, lines, series = [], [], {}
    for size in curves.sizes:
        tests = [found[size].rows for found in curves.models.values() if size in found]
        tests = [row.rows or row.n_samples for row in curves.cells.values()] if size == curves.trained else tests
        heads.append(
            {"text": count(size), "note": "trained on" if size == curves.trained else "", "rows": _span(tests)}
        )
    for model in models:
        trained = Point(curves.trained, curves.cells[model])
        found: dict[int, Point | LengthRow] = {**curves.models[model], curves.trained: trained}
        cells = [_cell(found[size]) if size in found else None for size in curves.sizes]
        lines.append({"model": model, "cells": cells, "ceiling": ""})
        series[model] = _drawn(found.items())
    series = {model: points if len(points) > 1 else [] for model, points in series.items()}
    return {
        "id": prefix,
        "label": curves.label,
        "what": "Steps",
        "heads": heads,
        "lines": lines,
        "ceilings": False,
        "hidden": "",
        "figure": _figure(series, prefix, "steps") if any(series.values()) else None,
    }


def _span(values: Iterable[int]) -> str:
    """Return the lowest and the highest of some counts, or the one that all are."""
    values = sorted(set(values))
    return "\N{EN DASH}".join(count(value) for value in dict.fromkeys((values[0], values[-1])))


def _ceiling(points: Iterable[Point]) -> str:
    known = {point.test.ceiling for point in points if point.test.ceiling is not None and alike(point.test.ceiling) < 1}
    return ", ".join(percent(value) for value in sorted(known))


def _measured(found: Point | LengthRow) -> tuple[float, float, float] | None:
    """Return accuracy and the ends of its interval; None where there are none."""
    if isinstance(found, Point):
        return None if found.test.accuracy is None else (found.test.accuracy, *found.interval)
    if found.accuracy is None or found.low is None or found.high is None:
        return None
    return found.accuracy, found.low, found.high


def _cell(found: Point | LengthRow) -> dict[str, Any]:
    """Return what one cell of a table shows."""
    measured, row = _measured(found), found.test if isinstance(found, Point) else found
    if measured is None:
        return {
            "text": "diverged" if isinstance(found, Point) else "not applicable",
            "std": "",
            "interval": "",
            "marks": [],
        }
    marks = ["small space"] * row.small_space + ["alarm"] * row.alarm if isinstance(row, BenchmarkRow) else []
    std = "" if row.accuracy_std is None else percent(row.accuracy_std)
    return {"text": percent(measured[0]), "std": std, "interval": between(measured[1:], percent), "marks": marks}


def _drawn(found: Iterable[tuple[int, Point | LengthRow]]) -> list[tuple[float, float, float, float]]:
    return [(float(size), *measured) for size, one in sorted(found) if (measured := _measured(one)) is not None]


def _words(point: tuple[float, float, float, float]) -> str:
    return f"{percent(point[1])} at {point[0]:,.0f}"


def _figure(series: Series, prefix: str, what: str) -> Any:
    ends = "; ".join(
        f"{model} {_words(points[0])} to {_words(points[-1])}" for model, points in series.items() if points
    )
    figure = figures.accuracy_by_size(series, what.capitalize(), log=what != "steps")
    return figures.to_svg(figure, prefix, f"Accuracy on test against {what}: {ends or 'nothing finite'}.")
