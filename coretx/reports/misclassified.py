"""The examples that members get wrong, each once, the worst first."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from coretx.results import Predictions
from coretx.tasks.base import row_keys

LIMIT = 20
"""How many examples of a split are shown."""


@dataclass(frozen=True)
class Example:
    """One input that at least one member gets wrong.

    `probability` is the mean of the members' probabilities of class 1, `predicted` what most of them answer (the mean
    probability decides a draw), `wrong` how many of them err, `times` how often the input stands in the split.
    """

    row: Float[np.ndarray, "time feature"]
    label: int
    probability: float
    predicted: int
    wrong: int
    times: int


@dataclass(frozen=True)
class Misclassified:
    """The worst examples of a split; `distinct` inputs are wrong in all, which stand in `rows` rows."""

    examples: tuple[Example, ...]
    distinct: int
    rows: int


def misclassified(predictions: Predictions, limit: int = LIMIT) -> Misclassified:
    """Return the inputs that a member gets wrong: those more members miss first, then those further from their label.

    Equal rows are one example: their label and their logits are the same.
    """
    _, first, times = np.unique(row_keys(predictions.x), return_index=True, return_counts=True)
    logits, labels = predictions.logits[:, first].astype(np.float64), predictions.y[first]
    votes = (logits > 0).sum(axis=0)
    probability = _sigmoid(logits).mean(axis=0)
    members = len(logits)
    wrong = np.where(labels == 1, members - votes, votes)
    predicted = np.where(2 * votes == members, probability > 0.5, 2 * votes > members)
    # The last key sorts first; the place in the split settles what is left, so that the order is always the same.
    order = np.lexsort((first, -np.abs(probability - labels), -wrong))
    order = order[wrong[order] > 0]
    examples = tuple(
        Example(
            row=predictions.x[first[i]],
            label=int(labels[i]),
            probability=float(probability[i]),
            predicted=int(predicted[i]),
            wrong=int(wrong[i]),
            times=int(times[i]),
        )
        for i in order[:limit]
    )
    return Misclassified(examples, distinct=len(order), rows=int(times[order].sum()))


def _sigmoid(logits: Float[np.ndarray, "member n"]) -> Float[np.ndarray, "member n"]:
    return 0.5 * (1 + np.tanh(logits / 2))  # no overflow at either end
