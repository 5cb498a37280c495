"""Write the reports: the only part of the package that touches the disk, always through `coretx.records.durable`."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from coretx.errors import UsageError
from coretx.evaluation.scores import Predictions
from coretx.models.spec import ModelSpec
from coretx.records import durable
from coretx.records.cell_config import CellConfig
from coretx.records.results import ModelResult
from coretx.records.store import load_ceilings, load_predictions, load_result
from coretx.reports.pages.dashboard import render_dashboard
from coretx.reports.pages.generalisation import render_generalisation
from coretx.reports.pages.model_page import Neighbour, neighbours, render_model_page
from coretx.reports.pages.score_context import page_name
from coretx.reports.pages.task_page import render_task_page
from coretx.reports.pages.verdicts import pairs_of
from coretx.reports.tables.benchmark import SCORES, BenchmarkRow, score_rows
from coretx.reports.tables.comparisons import COMPARISONS, comparison_rows
from coretx.reports.tables.configurations import CHOSEN, Configuration, configurations, ordered
from coretx.reports.tables.draws import OVERLAPS, SPLIT_COUNTS, split_rows
from coretx.reports.tables.files import Tables
from coretx.reports.tables.groups import GROUPS, LENGTHS, group_rows, length_rows
from coretx.reports.tables.training import COSTS, CURVES, cost_rows, curve_rows
from coretx.tasks.base import Task, check_name
from coretx.tasks.splits import Overlap, SplitCounts

HEAD_BYTES = 1000
"""A page's cell-id is among its first bytes, so many at most."""

RECIPE = re.compile(r"[a-z0-9_]*( [a-z0-9.-]+)?")

GENERALISATION = "generalisation.html"
"""The page beside the dashboard."""

CELL_ID = re.compile(rb'<meta name="cell-id" content="([0-9a-f]+)">')


def publish_rows(result: ModelResult, tables: Tables) -> None:
    """Put a cell into the tables about cells. Pages link to it as soon as its own page is written."""
    tables[SCORES].put(score_rows(result))
    tables[GROUPS].put(group_rows(result))
    tables[LENGTHS].put(length_rows(result))
    tables[COSTS].put(cost_rows(result))
    tables[CURVES].put(curve_rows(result))


def publish_splits(overlap: Overlap, counts: Mapping[str, SplitCounts], tables: Tables) -> None:
    """Put a draw of data into the tables about draws."""
    tables[OVERLAPS].put([OVERLAPS.row(overlap)])
    tables[SPLIT_COUNTS].put(split_rows(overlap, counts))


def is_published(result: ModelResult, tables: Tables) -> bool:
    """Return whether the cell is in the tables and its page is there."""
    row = tables[SCORES].get(result.config.id, "test")
    return row is not None and has_page(row, tables.out)


def publish_models(
    results: Sequence[ModelResult], task: Task, specs: Sequence[ModelSpec], tables: Tables, ids: Collection[str] = ()
) -> list[str]:
    """Compare the models of a task, then write the pages of these finished cells and the task's page.

    The order matters: pages show comparisons, and the task's page links the others. See `publish_comparisons` for
    `ids` and for the lines that come back.
    """
    order = [spec.name for spec in specs]
    notes = publish_comparisons(tables, task, order, ids)
    publish_pages(results, task, specs, tables)
    publish_task(tables, task, order)
    return notes


