"""The examples that members get wrong, each once, the worst first."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from coretx import targets
from coretx.evaluation.scores import Predictions, probabilities
from coretx.tasks.base import Task, row_keys

LIMIT = 20
"""How many examples of a split are shown."""

LIMIT_OF_KIND = 6
"""How many of one kind."""


@dataclass(frozen=True)
class Example:
    """One input that at least one member gets wrong.

    `probability` is the mean of the members' probabilities of class 1, `margin` the mean of their logits towards the
    label (below 0 where they err), `predicted` what most of them answer (the mean probability decides a draw), `wrong`
    how many of them err, `times` how often the input stands in the split.
    """

    row: Float[np.ndarray, "time feature"]
    label: int
    probability: float
    margin: float
    predicted: int
    wrong: int
    times: int


@dataclass(frozen=True)
class Misclassified:
    """The worst examples of a split; `distinct` inputs are wrong in all, which stand in `rows` rows."""

    examples: tuple[Example, ...]
    distinct: int
    rows: int


@dataclass(frozen=True)
class Kind:
    """The rows of one label and one kind, and those of them that some member gets wrong.

    `name` is the task's, empty for rows of none of its kinds; `rows` are all of this kind, right or wrong.
    """

    name: str
    label: int
    rows: int
    found: Misclassified


def by_kind(predictions: Predictions, task: Task, limit: int = LIMIT_OF_KIND) -> list[Kind]:
    """Return the misclassified inputs of each label and kind (see `Task.kinds`), those with most wrong rows first.

    Kinds without a wrong row are left out.
    """
    kinds = {name: np.asarray(matches, bool) for name, matches in task.kinds(predictions.x).items()}
    left, found = np.ones(len(predictions.y), bool), []
    for name, matches in [*kinds.items(), ("", left.copy())]:
        for label in (0, 1):
            rows = matches & left & (predictions.y == label)
            if rows.any():
                part = Predictions(predictions.x[rows], predictions.y[rows], predictions.logits[:, rows])
                found.append(Kind(name, label, int(rows.sum()), misclassified(part, limit)))
        left &= ~matches
    return sorted((kind for kind in found if kind.found.distinct), key=lambda kind: -kind.found.rows)


def misclassified(predictions: Predictions, limit: int = LIMIT) -> Misclassified:
    """Return the inputs that a member gets wrong: those more members miss first, then those further from their label.

    Equal rows are one example: their label and their logits are the same.
    """
    _, first, times = np.unique(row_keys(predictions.x), return_index=True, return_counts=True)
    logits, labels = predictions.logits[:, first].astype(np.float64), predictions.y[first]
    probability = probabilities(logits).mean(axis=0)
    margin = np.where(labels == 1, logits, -logits).mean(axis=0)
    members = len(logits)
    wrong = members - targets.right(logits, labels).sum(axis=0)
    votes = np.where(labels == 1, members - wrong, wrong)
    predicted = np.where(2 * votes == members, probability > 0.5, 2 * votes > members)
    # The last key sorts first; the place in the split settles what is left, so that the order is always the same.
    order = np.lexsort((first, -np.abs(probability - labels), -wrong))
    order = order[wrong[order] > 0]
    examples = tuple(
        Example(
            row=predictions.x[first[i]],
            label=int(labels[i]),
            probability=float(probability[i]),
            margin=float(margin[i]),
            predicted=int(predicted[i]),
            wrong=int(wrong[i]),
            times=int(times[i]),
        )
        for i in order[:limit]
    )
    return Misclassified(examples, distinct=len(order), rows=int(times[order].sum()))
