"""The inputs that members get wrong, each once, the worst first."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from coretx import targets
from coretx.evaluation.scores import Predictions, probabilities
from coretx.tasks.base import Task, row_keys

LIMIT = 20
"""Examples shown of a split."""

LIMIT_OF_KIND = 6
"""Examples shown of one kind."""


@dataclass(frozen=True)
class Example:
    """One input that at least one member gets wrong.

    `probability` is the mean of the members' probabilities of class 1, `margin` the mean of their logits towards the
    label (below 0 is wrong), `wrong` the number of members that are wrong, `times` how often the split has the input.
    """

    row: Float[np.ndarray, "time feature"]
    label: int
    probability: float
    margin: float
    wrong: int
    times: int


@dataclass(frozen=True)
class Misclassified:
    """The worst examples among some rows: of a split, or of one label and one kind.

    `distinct` inputs in `rows` rows are wrong, of `of` rows in all.
    """

    name: str
    examples: tuple[Example, ...]
    distinct: int
    rows: int
    of: int


def by_kind(predictions: Predictions, task: Task, limit: int = LIMIT_OF_KIND) -> list[Misclassified]:
    """Return the misclassified inputs of each label and kind (see `Task.kinds`), the most wrong rows first.

    Kinds without a wrong row are left out.
    """
    kinds = {name: np.asarray(matches, bool) for name, matches in task.kinds(predictions.x).items()}
    left, found = np.ones(len(predictions.y), bool), []
    for name, matches in [*kinds.items(), ("", left.copy())]:
        for label in (0, 1):
            rows = matches & left & (predictions.y == label)
            if rows.any():
                part = Predictions(predictions.x[rows], predictions.y[rows], predictions.logits[:, rows])
                found.append(misclassified(part, f"{name}, label {label}" if name else f"label {label}", limit))
        left &= ~matches
    return sorted((kind for kind in found if kind.distinct), key=lambda kind: -kind.rows)


def misclassified(predictions: Predictions, name: str, limit: int = LIMIT) -> Misclassified:
    """Return the inputs that a member gets wrong: first those that more members miss, then by distance to the label.

    Equal rows are one example: their label and their logits are the same.
    """
    _, first, times = np.unique(row_keys(predictions.x), return_index=True, return_counts=True)
    logits, labels = predictions.logits[:, first].astype(np.float64), predictions.y[first]
    wrong = len(logits) - targets.right(logits, labels).sum(axis=0)
    probability = probabilities(logits).mean(axis=0)
    margin = np.where(labels == 1, logits, -logits).mean(axis=0)
    # The last key sorts first; the place in the split settles what is left, so that the order is always the same.
    order = np.lexsort((first, -np.abs(probability - labels), -wrong))
    order = order[wrong[order] > 0]
    examples = tuple(
        Example(
            row=predictions.x[first[i]],
            label=int(labels[i]),
            probability=float(probability[i]),
            margin=float(margin[i]),
            wrong=int(wrong[i]),
            times=int(times[i]),
        )
        for i in order[:limit]
    )
    return Misclassified(name, examples, len(order), rows=int(times[order].sum()), of=len(predictions.y))
