"""The page of one cell: its scores, learning curves, attention, errors, and the command that trains it again."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coretx.evaluation.ceilings import Ceiling
from coretx.evaluation.intervals import Summary
from coretx.evaluation.scores import SplitScores, wilson_interval
from coretx.models.spec import VIEWS, InputShape, ModelSpec
from coretx.records.cell_config import flat
from coretx.records.results import ModelResult
from coretx.reports.pages.attention_tables import attention_tables
from coretx.reports.pages.diagram import diagram
from coretx.reports.pages.formatting import (
    DASH,
    MINUS,
    between,
    count,
    counted,
    decimal,
    percent,
    plain,
    product,
    seconds,
    span,
)
from coretx.reports.pages.misclassified import by_kind, misclassified
from coretx.reports.pages.model_figures import draw
from coretx.reports.pages.score_context import (
    Reached,
    below_chance,
    best_reached,
    data_spread,
    draws_of,
    page_name,
    used_up,
)
from coretx.reports.pages.templating import render
from coretx.reports.pages.verdicts import Pairs, gain
from coretx.reports.tables.benchmark import BenchmarkRow, score_rows
from coretx.reports.tables.comparisons import ComparisonRow
from coretx.reports.tables.configurations import Configuration, engine_title, grouped
from coretx.reports.tables.groups import group_rows, length_rows
from coretx.tasks.base import Task
from coretx.tasks.splits import SPLIT_NAMES

MOST_KINDS = 12
"""Kinds of misclassified rows shown."""
BINS = 24
"""Bins of a tensor's histogram."""


@dataclass(frozen=True)
class Verdict:
    """A score in a word or two, and the reason."""

    word: str
    why: str


@dataclass(frozen=True)
class Neighbour:
    """The rung before or after a model: its test row, its page if there is one, the step between the two models.

    `claim` and `gain` are those of the later model of the step; gain is None if the two were not compared.
    """

    place: str
    row: BenchmarkRow
    page: str | None
    later: str
    earlier: str
    claim: str
    gain: ComparisonRow | None


def render_model_page(
    result: ModelResult,
    task: Task,
    *,
    claim: str,
    published: Sequence[BenchmarkRow] = (),
    neighbours: Sequence[Neighbour] = (),
) -> str:
    """Return the page of a cell as one self-contained HTML file; claim is the sentence that the model's rung tests.

    `published` are the rows of the table, for other draws of data and for the best reached without a known ceiling.
    """
    config, own = result.config, score_rows(result)
    rows = [row for row in published if row.id != config.id] + own
    reached = best_reached(rows)
    kinds = by_kind(result.predictions["test"], task) if "test" in result.predictions else []
    others = {split: part for split, part in result.predictions.items() if split != "test"}
    return render(
        "model_page.html",
        result=result,
        config=config,
        task=task,
        backend=engine_title(config.backend),
        title=result.title or task.display_title,
        rule=result.rule or task.rule,
        claim=claim,
        neighbours=neighbours,
        question=question(result, task),
        floors=_floors(result, reached),
        members=counted(config.members, "member") if config.members > 1 else "one run",
        headline=_headline(result, reached),
        data=data_spread(next((row for row in own if row.split == "test"), None), draws_of(rows)),
        chance={split: _chance(scores) for split, scores in result.scores.items()},
        small_space={split: _small_space(split, result) for split in result.scores},
        best_epoch=_best_epoch(result),
        plots=draw(result),
        explanation=None if result.explanation is None else attention_tables(result.explanation, task),
        stages=diagram(
            config.hyperparameters.get("architecture", {}),
            InputShape(task.sequence_length, task.feature_dim),
            result.weights,
        ),
        lengths=length_rows(result),
        groups=grouped(group_rows(result), lambda row: row.grouping),
        kinds=kinds[:MOST_KINDS],
        kinds_left_out=len(kinds[MOST_KINDS:]),
        other_errors=[misclassified(part, SPLIT_NAMES[split]) for split, part in others.items()],
        hyperparameters=[(name, plain(value)) for name, value in flat(config.hyperparameters).items()],
        tensors=[_tensor(name, weight) for name, weight in result.weights.items()],
        times=", ".join(f"{seconds(value)} {name}" for name, value in result.provenance.seconds.items()),
    )