def publish_pages(results: Sequence[ModelResult], task: Task, specs: Sequence[ModelSpec], tables: Tables) -> None:
    """Write the pages of finished cells of a task, and the pages of the stored cells of their configurations.

    Of cells with one page, the last has it. A page names scores of other cells, its neighbours on the ladder and how
    they compare: put rows and comparisons into the tables before. A cell that is not stored keeps its page as it is.
    """
    claims = {spec.name: spec.claim for spec in specs}
    last = {_page_of(result.config, tables.out): result for result in results}
    fresh = {result.config.id: result for result in last.values()}
    stored, pairs = stored_cells(tables.out, task), pairs_of(tables[COMPARISONS].rows)
    around: dict[str, list[Neighbour]] = {cell: [] for cell in fresh}

    for configuration in _of_task(tables, task, fresh):
        of_model = {model: next(iter(cell.values())) for (_, model), cell in configuration.cells.items()}
        shown = {row.id for row in of_model.values() if row.id in fresh or _keeps_page(row, tables.out, last)}
        for model, row in of_model.items():
            if row.id in shown:
                around[row.id] = neighbours(configuration, task.name, model, specs, pairs, shown)
    rows = [row for row in tables[SCORES].rows if row.task == task.name]
    for cell, found in around.items():
        result = fresh.get(cell) or (load_result(stored[cell]) if cell in stored else None)
        if result is not None:
            claim = claims.get(result.config.model, "")
            html = render_model_page(result, task, claim=claim, published=rows, neighbours=found)
            durable.write_text(_page_of(result.config, tables.out), html)


def withdraw_outdated(tables: Tables, task: Task) -> dict[str, str]:
    """Remove the rows and pages of cells with the labels of an older rule: pages state the rule of today.

    Returns a line for each of these cells, by id. The cells themselves stay.
    """
    stored = stored_cells(tables.out, task)
    outdated = {id for id, path in stored.items() if _is_outdated((load_predictions(path) or {}).get("test"), task)}
    if not outdated:
        return {}
    for row in tables[SCORES].rows:
        if row.id in outdated and has_page(row, tables.out):
            _page_of(row, tables.out).unlink()
    tables.remove(outdated)
    why = f"{task.name} gives its test rows other labels today, or has inputs of another shape: train it again"
    return {id: f"left out of tables and pages: {stored[id]}: {why}" for id in stored if id in outdated}


def publish_comparisons(tables: Tables, task: Task, model_order: Sequence[str], ids: Collection[str] = ()) -> list[str]:
    """Compare the models of every configuration of a task, or of those alone that one of these cells is of.

    Returns a line for every cell that is left out, since its test rows are not those of the others of its
    configuration. Cells that are not stored here are not compared: their rows stay.
    """
    stored, notes = stored_cells(tables.out, task), []
    # A pair of chosen points is in two configurations, and has one row: the choice comes last, whatever the dates.
    found = sorted(_of_task(tables, task, ids), key=lambda each: (each.recipe.endswith(CHOSEN), each.setting))
    for configuration in found:
        cells = {model: next(iter(cell.values())).id for (_, model), cell in configuration.cells.items()}
        answers = {}
        for model in ordered(cells, model_order):
            known = load_predictions(stored[cells[model]]) if cells[model] in stored else None
            if known is not None and "test" in known:
                answers[model] = known["test"]
        alike, others = _of_the_same_rows(answers)
        notes += [
            f"{task.name}: {model} is not compared, its test rows are not those of the others" for model in others
        ]
        tables[COMPARISONS].put(comparison_rows(configuration, task, alike))
    return notes


def publish_task(tables: Tables, task: Task, model_order: Sequence[str]) -> Path | None:
    """Write the page of a task from the tables and its stored cells; None, and no page, if no row is of it."""
    own = [row for row in tables[SCORES].rows if row.task == task.name]
    if not own:
        return None
    path, stored = task_page_path(tables.out, task.name), stored_cells(tables.out, task)
    ceilings = {}
    for row in own:
        place = (row.protocol, row.negatives)
        if place not in ceilings and row.id in stored and (found := load_ceilings(stored[row.id])):
            ceilings[place] = found
    html = render_task_page(
        task,
        own,
        tables[OVERLAPS].rows,
        tables[SPLIT_COUNTS].rows,
        tables[COMPARISONS].rows,
        tables[CURVES].rows,
        ceilings,
        model_order=model_order,
        has_page=lambda row: has_page(row, tables.out),
    )
    durable.write_text(path, html)
    return path


