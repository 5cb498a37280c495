"""The page of a task: its rule, its space, its splits, examples of each kind, and all models side by side."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coretx.evaluation.ceilings import Ceiling
from coretx.models.spec import VIEWS
from coretx.reports.pages.formatting import DASH, count, counted, percent, seconds
from coretx.reports.pages.learning_panels import learning_panels
from coretx.reports.pages.score_context import Reached, best_reached
from coretx.reports.pages.score_tables import Score, page_name, score_lines
from coretx.reports.pages.table_footer import chances
from coretx.reports.pages.task_examples import task_examples
from coretx.reports.pages.templating import POLICY, render
from coretx.reports.pages.verdicts import gain, pairs_of
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.comparisons import ComparisonRow, ladder_steps
from coretx.reports.tables.configurations import Configuration, configurations, ordered
from coretx.reports.tables.draws import OverlapRow, SplitRow
from coretx.reports.tables.training import CurveRow
from coretx.tasks.base import NEGATIVES, Task
from coretx.tasks.splits import SPLIT_NAMES, SPLITS

Ceilings = Mapping[tuple[str, str], Mapping[str, Ceiling]]
"""What each view allows on test, by the protocol that drew it and the rule for negatives."""


def render_task_page(
    task: Task,
    rows: Sequence[BenchmarkRow],
    overlaps: Sequence[OverlapRow],
    splits: Sequence[SplitRow],
    comparisons: Sequence[ComparisonRow],
    curves: Sequence[CurveRow],
    ceilings: Ceilings,
    *,
    model_order: Sequence[str],
    has_page: Callable[[BenchmarkRow], bool],
) -> str:
    """Return the page as one self-contained HTML file; of the tables, the rows of other tasks are left aside."""
    own = [row for row in rows if row.task == task.name]
    rules = [rule for rule in NEGATIVES if rule in {row.negatives for row in own}] or [task.negatives]
    curve_of = {row.id: row for row in curves if row.task == task.name}
    return render(
        "task_page.html",
        policy=POLICY,
        name=task.name,
        title=task.display_title,
        rule=task.rule,
        space=_space(task),
        examples=[(rule, task_examples(task.with_negatives(rule))) for rule in rules],
        ceilings=_ceilings(task.name, ceilings, best_reached(own)),
        splits=_splits(task, overlaps, splits),
        sections=[
            _section(task, found, own, splits, comparisons, curve_of, model_order, has_page)
            for found in configurations(own)
        ],
        family=len(ladder_steps()),
    )


def _space(task: Task) -> list[tuple[str, str]]:
    """Return how large the space is, as far as it can be listed."""
    space, problems = task.space(), task.problems()
    steps = f"{counted(task.sequence_length, 'step')} of {counted(task.feature_dim, 'feature')}"
    facts = [("An input", steps)]
    facts.append(("Inputs", "more than can be listed" if space is None else count(len(space[0]))))
    facts.append(("Problems", "more than can be listed" if problems is None else count(len(problems[0]))))
    return facts


def _ceilings(task: str, known: Ceilings, reached: Reached) -> dict[str, Any]:
    """Return the table of ceilings and of what models have reached: a column for each draw, a line for each view."""
    places = sorted({*known, *((protocol, negatives) for _, protocol, negatives, _ in reached)})
    lines = []
    for view, what in VIEWS.items():
        found = [_limit(known.get(place, {}).get(view), reached.get((task, *place, view))) for place in places]
        if any(found):
            lines.append((view, what, [limit or (DASH, "", "") for limit in found]))
    return {"heads": [_draw(*place) for place in places], "lines": lines}


def _limit(ceiling: Ceiling | None, reached: float | None) -> tuple[str, str, str] | None:
    """Return a view's ceiling, how it is known, and the best that a model of the view has reached."""
    so_far = "" if reached is None else f"reached {percent(reached)}"
    if ceiling is not None and ceiling.value is not None:
        return percent(ceiling.value), ceiling.kind, so_far
    return (DASH, "none known", so_far) if so_far else None


def _draw(protocol: str, negatives: str) -> str:
    return f"{protocol} splits" + ("" if negatives == "natural" else f", {negatives} negatives")


def _splits(task: Task, overlaps: Sequence[OverlapRow], splits: Sequence[SplitRow]) -> list[list[str]]:
    """Return a line for each part of each draw: protocol, rows asked for, seed, what there is, what train has too."""
    shared = {(row.split, row.negatives, row.n_samples, row.seed): row for row in overlaps if row.task == task.name}
    own = [row for row in splits if row.task == task.name]
    lines = []
    for row in sorted(own, key=lambda row: (row.split, row.negatives, row.n_samples, row.seed, SPLITS.index(row.part))):
        overlap = shared.get((row.split, row.negatives, row.n_samples, row.seed)) if row.part == "test" else None
        pairs = ((row.rows_0, row.rows_1), (row.distinct_rows_0, row.distinct_rows_1))
        lines.append(
            [
                _draw(row.split, row.negatives),
                count(row.n_samples),
                str(row.seed),
                SPLIT_NAMES[row.part],
                *(f"{count(pair[0])} + {count(pair[1])}" for pair in pairs),
                count(row.keys) + (" (small space)" if row.small_space else ""),
                "" if overlap is None else f"{count(overlap.overlap_count)} ({percent(overlap.overlap_rate)})",
            ]
        )
    return lines


def _section(
    task: Task,
    configuration: Configuration,
    rows: Sequence[BenchmarkRow],
    splits: Sequence[SplitRow],
    comparisons: Sequence[ComparisonRow],
    curves: Mapping[str, CurveRow],
    model_order: Sequence[str],
    has_page: Callable[[BenchmarkRow], bool],
) -> dict[str, Any]:
    """Return all models of one configuration side by side."""
    models = ordered({model for _, model in configuration.cells}, model_order)
    pairs, reached, known = pairs_of(comparisons), best_reached(rows), chances(splits)

    def scores(split: str) -> list[Score]:
        return [
            line.scores[0] for line in score_lines(configuration, split, models, [task.name], has_page, known, reached)
        ]

    lines = []
    for place, (model, test, train) in enumerate(zip(models, scores("test"), scores("train"), strict=True)):
        cell = configuration.cells[task.name, model]
        row = next(iter(cell.values()))
        before = configuration.cells[task.name, models[place - 1]].get("test") if place else None
        lines.append(
            {
                "model": model,
                "link": page_name(row.model, row.backend, row.recipe) if has_page(row) else None,
                "test": test,
                "train": train,
                "gain": gain(cell.get("test"), before, pairs),
                "parameters": count(row.parameters),
                "seconds": DASH if row.seconds is None else seconds(row.seconds),
            }
        )
    learning = learning_panels(configuration, curves, [task.name], models, {task.name: task.display_title})
    return {
        "label": configuration.label,
        "members": configuration.members,
        "lines": lines,
        "learning": learning,
        "compared": any(line["gain"] for line in lines),
    }
