"""The dashboard: models by tasks, a table for each split, and what explains the scores. From the CSV files alone."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any
from urllib.parse import quote

from scipy.special import stdtrit

from coretx.models.spec import VIEWS
from coretx.reports.pages.formatting import alike, count, counted, percent, seconds, span
from coretx.reports.pages.learning_panels import learning_panels
from coretx.reports.pages.score_context import HasPage, Score, ScoreContext, data_spread, draw_of, draws_of
from coretx.reports.pages.templating import SCRIPT, SCRIPT_POLICY, render
from coretx.reports.pages.verdicts import gain, pairs_of
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.comparisons import ComparisonRow, ladder_steps
from coretx.reports.tables.configurations import (
    ENGINE_TITLES,
    Configuration,
    RowsBySplit,
    configurations,
    engine_title,
    ordered,
)
from coretx.reports.tables.draws import OverlapRow, SplitRow
from coretx.reports.tables.training import CostRow, CurveRow
from coretx.tasks.splits import SPLITS

SPLIT_ORDER = ("test", "val", "train")
"""Of the tables: the split that counts comes first."""


def render_dashboard(
    rows: Sequence[BenchmarkRow],
    overlaps: Sequence[OverlapRow],
    splits: Sequence[SplitRow],
    comparisons: Sequence[ComparisonRow] = (),
    curves: Sequence[CurveRow] = (),
    costs: Sequence[CostRow] = (),
    *,
    task_titles: Mapping[str, str],
    task_order: Sequence[str],
    model_order: Sequence[str],
    has_page: HasPage,
    has_task_page: Callable[[str], bool] = lambda task: False,
    generalisation: str | None = None,
) -> str:
    """Return the dashboard as one self-contained HTML file.

    Tasks and models come in the orders given, unknown ones after them by name. A score links to its cell's page if
    has_page is true, a task to its page likewise; generalisation is the address of that page, if there is one.
    """
    context, pairs, draws = ScoreContext(rows, splits, has_page), pairs_of(comparisons), draws_of(rows)
    curve_of, cost_of = {row.id: row for row in curves}, {row.id: row for row in costs}
    every_task = ordered({row.task for row in rows}, task_order)
    titles = {task: task_titles.get(task) or task for task in every_task}
    found = configurations(rows)

    def names(*configurations: Configuration) -> dict[str, list[str]]:
        places = {place for configuration in configurations for place in configuration.cells}
        tasks, models = ({place[axis] for place in places} for axis in (0, 1))
        return {"tasks": ordered(tasks, task_order), "models": ordered(models, model_order)}

    def section(configuration: Configuration) -> dict[str, Any]:
        tasks, models = names(configuration).values()
        cells = {model: [configuration.cells.get((task, model), {}) for task in tasks] for model in models}
        tests = {model: [cell.get("test") for cell in line] for model, line in cells.items()}
        tables = {
            split: {model: [context.score(cell, split) for cell in line] for model, line in cells.items()}
            for split in ordered({row.split for row in configuration.rows}, SPLIT_ORDER)
        }
        gains = [
            (model, before, [gain(*rows, pairs) for rows in zip(tests[model], tests[before], strict=True)])
            for before, model in pairwise(models)
        ]
        spreads = [(model, [data_spread(row, draws) for row in line]) for model, line in tests.items()]
        return {
            "configuration": configuration,
            "tasks": tasks,
            "tables": tables,
            "foot": table_foot(configuration, context.chances, tasks),
            "gains": gains if any(any(line) for _, _, line in gains) else [],
            "data": spreads if any(any(line) for _, line in spreads) else [],
            "learning": learning_panels(configuration, curve_of, tasks, models, titles),
            "costs": [(model, cost_line(line, cost_of)) for model, line in cells.items()],
            "runs": run_lines(configuration, cost_of, titles),
            "overlap": overlap_lines(configuration, overlaps, splits, tasks),
            "provenance": _provenance(configuration),
        }

    sections = [section(configuration) for configuration in found]
    differences = [
        (one, other, names(one, other), difference_lines(one, other, **names(one, other)))
        for one, other in engine_pairs(found)
    ]
    engines = {name: engine_title(name) for name in ordered({one.backend for one in found}, tuple(ENGINE_TITLES))}
    engines |= {
        f"{one.backend}-{other.backend}": f"{engine_title(one.backend)} less {engine_title(other.backend)}"
        for one, other, *_ in differences
    }
    return render(
        "dashboard.html",
        policy=SCRIPT_POLICY,
        script=SCRIPT,
        sections=sections,
        differences=differences,
        settings=list(dict.fromkeys(configuration.setting for configuration in found)),
        engines=engines,
        titles=titles,
        task_pages={task: f"../artifacts/{quote(task)}/index.html" for task in every_task if has_task_page(task)},
        generalisation=generalisation,
        mean_scores=mean_scores,
        family=len(ladder_steps()),
    )


def mean_scores(scores: Sequence[Score | None]) -> dict[str, float] | None:
    """Return the plain means of accuracy and loss over tasks; None if a task is missing or diverged."""
    rows = [score.row for score in scores if score and score.row.accuracy is not None]
    if len(rows) < len(scores):
        return None
    return {name: sum(getattr(row, name) for row in rows) / len(rows) for name in ("accuracy", "loss")}


def table_foot(
    configuration: Configuration, chances: Mapping[tuple, float], tasks: Sequence[str]
) -> list[tuple[str, str, list[float | None]]]:
    """Return the lines below the test scores: name, explanation, a value for each task.

    Chance is the share of the more frequent class in the test rows. A ceiling is that of a view below `full` which
    some model here has.
    """
    tests = [cell["test"] for cell in configuration.cells.values() if "test" in cell]
    chance = {row.task: chances.get(draw_of(row)) for row in tests}
    lines = [("Chance", "always the more frequent class of the test rows", [chance.get(task) for task in tasks])]
    for view in [view for view in VIEWS if view != "full"]:
        known = {row.task: row.ceiling for row in tests if row.view == view and row.ceiling is not None}
        why = f"the best accuracy for a model that sees {VIEWS[view]}"
        lines.append((f"Ceiling, {view}", why, [known.get(task) for task in tasks]))
    return [line for line in lines if any(value is not None for value in line[2])]


def cost_line(cells: Sequence[RowsBySplit], costs: Mapping[str, CostRow]) -> list[tuple[int | float | None, str]]:
    """Return what one model's training took, over its tasks, as numbers and texts.

    Mean test accuracy if no task is missing, parameters, steps, seconds in all, of training, of compilation, steps/s.
    `costs` are by cell id; a sum is over the tasks for which it is known.
    """
    rows = [next(iter(cell.values())) for cell in cells if cell]
    known = [costs[row.id] for row in rows if row.id in costs]
    tests = [cell["test"].accuracy for cell in cells if "test" in cell]
    scored = [accuracy for accuracy in tests if accuracy is not None]
    mean = sum(scored) / len(scored) if len(scored) == len(cells) else None
    timed = [row for row in known if row.steps is not None and row.seconds_train]
    steps, trained = sum(row.steps or 0 for row in timed), sum(row.seconds_train or 0.0 for row in timed)
    sizes = [row.parameters for row in rows]
    times = [
        _sum(row.seconds for row in rows),
        _sum(row.seconds_train for row in known),
        _sum(row.seconds_compile for row in known),
    ]
    return [
        (mean, percent(mean)),
        (max(sizes), span(sizes, count)),
        (steps or None, count(steps or None)),
        *((time, seconds(time)) for time in times),
        (steps / trained if trained else None, count(round(steps / trained) if trained else None)),
    ]


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def run_lines(configuration: Configuration, costs: Mapping[str, CostRow], titles: Mapping[str, str]) -> list[list[str]]:
    """Return a line for each commit, version and device: first and last date, what it trained and how long.

    Tasks come in the order of `titles`, unknown ones after them by name.
    """
    groups: dict[tuple[str, str, str], dict[str, BenchmarkRow]] = {}
    for row in configuration.rows:
        name = costs[row.id].device_name if row.id in costs else ""
        device = row.device if name in ("", row.device) else f"{row.device}: {name}"
        groups.setdefault((device, row.commit, row.version), {})[row.id] = row
    lines = []
    for group, cells in groups.items():
        dates = sorted(row.date[:16].replace("T", " ") for row in cells.values())
        names = ordered({row.task for row in cells.values()}, tuple(titles))
        tasks = list(dict.fromkeys(titles.get(name) or name for name in names))
        named = ", ".join(tasks[:3]) + (f" and {len(tasks) - 3} more" if len(tasks) > 3 else "")
        took = seconds(_sum(row.seconds for row in cells.values()))
        lines.append([dates[0], dates[-1], *group, counted(len(cells), "cell"), named, took])
    return sorted(lines)


def overlap_lines(
    configuration: Configuration,
    overlaps: Sequence[OverlapRow],
    splits: Sequence[SplitRow],
    tasks: Sequence[str],
) -> dict[str, list]:
    """Return the protocols, and for each part of a task's draws of this seed and size the rows of each protocol.

    A line is (task, part, [(overlap or None, split or None) or None]). Of a protocol drawn with several rules for
    negatives, the configuration's own rule is shown, else the last by name.
    """
    draw = (configuration.seed, configuration.n_samples)
    shown = {
        (row.task, row.split): row
        for row in sorted(overlaps, key=lambda row: (row.negatives == configuration.negatives, row.negatives))
        if (row.seed, row.n_samples) == draw and row.task in tasks
    }
    counts = {(row.task, row.split, row.negatives, row.seed, row.n_samples, row.part): row for row in splits}
    protocols, lines = sorted({protocol for _, protocol in shown}), []
    for task in tasks:
        drawn = [shown.get((task, protocol)) for protocol in protocols]
        for part in SPLITS:
            held = [row and counts.get((row.task, row.split, row.negatives, *draw, part)) for row in drawn]
            tests = drawn if part == "test" else [None] * len(drawn)
            if any(held) or any(tests):
                pairs = zip(tests, held, strict=True)
                lines.append((task, part, [pair if any(pair) else None for pair in pairs]))
    return {"protocols": protocols, "lines": lines}


@dataclass(frozen=True)
class Difference:
    """A score of one engine less that of another, with half the width of its 95 % interval, None for single members."""

    number: float
    half: float | None

    @property
    def sign(self) -> str:
        """`more` or `less` if the interval leaves out 0, else `even`."""
        if self.half is None or abs(self.number) <= self.half:
            return "even"
        return "more" if self.number > 0 else "less"


def engine_pairs(found: Sequence[Configuration]) -> list[tuple[Configuration, Configuration]]:
    """Return the configurations of each two engines that differ in the engine alone, the engines in order."""
    order = ordered({one.backend for one in found}, tuple(ENGINE_TITLES))
    by_engine = sorted(found, key=lambda one: order.index(one.backend))
    pairs = combinations(by_engine, 2)
    return [(one, other) for one, other in pairs if one.setting == other.setting and one.backend != other.backend]


def difference_lines(
    one: Configuration, other: Configuration, tasks: Sequence[str], models: Sequence[str]
) -> list[tuple[str, list[dict[str, Difference] | None]]]:
    """Return each model's differences on test by task, in accuracy and in loss; None if a score is missing.

    The interval is Welch's, "The generalization of Student's problem when several different population variances are
    involved", 1947, over the members of either engine.
    """

    def differences(task: str, model: str) -> dict[str, Difference] | None:
        first, second = (found.cells.get((task, model), {}).get("test") for found in (one, other))
        if first is None or second is None or first.accuracy is None or second.accuracy is None:
            return None
        return {name: _difference(first, second, name) for name in ("accuracy", "loss")}

    return [(model, [differences(task, model) for task in tasks]) for model in models]


def _difference(first: BenchmarkRow, second: BenchmarkRow, name: str) -> Difference:
    spreads = [(getattr(row, f"{name}_std"), row.members) for row in (first, second)]
    return Difference(alike(getattr(first, name) - getattr(second, name)), welch_half_width(*spreads[0], *spreads[1]))


def welch_half_width(first: float | None, n: int, second: float | None, m: int) -> float | None:
    """Return half the width of the 95 % interval for a difference of means; None if a deviation is not known.

    >>> round(welch_half_width(0.1, 5, 0.1, 5), 4), welch_half_width(0.0, 5, 0.0, 5), welch_half_width(None, 1, 0.1, 5)
    (0.1458, 0.0, None)
    """
    if first is None or second is None:
        return None
    parts = (first**2 / n, second**2 / m)
    if sum(parts) == 0:
        return 0.0
    df = sum(parts) ** 2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (m - 1))
    return float(stdtrit(df, 0.975)) * math.sqrt(sum(parts))


def _provenance(configuration: Configuration) -> str:
    rows = configuration.rows
    times = {row.id: row.seconds for row in rows if row.seconds is not None}
    parts = [
        counted(len(configuration.cells), "cell"),
        "version " + ", ".join(sorted({row.version for row in rows})),
        "commit " + ", ".join(sorted({_short(row.commit) for row in rows})),
        "device " + ", ".join(sorted({row.device for row in rows})),
        span((row.date[:10] for row in rows), dash=" to "),
        f"{seconds(sum(times.values()))} in all",
    ]
    return " · ".join(parts)


def _short(commit: str) -> str:
    digits, dash, dirty = commit.partition("-")
    return digits[:10] + dash + dirty
