"""The page that the dashboard links: accuracy by rows trained on, and at other lengths. From the CSV files alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from coretx.evaluation.scores import wilson_interval
from coretx.reports.figures import plots as figures
from coretx.reports.pages.formatting import alike, count, percent, span
from coretx.reports.pages.templating import render
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.configurations import Configuration, by_epochs, engine_title, grouped, ordered
from coretx.reports.tables.groups import LengthRow


@dataclass(frozen=True)
class Point:
    """A model's score on test at one size, with its 95 % interval over problems, None without a score."""

    row: BenchmarkRow | LengthRow
    rows: int
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Curves:
    """The curves of one task in one setting: each model's points by size, in rows trained on or in steps.

    `notes` has a remark on some sizes. `hidden` counts the cells that another cell hides which was trained on as many
    rows: it is newer, or had more rows asked for.
    """

    task: str
    label: str
    what: str
    models: Mapping[str, Mapping[int, Point]]
    notes: Mapping[int, str]
    hidden: int = 0

    @property
    def sizes(self) -> list[int]:
        """All sizes at which some model has a point, ascending."""
        return sorted({size for points in self.models.values() for size in points})

    @property
    def test_rows(self) -> list[str]:
        """The number of test rows at each size, over models."""
        models = self.models.values()
        return [span((points[size].rows for points in models if size in points), count) for size in self.sizes]

    @property
    def ceilings(self) -> dict[str, str]:
        """The ceilings below 1 of the models that have one; none over steps, where no ceiling is known."""
        found = {}
        for model, points in self.models.items():
            rows = [point.row for point in points.values() if isinstance(point.row, BenchmarkRow)]
            known = {row.ceiling for row in rows if row.ceiling is not None and alike(row.ceiling) < 1}
            if known and self.what != "steps":
                found[model] = ", ".join(percent(value) for value in sorted(known))
        return found


def render_generalisation(
    rows: Sequence[BenchmarkRow],
    lengths: Sequence[LengthRow],
    *,
    task_titles: Mapping[str, str],
    task_order: Sequence[str],
    model_order: Sequence[str],
) -> str | None:
    """Return the page as one self-contained HTML file, or None without any curve.

    Tasks and models come in the orders given, unknown ones after them by name.
    """
    curves: dict[str, list[Curves]] = {}
    for found in [*learning_curves(rows), *length_curves(rows, lengths)]:
        models = {model: found.models[model] for model in ordered(found.models, model_order)}
        curves.setdefault(found.task, []).append(replace(found, models=models))
    sections = []
    for place, task in enumerate(ordered(curves, task_order)):
        parts = [(found, _figure(found, f"curve-{place}-{part}")) for part, found in enumerate(curves[task])]
        sections.append((task_titles.get(task) or task, parts))
    return render("generalisation.html", sections=sections) if sections else None


def learning_curves(rows: Sequence[BenchmarkRow]) -> list[Curves]:
    """Return accuracy against the rows trained on, for every task and setting with more than one size asked for."""
    trained = {row.id: row.rows for row in rows if row.split == "train"}
    found = []
    for task, label, part in _settings([row for row in rows if row.split == "test"], sized=False):
        if len({row.n_samples for row in part}) == 1:
            continue
        models: dict[str, dict[int, Point]] = {}
        asked: dict[int, dict[str, int]] = {}
        for row in sorted(part, key=lambda row: (row.n_samples, row.date, row.id)):
            size = trained.get(row.id) or row.n_samples
            models.setdefault(row.model, {})[size] = _point(row)
            asked.setdefault(size, {})[row.model] = row.n_samples
        spans = {size: span(sizes.values(), count) for size, sizes in asked.items()}
        notes = {size: f"of {asked_for} asked" for size, asked_for in spans.items() if asked_for != count(size)}
        hidden = len(part) - sum(len(points) for points in models.values())
        found.append(Curves(task, label, "rows trained on", models, notes, hidden))
    return found


def length_curves(rows: Sequence[BenchmarkRow], lengths: Sequence[LengthRow]) -> list[Curves]:
    """Return accuracy against the number of steps, for every task and setting with a cell measured at other lengths."""
    by_id: dict[str, dict[int, LengthRow]] = {}
    for length in lengths:
        by_id.setdefault(length.id, {})[length.length] = length
    found = []
    for task, label, part in _settings([row for row in rows if row.split == "test" and row.id in by_id], sized=True):
        cells = {row.model: row for row in sorted(part, key=lambda row: (row.date, row.id))}
        trained = next(iter(by_id[part[0].id].values())).trained
        models = {}
        for model, row in cells.items():
            others = {length: _at_length(other) for length, other in by_id[row.id].items()}
            models[model] = others | {trained: _point(row)}
        found.append(Curves(task, label, "steps", models, {trained: "trained on"}))
    return found


def _settings(rows: Sequence[BenchmarkRow], *, sized: bool) -> Iterator[tuple[str, str, list[BenchmarkRow]]]:
    """Yield task, label and rows of each setting of everything but model and, unless sized, the rows asked for."""

    def setting_of(row: BenchmarkRow) -> tuple:
        size = row.n_samples if sized else 0
        return row.task, row.backend, row.protocol, row.recipe, size, row.seed, row.members, row.negatives

    for (task, *setting), group in sorted(grouped(rows, setting_of).items()):
        for part in by_epochs(group):
            epochs = tuple(sorted({row.epochs for row in part}))
            configuration = Configuration(*setting, epochs=epochs, cells={}, older=0)
            size = f"n = {count(part[0].n_samples)}" if sized else ""
            yield task, f"{engine_title(configuration.backend)} · {configuration.setting_with(size)}", part


def _point(row: BenchmarkRow) -> Point:
    rows = row.rows or row.n_samples
    return Point(row, rows, None if row.accuracy is None else wilson_interval(row.accuracy, row.keys or rows))


def _at_length(row: LengthRow) -> Point:
    return Point(row, row.rows, None if row.low is None or row.high is None else (row.low, row.high))


def _figure(curves: Curves, prefix: str) -> Any:
    """Return the figure of the curves, None where a table says it all."""
    steps = curves.what == "steps"
    series = {}
    for model, points in curves.models.items():
        scored = [(float(size), point.row.accuracy, point.interval) for size, point in sorted(points.items())]
        drawn = [(size, accuracy, *ends) for size, accuracy, ends in scored if accuracy is not None and ends]
        series[model] = drawn if len(drawn) > 1 or not steps else []
    if len(curves.sizes) == 1 or not any(series.values()):
        return None
    ends = "; ".join(f"{model} {_words(drawn[0])} to {_words(drawn[-1])}" for model, drawn in series.items() if drawn)
    figure = figures.accuracy_by_size(series, curves.what.capitalize(), log=not steps)
    return figures.to_svg(figure, prefix, f"Accuracy on test against {curves.what}: {ends}.")


def _words(point: tuple[float, float, float, float]) -> str:
    return f"{percent(point[1])} at {point[0]:,.0f}"
