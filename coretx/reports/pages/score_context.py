"""What a score stands on: the rows it was measured on, the epoch it is of, and what can be reached at all."""

from collections.abc import Iterable, Mapping

from coretx.evaluation.scores import SplitScores, wilson_interval
from coretx.models.spec import VIEWS
from coretx.records.results import ModelResult
from coretx.reports.pages.formatting import between, count, counted, percent
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.tasks.splits import SPLIT_NAMES, SplitCounts

Reached = Mapping[tuple[str, str, str, str], float]
"""By task, protocol, negatives and view the best accuracy on test of any model of that view: no ceiling, a fact."""


def best_reached(rows: Iterable[BenchmarkRow]) -> Reached:
    """Return the best that the models of each view have reached in these rows, as means over members."""
    best: dict[tuple[str, str, str, str], float] = {}
    for row in rows:
        if row.split == "test" and row.accuracy is not None:
            place = (row.task, row.protocol, row.negatives, row.view)
            best[place] = max(row.accuracy, best.get(place, 0.0))
    return best


def floors(result: ModelResult, reached: Reached) -> list[tuple[str, str]]:
    """Return what each view of the input allows on test, by its name, or what models of a view without one reached."""
    known = [
        (f"{view}, {ceiling.kind}", percent(ceiling.value))
        for view, ceiling in result.ceilings.items()
        if view != "full" and ceiling.value is not None
    ]
    config = result.config
    found = [(view, reached.get((config.task, config.split, config.negatives, view))) for view in VIEWS]
    return known + [
        (f"{view}, reached so far; no ceiling is known", percent(value))
        for view, value in found
        if value is not None and view != "full" and _unknown(result, view)
    ]


def _unknown(result: ModelResult, view: str) -> bool:
    return view not in result.ceilings or result.ceilings[view].value is None


def ceiling(result: ModelResult, reached: Reached) -> str:
    """Return what the model's view of an input allows at best, and how that is known; nothing where it sees all.

    Where nothing is known it says so, and how much the models of that view have reached.
    """
    if result.view == "full" or not result.ceilings:
        return ""
    ceiling = result.ceilings.get(result.view)
    if ceiling is None or ceiling.value is None:
        config = result.config
        best = reached.get((config.task, config.split, config.negatives, result.view))
        so_far = "" if best is None else f"; {percent(best)} is reached so far"
        return f"no ceiling is known for a model that sees {VIEWS[result.view]} ({result.view}){so_far}"
    known = ceiling.kind
    if ceiling.low is not None:
        known += f", 95 % interval {between((ceiling.low, ceiling.value), percent)}"
    return f"its ceiling is {percent(ceiling.value)}, for it sees {VIEWS[result.view]} ({result.view}; {known})"


def small_space(scores: SplitScores, counts: SplitCounts | None) -> str:
    """Return the mark of a score that stands on few problems, with its 95 % interval over them; else nothing."""
    if counts is None or not counts.small_space:
        return ""
    ends = between(wilson_interval(float(scores.accuracy.mean()), counts.keys), percent)
    return f"small space: 95 % interval over {counted(counts.keys, 'problem')} {ends}"


def split_row(split: str, counts: SplitCounts) -> dict[str, str]:
    """Return a split's line of the data table; pairs are those of label 0 and of label 1."""
    rows, distinct, keys = (
        f"{count(pair[0])} + {count(pair[1])}" for pair in (counts.rows, counts.distinct_rows, counts.distinct_keys)
    )
    return {
        "split": SPLIT_NAMES[split],
        "rows": rows,
        "distinct_rows": distinct,
        "distinct_keys": keys,
        "keys": count(counts.keys),
        "small": "small space" if counts.small_space else "",
    }


def best_epoch(result: ModelResult) -> str:
    """Return which epoch, counted from 1, the scores are of, or nothing where that is the last one in any case."""
    if result.best_epoch is None:
        return ""
    epochs = sorted({int(epoch) + 1 for epoch in result.best_epoch})
    shown = " to ".join(count(epoch) for epoch in dict.fromkeys((epochs[0], epochs[-1])))
    return f"{'epochs' if len(epochs) > 1 else 'epoch'} {shown} of {count(result.config.epochs)}"
