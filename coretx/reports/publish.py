"""Write the reports: the only part of the package that touches the disk, always through `coretx.records.durable`."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from coretx.errors import UsageError
from coretx.evaluation.scores import Predictions
from coretx.models.spec import ModelSpec
from coretx.records import durable
from coretx.records.results import ModelResult
from coretx.records.store import load_ceilings, load_predictions
from coretx.reports.pages.dashboard import page_name, render_dashboard
from coretx.reports.pages.generalisation import render_generalisation
from coretx.reports.pages.ladder_neighbours import neighbours, render_rungs, with_rungs
from coretx.reports.pages.model_page import render_model_page
from coretx.reports.pages.task_page import render_task_page
from coretx.reports.pages.verdicts import pairs_of
from coretx.reports.tables import benchmark as benchmark_csv
from coretx.reports.tables import breakdown as breakdown_csv
from coretx.reports.tables import training as training_csv
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.comparisons import comparison_rows, read_comparisons, upsert_comparisons
from coretx.reports.tables.configurations import configurations, ordered
from coretx.tasks.base import Task, check_name
from coretx.tasks.splits import Overlap, SplitCounts

HEAD_BYTES = 1000
"""How far into a page its cell-id stands at the latest."""

RECIPE = re.compile(r"[a-z0-9_]*( [a-z0-9.-]+)?")

GENERALISATION = "generalisation.html"
"""The page beside the dashboard."""

CELL_ID = re.compile(rb'<meta name="cell-id" content="([0-9a-f]+)">')


def publish_model(result: ModelResult, task: Task, claim: str, out: Path) -> Path:
    """Put a cell into the tables and write its page; return the page's path."""
    publish_rows(result, out)
    return publish_page(result, task, claim, out)


def check_tables(out: Path) -> None:
    """Read every table that is there; UsageError for one that a run could not add its rows to (see `CsvTable.read`)."""
    benchmark_csv.read_rows(_benchmarking(out))
    benchmark_csv.read_overlaps(_overlap(out))
    benchmark_csv.read_splits(_splits(out))
    read_comparisons(_comparisons(out))
    training_csv.read_curves(_curves(out))
    training_csv.read_costs(_costs(out))
    breakdown_csv.read_lengths(_lengths(out))
    breakdown_csv.read_groups(out / "benchmarks" / "groups.csv")


def publish_rows(result: ModelResult, out: Path) -> None:
    """Put a cell into benchmarking.csv and the tables beside it. It is linked to once its page is there."""
    benchmark_csv.upsert(_benchmarking(out), benchmark_csv.rows(result))
    if groups := breakdown_csv.group_rows(result):
        breakdown_csv.upsert_groups(out / "benchmarks" / "groups.csv", groups)
    if lengths := breakdown_csv.length_rows(result):
        breakdown_csv.upsert_lengths(_lengths(out), lengths)
    training_csv.upsert_costs(_costs(out), [training_csv.cost_row(result)])
    if curves := training_csv.curve_rows(result):
        training_csv.upsert_curves(_curves(out), curves)


def is_published(result: ModelResult, out: Path) -> bool:
    """Tell whether the cell is in the table and its page is there."""
    return any(row.id == result.config.id and has_page(row, out) for row in benchmark_csv.read_rows(_benchmarking(out)))


def publish_page(result: ModelResult, task: Task, claim: str, out: Path) -> Path:
    """Write the page of a cell and return its path.

    It names what other cells reached: write it when their rows are in the table, and it is the same in any order.
    """
    config = result.config
    path = page_path(out, config.task, config.model, config.backend, config.recipe)
    published = benchmark_csv.read_rows(_benchmarking(out))
    durable.write_text(path, render_model_page(result, task, claim=claim, published=published))
    return path


def publish_splits(overlap: Overlap, counts: Mapping[str, SplitCounts], out: Path) -> None:
    """Put the record into overlap.csv and what each part of the same draw holds into splits.csv."""
    benchmark_csv.upsert_overlaps(_overlap(out), [benchmark_csv.overlap_row(overlap)])
    benchmark_csv.upsert_splits(_splits(out), benchmark_csv.split_rows(overlap, counts))


def publish_comparisons(out: Path, task: Task, model_order: Sequence[str], ids: Collection[str] = ()) -> list[str]:
    """Compare the models of every configuration of a task, or of those alone that one of these cells is of.

    Puts what is found into comparisons.csv and returns a line for every cell that has other test rows than the others
    of its configuration, and so is left out. Cells that are not stored here are not compared: their rows stay.
    """
    rows = [row for row in benchmark_csv.read_rows(_benchmarking(out)) if row.task == task.name]
    stored = {path.name.split(".")[-2]: path for path in (out / "artifacts" / task.name / "cells").glob("*.json")}
    notes, compared = [], []
    for configuration in configurations(rows):
        cells = {model: next(iter(cell.values())).id for (_, model), cell in configuration.cells.items()}
        if ids and not set(ids) & set(cells.values()):
            continue
        answers = {}
        for model in ordered(cells, model_order):
            known = load_predictions(stored[cells[model]]) if cells[model] in stored else None
            if known is not None and "test" in known:
                answers[model] = known["test"]
        alike, others = _of_the_same_rows(answers)
        notes += [
            f"{task.name}: {model} is not compared, its test rows are not those of the others" for model in others
        ]
        compared += comparison_rows(configuration, task, alike)
    if compared:
        upsert_comparisons(_comparisons(out), compared)
    return notes


