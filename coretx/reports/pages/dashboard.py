"""The dashboard: models by tasks, one table for test and one for train, from the rows of the CSV files alone."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from coretx.reports.pages.costs import cost_lines, run_lines
from coretx.reports.pages.data_seeds import Draws, data_spread, draws_of
from coretx.reports.pages.engine_difference import ENGINES, both_engines, difference_lines, names_of_both
from coretx.reports.pages.formatting import counted, seconds
from coretx.reports.pages.learning_panels import learning_panels
from coretx.reports.pages.overlap_table import overlap_table
from coretx.reports.pages.score_context import best_reached
from coretx.reports.pages.score_tables import HasPage, page_name, score_lines
from coretx.reports.pages.table_footer import chances, column_foot
from coretx.reports.pages.templating import SCRIPT, policy_with_script, render
from coretx.reports.pages.verdicts import Gain, Pairs, gain, pairs_of
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.comparisons import ComparisonRow, ladder_steps
from coretx.reports.tables.configurations import Configuration, configurations, ordered
from coretx.reports.tables.draws import OverlapRow, SplitRow
from coretx.reports.tables.training import CostRow, CurveRow
from coretx.tasks.splits import SPLIT_NAMES

__all__ = ["page_name", "render_dashboard"]

SPLIT_ORDER = ("test", "val", "train")
"""The split that counts comes first."""


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

    Tasks and models stand in the orders given, unknown ones after them by name; a score links to its cell's page
    where has_page says that there is one, a task's name to its page likewise; generalisation is the address of the page
    beside it, if any.
    """
    pairs, reached, draws, known = pairs_of(comparisons), best_reached(rows), draws_of(rows), chances(splits)
    curve_of, cost_of = {row.id: row for row in curves}, {row.id: row for row in costs}
    sections: list[dict[str, Any]] = []
    found = configurations(rows)
    for configuration in found:
        tasks = ordered({task for task, _ in configuration.cells}, task_order)
        models = ordered({model for _, model in configuration.cells}, model_order)
        sections.append(
            {
                "engine": configuration.backend,
                "setting": configuration.setting,
                "label": configuration.label,
                "members": configuration.members,
                "tasks": [(task, task_titles.get(task) or task) for task in tasks],
                "tables": [
                    (
                        split,
                        SPLIT_NAMES.get(split, split),
                        score_lines(configuration, split, models, tasks, has_page, known, reached),
                    )
                    for split in ordered({row.split for row in configuration.rows}, SPLIT_ORDER)
                ],
                "foot": column_foot(configuration, splits, tasks),
                "gains": _gains(configuration, models, tasks, pairs),
                "data": _data(configuration, models, tasks, draws),
                "learning": learning_panels(configuration, curve_of, tasks, models, task_titles),
                "costs": cost_lines(configuration, cost_of, tasks, models),
                "runs": run_lines(configuration, cost_of, task_titles),
                **overlap_table(configuration, overlaps, splits, tasks, task_titles),
                "provenance": _provenance(configuration),
                "older": configuration.older,
            }
        )
    differences = []
    for setting, (jax, torch) in both_engines(found).items():
        tasks, models = names_of_both(jax, torch, task_order, model_order)
        titled = [(task, task_titles.get(task) or task) for task in tasks]
        differences.append({"setting": setting, "tasks": titled, "lines": difference_lines(jax, torch, tasks, models)})
    tasks = ordered({row.task for row in rows}, task_order)
    return render(
        "dashboard.html",
        policy=policy_with_script(SCRIPT),
        script=SCRIPT,
        sections=sections,
        differences=differences,
        settings=list(dict.fromkeys(section["setting"] for section in sections)),
        engines=[(name, ENGINES.get(name, name)) for name in ordered(_engines(sections, differences), tuple(ENGINES))],
        tasks=[(task, task_titles.get(task) or task) for task in tasks],
        task_pages={task: f"../artifacts/{quote(task)}/index.html" for task in tasks if has_task_page(task)},
        generalisation=generalisation,
        family=len(ladder_steps()),
    )


def _engines(sections: Sequence[Mapping[str, Any]], differences: Sequence[Any]) -> set[str]:
    return {section["engine"] for section in sections} | ({"difference"} if differences else set())


def _gains(
    configuration: Configuration, models: Sequence[str], tasks: Sequence[str], pairs: Pairs
) -> list[tuple[str, str, list[Gain | None]]]:
    """Return, for every two neighbours on the ladder, what the later added on each task; none where none is known."""

    def test(task: str, model: str) -> BenchmarkRow | None:
        return configuration.cells.get((task, model), {}).get("test")

    lines = [
        (model, before, [gain(test(task, model), test(task, before), pairs) for task in tasks])
        for before, model in pairwise(models)
    ]
    return lines if any(any(gains) for _, _, gains in lines) else []


def _data(
    configuration: Configuration, models: Sequence[str], tasks: Sequence[str], draws: Draws
) -> list[tuple[str, list[dict[str, str] | None]]]:
    """Return each model's spread over draws of data by task; none where there is one draw."""
    found = [
        (model, [data_spread(configuration.cells.get((task, model), {}).get("test"), draws) for task in tasks])
        for model in models
    ]
    lines = [(model, [spread and spread.texts for spread in spreads]) for model, spreads in found]
    return lines if any(any(spreads) for _, spreads in lines) else []


def _provenance(configuration: Configuration) -> str:
    rows = configuration.rows
    times = {row.id: row.seconds for row in rows if row.seconds is not None}
    dates = sorted({row.date[:10] for row in rows})
    parts = [
        counted(len(configuration.cells), "cell"),
        "version " + ", ".join(sorted({row.version for row in rows})),
        "commit " + ", ".join(sorted({_short(row.commit) for row in rows})),
        "device " + ", ".join(sorted({row.device for row in rows})),
        " to ".join(dict.fromkeys((dates[0], dates[-1]))),
        f"{seconds(sum(times.values()))} in all",
    ]
    return " · ".join(parts)


def _short(commit: str) -> str:
    digits, dash, dirty = commit.partition("-")
    return digits[:10] + dash + dirty
