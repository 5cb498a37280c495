"""Attention by head and gradient x input by step, as tables with tinted numbers."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from coretx import targets
from coretx.evaluation.explanations import Explanation
from coretx.reports.pages.formatting import DASH, count, signed
from coretx.tasks.base import Task

CLS = "CLS"
LONGEST = 16
"""Weights between more steps are not shown as a table: the cell's files have them."""
MOST_CELLS = 2000
"""With more cells than this, only the first example of each label is shown."""
LAYER = re.compile(r"blocks\.(\d+)\.")


@dataclass(frozen=True)
class TintedNumber:
    """A number with its tint, 0 to 100; `less` if it is below 0."""

    text: str
    tint: int
    less: bool = False


@dataclass(frozen=True)
class HeatMap:
    """A table of tinted numbers: its title, headings of columns, rows by name, the heading of the rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[TintedNumber]]]
    corner: str = ""


@dataclass(frozen=True)
class AttentionLayer:
    """The attention of one layer: a map for each head, or one map of all heads with a single query.

    `left_out` is a note in place of maps that are too large to read.
    """

    name: str
    maps: Sequence[HeatMap]
    left_out: str = ""


def attention_tables(explanation: Explanation, task: Task) -> dict[str, Any]:
    """Return the tables of an explanation: importance of steps, averages by class, and chosen examples."""
    steps = [str(step) for step in range(1, explanation.x.shape[1] + 1)]
    classes = [label for label in (0, 1) if explanation.rows[label]]
    attention = []
    for label in classes if explanation.attention_sums else []:
        means = {name: sums[label] / explanation.rows[label] for name, sums in explanation.attention_sums.items()}
        attention.append(attention_layers(means, steps, f"label {label}"))
    return {
        "rows": " and ".join(f"{count(int(explanation.rows[label]))} of label {label}" for label in classes),
        "sizes": _sizes(explanation, steps, classes),
        "averages": _averages(explanation, task, steps, classes),
        "attention": attention,
        "examples": [_example(explanation, task, place) for place in _shown(explanation)],
    }


def attention_layers(
    weights: Mapping[str, Float[np.ndarray, "head query key"]], steps: Sequence[str], of: str
) -> list[AttentionLayer]:
    """Return every layer's maps in percent: each row, a query, sums to 100 but for rounding."""
    found = []
    for name, heads in weights.items():
        number = LAYER.match(name)
        layer = f"Layer {int(number[1]) + 1}" if number else "Attention"
        if heads.shape[2] > LONGEST:
            note = f"{layer}: weights over {heads.shape[2]} steps, too many for a table."
            found.append(AttentionLayer(layer, [], note))
            continue
        queries, keys = axes(heads.shape[1], heads.shape[2], steps)
        titles = [f"head {head + 1}" if len(heads) > 1 else of or "weights" for head in range(len(heads))]
        tables = [[_percents(row) for row in head] for head in heads]
        if len(queries) == 1:
            rows = [(title, table[0]) for title, table in zip(titles, tables, strict=True)]
            maps = [HeatMap(f"{queries[0]} asks, {of}".removesuffix(", "), keys, rows)]
        else:
            named = [f"{title}, {of}" if of and title != of else title for title in titles]
            maps = [
                HeatMap(title, keys, list(zip(queries, table, strict=True)), "asks")
                for title, table in zip(named, tables, strict=True)
            ]
        found.append(AttentionLayer(layer, maps))
    return found


def axes(queries: int, keys: int, steps: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names of the queries and of the keys: one step more than the input has is CLS.

    >>> axes(1, 3, ["a", "b"]), axes(1, 2, ["a", "b"]), axes(2, 2, ["a", "b"])
    ((['CLS'], ['CLS', 'a', 'b']), (['read-out'], ['a', 'b']), (['a', 'b'], ['a', 'b']))
    """
    named = [CLS, *steps] if keys == len(steps) + 1 else list(steps)
    if len(named) != keys:
        named = [str(key) for key in range(1, keys + 1)]
    if queries == 1 and keys == len(steps):
        return ["read-out"], named
    return named[:queries] if queries <= keys else [str(query) for query in range(1, queries + 1)], named


def _shown(explanation: Explanation) -> list[int]:
    """Return the places of the examples that are shown: all, or the first of each label if their maps are large."""
    cells = sum(heads[0].size for heads in explanation.attention.values() if heads.shape[-1] <= LONGEST)
    if cells * len(explanation.y) <= MOST_CELLS:
        return list(range(len(explanation.y)))
    return sorted(np.unique(explanation.y, return_index=True)[1].tolist())


def _percents(row: Float[np.ndarray, " key"]) -> list[TintedNumber]:
    return [TintedNumber(f"{100 * weight:.0f}", round(100 * float(weight))) for weight in row]


def _sizes(explanation: Explanation, steps: Sequence[str], classes: Sequence[int]) -> HeatMap:
    sizes = [explanation.attribution_sizes[label].sum(axis=1) / explanation.rows[label] for label in classes]
    names = [f"label {label}" for label in classes]
    return HeatMap("mean size by step", steps, _named(names, _tinted(sizes, lambda value: f"{value:.2f}")))


def _averages(explanation: Explanation, task: Task, steps: Sequence[str], classes: Sequence[int]) -> list[HeatMap]:
    if len(steps) > LONGEST:
        return []
    names, sums, present = task.feature_names(), explanation.attribution_sums, explanation.present
    means = np.divide(sums, present, out=np.full(sums.shape, np.nan), where=present > 0)  # [class, time, feature]
    rows = _tinted([row for label in classes for row in means[label].T])
    return [
        HeatMap(f"label {label}", steps, _named(names, rows[place * len(names) : (place + 1) * len(names)]))
        for place, label in enumerate(classes)
    ]


def _named(names: Sequence[str], rows: Sequence[Sequence[TintedNumber]]) -> list[tuple[str, Sequence[TintedNumber]]]:
    return list(zip(names, rows, strict=True))


def _tinted(
    rows: Sequence[Float[np.ndarray, " step"]], form: Callable[[float], str] = signed
) -> list[list[TintedNumber]]:
    """Return the numbers with tints on one scale; a number that is not finite is a dash without a tint."""
    largest = max((float(np.abs(row[np.isfinite(row)]).max(initial=0.0)) for row in rows), default=0.0) or 1.0

    def tinted(value: float) -> TintedNumber:
        if not np.isfinite(value):
            return TintedNumber(DASH, 0)
        return TintedNumber(form(value), round(100 * abs(value) / largest), bool(value < 0))

    return [[tinted(float(value)) for value in row] for row in rows]


def _example(explanation: Explanation, task: Task, place: int) -> dict[str, Any]:
    row, attribution = explanation.x[place], explanation.attribution[place]
    steps, logit, label = task.step_names(row), float(explanation.logits[place]), int(explanation.y[place])
    one_hot = bool((np.count_nonzero(row, axis=1) == 1).all())
    whole = attribution.sum(axis=1)
    shown = [whole] if one_hot or row.shape[1] == 1 else [*attribution.T, whole]
    names = [*task.feature_names(), "together"] if len(shown) > 1 else ["adds"]
    weights = {name: values[place] for name, values in explanation.attention.items()}
    return {
        "input": task.render(row),
        "label": label,
        "logit": signed(logit),
        "right": bool(targets.right(explanation.logits, explanation.y)[place]),
        "adds": HeatMap("adds to the logit", steps, _named(names, _tinted(shown))),
        "layers": attention_layers(weights, steps, ""),
    }