def publish_rungs(out: Path, task: Task, specs: Sequence[ModelSpec], ids: Collection[str] = ()) -> None:
    """Write into the page of every cell of a task what its neighbours on the ladder are and what each rung bought.

    Of the configurations that one of these cells is of, or of all. From the tables alone: see `publish_comparisons`.
    """
    rows = [row for row in benchmark_csv.read_rows(_benchmarking(out)) if row.task == task.name]
    pairs = pairs_of(read_comparisons(_comparisons(out)))
    for configuration in configurations(rows):
        cells = {model: next(iter(cell.values())) for (_, model), cell in configuration.cells.items()}
        if ids and not set(ids) & {row.id for row in cells.values()}:
            continue
        for model, row in cells.items():
            if not has_page(row, out):
                continue
            path = page_path(out, row.task, row.model, row.backend, row.recipe)
            found = neighbours(configuration, task.name, model, specs, pairs, lambda row: has_page(row, out))
            page = path.read_text(encoding="utf-8")
            durable.write_text(path, with_rungs(page, render_rungs(found)))


def _of_the_same_rows(answers: Mapping[str, Predictions]) -> tuple[dict[str, Predictions], list[str]]:
    """Return the answers on the test rows that most models have, and the models that have others."""
    rows = {model: part.x.tobytes() + part.y.tobytes() for model, part in answers.items()}
    most = max(rows.values(), key=list(rows.values()).count, default=b"")
    return {model: answers[model] for model in rows if rows[model] == most}, [m for m in rows if rows[m] != most]


def publish_task(out: Path, task: Task, model_order: Sequence[str]) -> Path | None:
    """Write the page of a task from the tables and its stored cells; None, and no page, where there is no row of it."""
    rows = benchmark_csv.read_rows(_benchmarking(out))
    own = [row for row in rows if row.task == task.name]
    if not own:
        return None
    path = task_page_path(out, task.name)
    stored = {path.name.split(".")[-2]: path for path in (out / "artifacts" / task.name / "cells").glob("*.json")}
    ceilings = {}
    for row in own:
        place = (row.protocol, row.negatives)
        if place not in ceilings and row.id in stored and (found := load_ceilings(stored[row.id])):
            ceilings[place] = found
    html = render_task_page(
        task,
        own,
        benchmark_csv.read_overlaps(_overlap(out)),
        benchmark_csv.read_splits(_splits(out)),
        read_comparisons(_comparisons(out)),
        training_csv.read_curves(_curves(out)),
        ceilings,
        model_order=model_order,
        has_page=lambda row: has_page(row, out),
    )
    durable.write_text(path, html)
    return path


def publish_dashboard(
    out: Path, *, task_titles: Mapping[str, str], task_order: Sequence[str], model_order: Sequence[str]
) -> Path:
    """Write benchmarks/index.html from the CSV files and return its path; and the page beside it, if any.

    Reading happens under the page's lock: of two runs that end together, the later one's page has the rows of both.
    """
    path = out / "benchmarks" / "index.html"
    other = path.with_name(GENERALISATION)
    order = {"task_titles": task_titles, "task_order": task_order, "model_order": model_order}
    with durable.lock(path):
        rows = benchmark_csv.read_rows(_benchmarking(out))
        generalisation = render_generalisation(rows, breakdown_csv.read_lengths(_lengths(out)), **order)
        html = render_dashboard(
            rows,
            benchmark_csv.read_overlaps(_overlap(out)),
            benchmark_csv.read_splits(_splits(out)),
            read_comparisons(_comparisons(out)),
            training_csv.read_curves(_curves(out)),
            training_csv.read_costs(_costs(out)),
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
    """Return where the page of a cell lies. Raises UsageError for a name that could lead out of the folder."""
    if RECIPE.fullmatch(recipe) is None:
        raise UsageError(f"a recipe is a name and at most one point of a grid, as in `original lr0.5x`; got {recipe!r}")
    return out / "artifacts" / check_name("task", task) / page_name(check_name("model", model), backend, recipe)


def has_page(row: BenchmarkRow, out: Path) -> bool:
    """Tell whether the page of this row's cell is there and shows this cell, not another one of the same name."""
    try:
        with page_path(out, row.task, row.model, row.backend, row.recipe).open("rb") as page:
            found = CELL_ID.search(page.read(HEAD_BYTES))
    except (OSError, UsageError):
        return False
    return found is not None and found[1].decode() == row.id


def task_page_path(out: Path, task: str) -> Path:
    """Return where the page of a task lies. Raises UsageError for a name that could lead out of the folder."""
    return out / "artifacts" / check_name("task", task) / "index.html"


def has_task_page(task: str, out: Path) -> bool:
    """Tell whether the page of this task is there."""
    try:
        return task_page_path(out, task).is_file()
    except UsageError:
        return False


def _benchmarking(out: Path) -> Path:
    return out / "benchmarks" / "benchmarking.csv"


def _overlap(out: Path) -> Path:
    return out / "benchmarks" / "overlap.csv"


def _lengths(out: Path) -> Path:
    return out / "benchmarks" / "lengths.csv"


def _splits(out: Path) -> Path:
    return out / "benchmarks" / "splits.csv"


def _comparisons(out: Path) -> Path:
    return out / "benchmarks" / "comparisons.csv"


def _curves(out: Path) -> Path:
    return out / "benchmarks" / "curves.csv"


def _costs(out: Path) -> Path:
    return out / "benchmarks" / "costs.csv"
