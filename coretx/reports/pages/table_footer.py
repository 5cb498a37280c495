"""What stands under each column of the dashboard's table of test scores: chance, and the ceiling of each view."""

from collections.abc import Mapping, Sequence

from coretx.models.spec import VIEWS
from coretx.reports.pages.formatting import DASH, percent
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.configurations import Configuration
from coretx.reports.tables.draws import SplitRow


def column_foot(
    configuration: Configuration, splits: Sequence[SplitRow], tasks: Sequence[str]
) -> list[tuple[str, str, list[str]]]:
    """Return lines (name, what it is, a text for each task).

    Chance is the share of the more frequent class in the test rows; a ceiling is shown for those views below `full`
    for which one of the models here has it.
    """
    known = chances(splits)
    chance, ceilings = [], {view: [DASH] * len(tasks) for view in VIEWS if view != "full"}
    for place, task in enumerate(tasks):
        tests = [cell["test"] for (name, _), cell in configuration.cells.items() if name == task and "test" in cell]
        found = [percent(known[draw]) for draw in {draw_of(row) for row in tests} if draw in known]
        chance.append(found[0] if found else DASH)
        for row in tests:
            if row.view in ceilings and row.ceiling is not None:
                ceilings[row.view][place] = percent(row.ceiling)
    lines = [("Chance", "always the more frequent class of the test rows", chance)]
    lines += [
        (f"Ceiling, {view}", f"the best accuracy for a model that sees {VIEWS[view]}", texts)
        for view, texts in ceilings.items()
    ]
    return [line for line in lines if any(text != DASH for text in line[2])]


def chances(splits: Sequence[SplitRow]) -> Mapping[tuple, float]:
    """Return the share of the more frequent class in the test rows of each draw: see `draw_of`."""
    tests = [row for row in splits if row.part == "test" and row.rows_0 + row.rows_1]
    return {
        (row.task, row.split, row.negatives, row.seed, row.n_samples): max(row.rows_0, row.rows_1)
        / (row.rows_0 + row.rows_1)
        for row in tests
    }


def draw_of(row: BenchmarkRow) -> tuple:
    """Return which draw of data a row is of."""
    return row.task, row.protocol, row.negatives, row.seed, row.n_samples
