"""What a model looks at, as tables whose tint is the number in them: attention by head, gradient x input by step."""

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
"""Weights between more steps than this are not shown as a table: the cell's files have them."""
MOST_CELLS = 2000
"""Of the chosen examples those of a label after its first are left out where the maps would hold more than this."""
LAYER = re.compile(r"blocks\.(\d+)\.")


@dataclass(frozen=True)
class Cell:
    """A number with its tint, 0 to 100; `less` where it is below 0."""

    text: str
    tint: int
    less: bool = False


@dataclass(frozen=True)
class Map:
    """A table of numbers: what it is of, what its rows are, the headings of its columns, and a name to each row."""

    title: str
    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


@dataclass(frozen=True)
class Layer:
    """The attention of one layer: a map for each head, or one map of all heads where one step alone asks.

    No map, but a line that says so, where they would be too large to be read.
    """

    name: str
    maps: Sequence[Map]
    left_out: str = ""


def looks(explanation: Explanation, task: Task) -> dict[str, Any]:
    """Return what the page shows of an explanation: importance of steps, averages by class, and chosen examples."""
    steps = [str(step) for step in range(1, explanation.x.shape[1] + 1)]
    classes = [label for label in (0, 1) if explanation.rows[label]]
    return {
        "rows": " and ".join(f"{count(int(explanation.rows[label]))} of label {label}" for label in classes),
        "sizes": _sizes(explanation, steps, classes),
        "averages": _averages(explanation, task, steps, classes),
        "attention": [
            {
                "label": label,
                "layers": attention_layers(_means(explanation, label), steps, f"label {label}"),
            }
            for label in classes
            if explanation.attention_sums
        ],
        "examples": [_example(explanation, task, place) for place in _shown(explanation)],
    }


def attention_layers(
    weights: Mapping[str, Float[np.ndarray, "head query key"]], steps: Sequence[str], of: str
) -> list[Layer]:
    """Return every layer's maps, in percent: each row, one step that asks, sums to 100 but for rounding."""
    found = []
    for name, heads in weights.items():
        number = LAYER.match(name)
        layer = f"Layer {int(number[1]) + 1}" if number else "Attention"
        if heads.shape[2] > LONGEST:
            found.append(Layer(layer, [], f"{layer}: weights over {heads.shape[2]} steps, too many for a table."))
            continue
        asking, answering = axes(heads.shape[1], heads.shape[2], steps)
        titles = [f"head {head + 1}" if len(heads) > 1 else of or "weights" for head in range(len(heads))]
        if len(asking) == 1:
            rows = [(title, _cells(head[0])) for title, head in zip(titles, heads, strict=True)]
            found.append(Layer(layer, [Map(f"{asking[0]} asks, {of}".removesuffix(", "), "", answering, rows)]))
            continue
        maps = []
        for title, head in zip(titles, heads, strict=True):
            rows = [(step, _cells(row)) for step, row in zip(asking, head, strict=True)]
            named = f"{title}, {of}" if of and title != of else title
            maps.append(Map(named, "asks", answering, rows))
        found.append(Layer(layer, maps))
    return found


def axes(queries: int, keys: int, steps: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names of the steps that ask and of those that answer: a step more than the input has is CLS.

    >>> axes(1, 3, ["a", "b"]), axes(1, 2, ["a", "b"]), axes(2, 2, ["a", "b"])
    ((['CLS'], ['CLS', 'a', 'b']), (['read-out'], ['a', 'b']), (['a', 'b'], ['a', 'b']))
    """
    answering = [CLS, *steps] if keys == len(steps) + 1 else list(steps)
    if len(answering) != keys:
        answering = [str(key) for key in range(1, keys + 1)]
    if queries == 1 and keys == len(steps):
        return ["read-out"], answering
    asking = answering[:queries] if queries <= keys else [str(query) for query in range(1, queries + 1)]
    return asking, answering


def _shown(explanation: Explanation) -> list[int]:
    """Return the places of the examples that are shown: all, or the first of each label where their maps are large."""
    cells = sum(heads[0].size for heads in explanation.attention.values() if heads.shape[-1] <= LONGEST)
    places = list(range(len(explanation.y)))
    if cells * len(places) <= MOST_CELLS:
        return places
    return sorted({int(np.flatnonzero(explanation.y == label)[0]) for label in np.unique(explanation.y)})


def _means(explanation: Explanation, label: int) -> dict[str, np.ndarray]:
    return {name: sums[label] / explanation.rows[label] for name, sums in explanation.attention_sums.items()}


def _cells(row: Float[np.ndarray, " key"]) -> list[Cell]:
    return [Cell(f"{100 * weight:.0f}", round(100 * float(weight))) for weight in row]


def _sizes(explanation: Explanation, steps: Sequence[str], classes: Sequence[int]) -> Map:
    sizes = {label: explanation.attribution_sizes[label].sum(axis=1) / explanation.rows[label] for label in classes}
    cells = _signed(list(sizes.values()), lambda value: f"{value:.2f}")
    return Map(
        "mean size by step", "", steps, [(f"label {label}", row) for label, row in zip(sizes, cells, strict=True)]
    )


def _averages(explanation: Explanation, task: Task, steps: Sequence[str], classes: Sequence[int]) -> list[Map]:
    if len(steps) > LONGEST:
        return []
    names = task.feature_names()
    means = [
        np.divide(sums, present, out=np.full(sums.shape, np.nan), where=present > 0).T
        for sums, present in zip(explanation.attribution_sums, explanation.present, strict=True)
    ]
    rows = _signed([row for label in classes for row in means[label]])
    maps = []
    for place, label in enumerate(classes):
        own = rows[place * len(names) : (place + 1) * len(names)]
        maps.append(Map(f"label {label}", "", steps, list(zip(names, own, strict=True))))
    return maps


def _signed(rows: Sequence[Float[np.ndarray, " step"]], form: Callable[[float], str] = signed) -> list[list[Cell]]:
    """Return the numbers with tints that share one scale; one that is not finite, or is of no row, has none."""
    largest = max((float(np.abs(row[np.isfinite(row)]).max(initial=0.0)) for row in rows), default=0.0) or 1.0

    def cell(value: float) -> Cell:
        if not np.isfinite(value):
            return Cell(DASH, 0)
        return Cell(form(value), round(100 * abs(value) / largest), bool(value < 0))

    return [[cell(float(value)) for value in row] for row in rows]


def _example(explanation: Explanation, task: Task, place: int) -> dict[str, Any]:
    row, attribution = explanation.x[place], explanation.attribution[place]
    steps, logit = task.step_names(row), float(explanation.logits[place])
    label = int(explanation.y[place])
    one_hot = bool((np.count_nonzero(row, axis=1) == 1).all())
    shown = [attribution.sum(axis=1)] if one_hot or row.shape[1] == 1 else [*attribution.T, attribution.sum(axis=1)]
    names = [*task.feature_names(), "together"] if len(shown) > 1 else ["adds"]
    weights = {name: values[place] for name, values in explanation.attention.items()}
    return {
        "input": task.render(row),
        "label": label,
        "logit": signed(logit),
        "right": bool(targets.right(explanation.logits, explanation.y)[place]),
        "adds": Map("adds to the logit", "", steps, list(zip(names, _signed(shown), strict=True))),
        "layers": attention_layers(weights, steps, ""),
    }