def neighbours(
    configuration: Configuration,
    task: str,
    model: str,
    specs: Sequence[ModelSpec],
    pairs: Pairs,
    shown: Collection[str],
) -> list[Neighbour]:
    """Return the nearest rungs before and after a model that have a test row of this task in this configuration.

    `shown` are the ids of the cells that have a page.
    """
    rows = {name: cell["test"] for (of, name), cell in configuration.cells.items() if of == task and "test" in cell}
    claims = {spec.name: spec.claim for spec in specs if spec.name in rows}
    there = list(claims)
    if model not in there:
        return []
    place, found = there.index(model), []
    for where, other in [("Before", there[place - 1 : place]), ("After", there[place + 1 : place + 2])]:
        for name in other:
            row, (earlier, later) = rows[name], (name, model) if where == "Before" else (model, name)
            page = page_name(name, row.backend, row.recipe) if row.id in shown else None
            bought = gain(rows[later], rows[earlier], pairs)
            found.append(Neighbour(where, row, page, later, earlier, claims[later], bought))
    return found


def question(result: ModelResult, task: Task) -> list[tuple[int, str]]:
    """Return the first test row of each class as an example, class 1 first."""
    if "test" not in result.predictions:
        return []
    test = result.predictions["test"]
    first = {label: np.flatnonzero(test.y == label)[:1] for label in (1, 0)}
    return [(label, task.render(test.x[row])) for label, rows in first.items() for row in rows]


def _headline(result: ModelResult, reached: Reached) -> dict[str, Any] | None:
    if "test" not in result.scores:
        return None
    chance, known = result.scores["test"].chance, result.summaries("test")["accuracy"]
    ceiling = result.ceilings.get(result.view)
    return {
        "accuracy": known,
        "verdict": verdict(known, chance, ceiling, side_used_up(result)),
        "scale": scale(known, chance, ceiling),
        "ceiling": _ceiling(result, reached),
    }


def side_used_up(result: ModelResult) -> bool:
    """Tell whether train is a disjoint side of the task's space that has no more rows to give."""
    counts = result.counts.get("train")
    return used_up(result.config.split, None if counts is None else sum(counts.rows), result.config.n_samples)


def _outermost(accuracy: Summary) -> tuple[float, float, float] | None:
    """Return the lowest end of the intervals over members and rows, the mean, the highest end; None without any."""
    ends = [interval for interval in (accuracy.members, accuracy.rows) if interval is not None]
    if accuracy.mean is None or not ends:
        return None
    return min(end[0] for end in ends), accuracy.mean, max(end[1] for end in ends)


def verdict(accuracy: Summary, chance: float, ceiling: Ceiling | None, used_up: bool = False) -> Verdict | None:
    """Return the verdict on an accuracy, by the outermost ends of its intervals; None without an interval.

    `used_up`: see `side_used_up`.
    """
    ends, best = _outermost(accuracy), None if ceiling is None else ceiling.value
    if ends is None:
        return None
    low, mean, high = ends
    if low <= chance <= high:
        too = "" if best is None or best > high else f", and its ceiling of {percent(best)} too"
        return Verdict("Chance is not excluded", f"its interval includes {percent(chance)}{too}")
    if high < chance:
        return Verdict("Below chance", below_chance(chance, used_up))
    if best is None:
        return Verdict("Above chance", f"its interval begins above {percent(chance)}; no ceiling is known")
    if high >= best:
        why = "all that can be reached" if best == 1 else "all that its view of the input allows"
        return Verdict("At its ceiling", f"its interval includes {percent(best)}, {why}")
    short = f"{100 * (best - mean):.1f}".removesuffix(".0")
    return Verdict("Above chance, below its ceiling", f"{short} points short of {percent(best)}")


def scale(accuracy: Summary, chance: float, ceiling: Ceiling | None) -> dict[str, Any] | None:
    """Return the places of score, interval, chance and ceiling in percent of a line, and the value at its begin."""
    ends, best = _outermost(accuracy), None if ceiling is None else ceiling.value
    if ends is None:
        return None
    low, mean, high = ends
    begin = max(math.ceil(10 * min(low, chance)) - 1, 0) / 10

    def place(value: float) -> float:
        return round(100 * (value - begin) / (1 - begin), 2)

    alt = f"accuracy {percent(mean)}, interval {percent(low)} to {percent(high)}, "
    return {
        "begin": percent(begin).replace(".0%", "%"),
        "low": place(low),
        "width": round(place(high) - place(low), 2),
        "mean": place(mean),
        "chance": place(chance),
        "ceiling": None if best is None else place(best),
        "alt": f"{alt}chance {percent(chance)}" + ("" if best is None else f", ceiling {percent(best)}"),
    }


