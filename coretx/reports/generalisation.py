"""The page that the dashboard links: how accuracy grows with the rows trained on. From the CSV files alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from coretx.reports import figures
from coretx.reports.benchmark_csv import BenchmarkRow
from coretx.reports.formatting import count, counted, interval, percent
from coretx.reports.learning_curves import LearningCurves, Point, learning_curves
from coretx.reports.templating import POLICY, render


def render_generalisation(
    rows: Sequence[BenchmarkRow],
    *,
    task_titles: Mapping[str, str],
    task_order: Sequence[str],
    model_order: Sequence[str],
) -> str | None:
    """Return the page as one self-contained HTML file, or None where there is nothing to show.

    Tasks and models stand in the orders given, unknown ones after them by name.
    """
    curves = learning_curves(rows)
    sections = []
    for task in sorted({found.task for found in curves}, key=_in_order(task_order)):
        parts = [
            _section(found, f"curve-{len(sections)}-{place}", model_order)
            for place, found in enumerate(found for found in curves if found.task == task)
        ]
        sections.append({"title": task_titles.get(task) or task, "parts": parts})
    return render("generalisation.html", policy=POLICY, sections=sections) if sections else None


def _in_order(order: Sequence[str]) -> Any:
    places = {name: place for place, name in enumerate(order)}
    return lambda name: (places.get(name, len(places)), name)


def _section(curves: LearningCurves, prefix: str, model_order: Sequence[str]) -> dict[str, Any]:
    models = {model: curves.models[model] for model in sorted(curves.models, key=_in_order(model_order))}
    points = [point for found in models.values() for point in found.values()]
    sizes = [
        {
            "trained": count(size),
            "asked": _span(point.test.n_samples for point in points if point.trained == size),
            "test": _span(point.test.rows or point.test.n_samples for point in points if point.trained == size),
        }
        for size in curves.sizes
    ]
    ceilings = {model: _ceiling(list(found.values())) for model, found in models.items()}
    return {
        "id": prefix,
        "label": curves.label,
        "sizes": sizes,
        "lines": [
            {"model": model, "cells": [_cell(found.get(size)) for size in curves.sizes], "ceiling": ceilings[model]}
            for model, found in models.items()
        ],
        "ceilings": any(ceilings.values()),
        "hidden": counted(curves.hidden, "other result") if curves.hidden else "",
        "figure": _figure(models, prefix) if len(sizes) > 1 else None,
    }


def _span(values: Any) -> str:
    """Return the lowest and the highest of some counts, or the one that all are."""
    values = sorted(set(values))
    return "\N{EN DASH}".join(count(value) for value in dict.fromkeys((values[0], values[-1])))


def _ceiling(points: Sequence[Point]) -> str:
    known = {point.test.ceiling for point in points} - {None, 1.0}
    return ", ".join(percent(value) for value in sorted(value for value in known if value is not None))


def _cell(point: Point | None) -> dict[str, Any] | None:
    """Return what one cell of the table shows; None for a size that this model was not trained on."""
    if point is None:
        return None
    test, ends = point.test, point.interval
    if test.accuracy is None or ends is None:
        return {"text": "diverged", "std": "", "interval": "", "marks": []}
    marks = ["small space"] * test.small_space + ["alarm"] * test.alarm
    std = "" if test.accuracy_std is None else percent(test.accuracy_std)
    return {"text": percent(test.accuracy), "std": std, "interval": interval(*ends), "marks": marks}


def _figure(models: Mapping[str, Mapping[int, Point]], prefix: str) -> Any:
    series = {
        model: [
            (float(size), point.test.accuracy, *point.interval)
            for size, point in sorted(found.items())
            if point.test.accuracy is not None and point.interval is not None
        ]
        for model, found in models.items()
    }
    series = {model: points for model, points in series.items() if points}
    ends = "; ".join(
        f"{model} from {percent(points[0][1])} at {count(int(points[0][0]))} to {percent(points[-1][1])} at "
        f"{count(int(points[-1][0]))} rows"
        for model, points in series.items()
    )
    figure = figures.accuracy_by_size(series, "Rows trained on", log=True)
    return figures.to_svg(figure, prefix, f"Accuracy on test against rows trained on: {ends or 'nothing finite'}.")
