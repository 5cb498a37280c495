"""The page of a task: its rule, its space, its splits, examples of each kind, and all models side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coretx.evaluation.ceilings import Ceiling
from coretx.models.spec import VIEWS
from coretx.reports.pages.formatting import count, counted
from coretx.reports.pages.learning_panels import learning_panels
from coretx.reports.pages.score_context import HasPage, ScoreContext
from coretx.reports.pages.templating import render
from coretx.reports.pages.verdicts import Pairs, gain, pairs_of
from coretx.reports.tables.benchmark import UNKNOWN, BenchmarkRow
from coretx.reports.tables.comparisons import ComparisonRow, ladder_steps
from coretx.reports.tables.configurations import Configuration, configurations, ordered
from coretx.reports.tables.draws import OverlapRow, SplitRow
from coretx.reports.tables.training import CurveRow
from coretx.seeds import stream
from coretx.tasks.base import NEGATIVES, Task
from coretx.tasks.sampling import distinct, draw_candidates
from coretx.tasks.splits import SPLITS

Ceilings = Mapping[tuple[str, str], Mapping[str, Ceiling]]
"""The ceilings on test by view, for each protocol and rule for negatives."""

DRAWN = 4000
"""Inputs drawn for the examples."""
SHOWN = 4
"""Examples of each kind."""


@dataclass(frozen=True)
class KindExamples:
    """Examples of one label and one kind: its name (empty if the task names none), its share of the label's inputs."""

    label: int
    name: str
    share: float
    examples: tuple[str, ...]


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
    has_page: HasPage,
) -> str:
    """Return the page as one self-contained HTML file; rows of other tasks are ignored."""
    own = [row for row in rows if row.task == task.name]
    rules = [rule for rule in NEGATIVES if rule in {row.negatives for row in own}] or [task.negatives]
    curve_of = {row.id: row for row in curves if row.task == task.name}
    context, pairs = ScoreContext(own, splits, has_page), pairs_of(comparisons)
    found = configurations(own)
    return render(
        "task_page.html",
        task=task,
        title=task.display_title,
        space=_space(task),
        examples={rule: task_examples(task.with_negatives(rule)) for rule in rules},
        ceilings=_ceilings(task.name, ceilings, context),
        splits=_splits(task, overlaps, splits),
        sections=[_section(task, configuration, context, pairs, curve_of, model_order) for configuration in found],
        family=len(ladder_steps()),
    )


def task_examples(task: Task) -> list[KindExamples]:
    """Return examples of each kind among DRAWN inputs of a stream of their own, none of them test rows on purpose.

    Label 1 comes first; kinds are in the order in which the task names them.
    """
    drawn = draw_candidates(DRAWN, stream(0, task.name, purpose="examples"), task=task)
    found = []
    for label in (1, 0):
        x = drawn.x[drawn.y == label]
        left = np.ones(len(x), bool)
        for name, matches in [*task.kinds(x).items(), ("", left.copy())]:
            rows = np.asarray(matches, bool) & left
            left &= ~rows
            if rows.any():
                examples = tuple(task.render(row) for row in distinct(x[rows])[:SHOWN])
                found.append(KindExamples(label, name, float(rows.mean()), examples))
    return found


def _space(task: Task) -> list[tuple[str, str]]:
    steps = f"{counted(task.sequence_length, 'step')} of {counted(task.feature_dim, 'feature')}"
    facts = [("An input", steps)]
    for name, found in (("Inputs", task.space()), ("Problems", task.problems())):
        facts.append((name, "more than can be listed" if found is None else count(len(found[0]))))
    return facts


def _ceilings(task: str, known: Ceilings, context: ScoreContext) -> dict[str, Any]:
    """Return the draws (protocol, negatives), and for each view its ceiling and the best reached in each draw."""
    draws = sorted({*known, *((protocol, negatives) for _, protocol, negatives, _ in context.reached)})
    lines = {}
    for view in VIEWS:
        found = [(known.get(draw, {}).get(view, UNKNOWN), context.reached.get((task, *draw, view))) for draw in draws]
        if any(ceiling.value is not None or reached is not None for ceiling, reached in found):
            lines[view] = found
    return {"draws": draws, "lines": lines}


def _splits(
    task: Task, overlaps: Sequence[OverlapRow], splits: Sequence[SplitRow]
) -> list[tuple[SplitRow, OverlapRow | None]]:
    """Return each part of each draw of the task in order, the test part with its overlap with train."""
    shared = {(row.split, row.negatives, row.n_samples, row.seed): row for row in overlaps if row.task == task.name}

    def draw(row: SplitRow) -> tuple:
        return row.split, row.negatives, row.n_samples, row.seed

    own = sorted((row for row in splits if row.task == task.name), key=lambda row: (*draw(row), SPLITS.index(row.part)))
    return [(row, shared.get(draw(row)) if row.part == "test" else None) for row in own]


def _section(
    task: Task,
    configuration: Configuration,
    context: ScoreContext,
    pairs: Pairs,
    curves: Mapping[str, CurveRow],
    model_order: Sequence[str],
) -> dict[str, Any]:
    """Return all models of one configuration side by side."""
    models = ordered({model for _, model in configuration.cells}, model_order)
    lines, before = [], None
    for model in models:
        cell = configuration.cells[task.name, model]
        test, train = (context.score(cell, split) for split in ("test", "train"))
        row = next(iter(cell.values()))
        lines.append((row, test, train, gain(cell.get("test"), before, pairs)))
        before = cell.get("test")
    return {
        "configuration": configuration,
        "lines": lines,
        "learning": learning_panels(configuration, curves, [task.name], models, {task.name: task.display_title}),
        "compared": any(gained for *_, gained in lines),
    }