def publish_dashboard(
    tables: Tables, *, task_titles: Mapping[str, str], task_order: Sequence[str], model_order: Sequence[str]
) -> Path:
    """Write the tables, and benchmarks/index.html with the page beside it, if any; return the dashboard's path.

    The tables are read again under the page's lock: if two runs end together, the later page has the rows of both.
    """
    out, path = tables.out, tables.out / "benchmarks" / "index.html"
    other = path.with_name(GENERALISATION)
    order = {"task_titles": task_titles, "task_order": task_order, "model_order": model_order}
    with durable.lock(path):
        tables.flush()
        rows = tables[SCORES].rows
        generalisation = render_generalisation(rows, tables[LENGTHS].rows, **order)
        html = render_dashboard(
            rows,
            tables[OVERLAPS].rows,
            tables[SPLIT_COUNTS].rows,
            tables[COMPARISONS].rows,
            tables[CURVES].rows,
            tables[COSTS].rows,
            **order,
            has_page=lambda row: has_page(row, out),
            has_task_page=lambda task: has_task_page(task, out),
            generalisation=None if generalisation is None else GENERALISATION,
        )
        if generalisation is None:
            other.unlink(missing_ok=True)
        else:
            durable.write_text(other, generalisation)
        durable.write_text(path, html)
    return path


def page_path(out: Path, task: str, model: str, backend: str, recipe: str = "") -> Path:
    """Return the path of a cell's page. Raises UsageError for a name that could lead out of the folder."""
    if RECIPE.fullmatch(recipe) is None:
        raise UsageError(f"a recipe is a name and at most one point of a grid, as in `original lr0.5x`; got {recipe!r}")
    return out / "artifacts" / check_name("task", task) / page_name(check_name("model", model), backend, recipe)


def _page_of(cell: BenchmarkRow | CellConfig, out: Path) -> Path:
    return page_path(out, cell.task, cell.model, cell.backend, cell.recipe)


def has_page(row: BenchmarkRow, out: Path) -> bool:
    """Return whether the page of this row's cell is there and shows this cell, not another one of the same name."""
    try:
        with _page_of(row, out).open("rb") as page:
            found = CELL_ID.search(page.read(HEAD_BYTES))
    except (OSError, UsageError):
        return False
    return found is not None and found[1].decode() == row.id


def _keeps_page(row: BenchmarkRow, out: Path, replaced: Collection[Path]) -> bool:
    """Return whether this row's cell has a page, and keeps it when these pages are replaced."""
    return has_page(row, out) and _page_of(row, out) not in replaced


def task_page_path(out: Path, task: str) -> Path:
    """Return the path of a task's page. Raises UsageError for a name that could lead out of the folder."""
    return out / "artifacts" / check_name("task", task) / "index.html"


def has_task_page(task: str, out: Path) -> bool:
    """Return whether the page of this task is there."""
    try:
        return task_page_path(out, task).is_file()
    except UsageError:
        return False


def stored_cells(out: Path, task: Task) -> dict[str, Path]:
    """Return the paths of a task's stored cells by id."""
    return {path.stem.split(".")[-1]: path for path in sorted((out / "artifacts" / task.name / "cells").glob("*.json"))}


def _is_outdated(test: Predictions | None, task: Task) -> bool:
    """Return whether the task gives these test rows other labels today, or none; False without rows."""
    if test is None:
        return False
    if test.x.shape[1:] != (task.sequence_length, task.feature_dim):
        return True
    try:
        return not np.array_equal(task.label(test.x), test.y)
    except Exception:  # a plugin's rule of today may fail on yesterday's rows
        return True


def _of_task(tables: Tables, task: Task, ids: Collection[str]) -> list[Configuration]:
    """Return the configurations of a task, or those that one of these cells is of."""
    found, wanted = configurations(row for row in tables[SCORES].rows if row.task == task.name), set(ids)
    return [part for part in found if not ids or wanted & {row.id for row in part.rows}]


def _of_the_same_rows(answers: Mapping[str, Predictions]) -> tuple[dict[str, Predictions], list[str]]:
    """Return the answers on the test rows that most models have, and the models that have others."""
    rows = {model: part.x.tobytes() + part.y.tobytes() for model, part in answers.items()}
    most = max(rows.values(), key=list(rows.values()).count, default=b"")
    return {model: answers[model] for model in rows if rows[model] == most}, [m for m in rows if rows[m] != most]