def _floors(result: ModelResult, reached: Reached) -> list[tuple[str, str]]:
    """Return the ceiling on test of each view by name, or the best reached of a view without a ceiling."""
    config = result.config
    known = {view: ceiling for view, ceiling in result.ceilings.items() if ceiling.value is not None}
    best = {view: reached.get((config.task, config.split, config.negatives, view)) for view in VIEWS}
    floors = [(f"{view}, {ceiling.kind}", percent(ceiling.value)) for view, ceiling in known.items() if view != "full"]
    return floors + [
        (f"{view}, reached so far; no ceiling is known", percent(value))
        for view, value in best.items()
        if value is not None and view != "full" and view not in known
    ]


def _ceiling(result: ModelResult, reached: Reached) -> str:
    """Return the ceiling of the model's view in words, or the best reached; nothing for a model that sees all."""
    if result.view == "full" or not result.ceilings:
        return ""
    ceiling, sees = result.ceilings.get(result.view), f"sees {VIEWS[result.view]}"
    if ceiling is None or ceiling.value is None:
        config = result.config
        best = reached.get((config.task, config.split, config.negatives, result.view))
        so_far = "" if best is None else f"; {percent(best)} is reached so far"
        return f"no ceiling is known for a model that {sees} ({result.view}){so_far}"
    known = ceiling.kind
    if ceiling.low is not None:
        known += f", 95 % interval {between((ceiling.low, ceiling.value), percent)}"
    return f"its ceiling is {percent(ceiling.value)}, for it {sees} ({result.view}; {known})"


def _chance(scores: SplitScores) -> list[str]:
    """Return the scores of a guess that knows the class frequencies alone, as texts in the order of the table."""
    share = scores.positives / scores.n
    entropy = -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)
    ranked = [decimal(0.5), decimal(share)] if 0 < share < 1 else [DASH, DASH]
    return [percent(scores.chance), decimal(entropy), *ranked]


def _small_space(split: str, result: ModelResult) -> str:
    """Return the mark of a score on few problems, with its 95 % interval over them; else nothing."""
    counts = result.counts.get(split)
    if counts is None or not counts.small_space:
        return ""
    ends = between(wilson_interval(float(result.scores[split].accuracy.mean()), counts.keys), percent)
    return f"small space: 95 % interval over {counted(counts.keys, 'problem')} {ends}"


def _best_epoch(result: ModelResult) -> str:
    """Return the epochs of the scores, counted from 1; nothing for the last epoch."""
    if result.best_epoch is None:
        return ""
    epochs = {int(epoch) + 1 for epoch in result.best_epoch}
    return f"epoch{'s' * (len(epochs) > 1)} {span(epochs, count, ' to ')} of {count(result.config.epochs)}"


def _tensor(name: str, weight: np.ndarray) -> dict[str, Any]:
    """Return the line of one tensor [member, ...], of its first member: shape, norm, range, histogram.

    `bins` are counts in bins of equal width from the lowest to the highest value; none for a single value, and for
    values that are not all finite.
    """
    values = np.asarray(weight[0], np.float64)
    row = {"name": name, "shape": product(*values.shape) or "scalar", "size": values.size}
    if not np.isfinite(values).all():
        return row | {"norm": "not finite", "range": "", "bins": []}
    low, high = float(values.min()), float(values.max())
    # Values that differ in the last bits alone have no bins.
    spread = high - low > 1e-12 * max(abs(low), abs(high))
    bins = np.histogram(values, bins=min(BINS, values.size), range=(low, high))[0].tolist() if spread else []
    most, width = int(np.argmax(bins)) if bins else 0, (high - low) / max(len(bins), 1)
    peak = f"{decimal(low + most * width)} and {decimal(low + (most + 1) * width)}"
    return row | {
        "norm": f"{np.linalg.norm(values):.4g}",
        "range": span((low, high), decimal, " to ").replace("-", MINUS),
        "bins": bins,
        "alt": f"{count(values.size)} values from {decimal(low)} to {decimal(high)}, most between {peak}",
    }
