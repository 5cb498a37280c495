"""Explanations of one trained member on test rows: attention weights and gradient x input."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from coretx.evaluation.scores import Predictions
from coretx.tasks.base import row_keys
from coretx.training.backend import ModelAccess


@dataclass(frozen=True)
class Explanation:
    """Explanations of the first member: for a few test rows, and summed by class over many rows.

    `attention` maps each layer to its weights, which sum to 1 over keys. `attribution` is the gradient of the logit by
    the input times the input, in logits (Shrikumar et al., "Not just a black box", 2016): the contribution of each
    feature of each step to the logit, to first order.
    """

    x: Float[np.ndarray, "example time feature"]
    y: Float[np.ndarray, " example"]
    logits: Float[np.ndarray, " example"]
    attribution: Float[np.ndarray, "example time feature"]
    attention: Mapping[str, Float[np.ndarray, "example head query key"]]
    rows: Int[np.ndarray, "2"]
    """The number of summed rows of class 0 and of class 1."""
    present: Int[np.ndarray, "2 time feature"]
    """The number of these rows in which a feature is not 0."""
    attribution_sums: Float[np.ndarray, "2 time feature"]
    attribution_sizes: Float[np.ndarray, "2 time feature"]
    """Sums of absolute values."""
    attention_sums: Mapping[str, Float[np.ndarray, "2 head query key"]]


MOST_ROWS = 1000
"""The largest number of test rows in the sums by class; they are evenly spaced."""
EXAMPLES = 2
"""The number of distinct rows of each class with explanations of their own."""


def explain(access: ModelAccess, test: Predictions, member: int = 0) -> Explanation:
    """Return the explanations of this member on the test rows.

    The examples are the first rows of each class: the same for every model on the same data.
    """
    spread = np.linspace(0, len(test.y) - 1, min(len(test.y), MOST_ROWS)).astype(int)
    x, y, logits = test.x[spread], test.y[spread], test.logits[member, spread]
    slope, attention = access.explain(x, member)
    attribution = x * slope
    chosen = examples(x, y)
    classes = [y == label for label in (0, 1)]

    def sums(values: np.ndarray) -> np.ndarray:
        return np.stack([values[rows].sum(axis=0, dtype=np.float64) for rows in classes])

    return Explanation(
        x=x[chosen],
        y=y[chosen],
        logits=logits[chosen],
        attribution=attribution[chosen],
        attention={name: weights[chosen] for name, weights in attention.items()},
        rows=np.array([rows.sum() for rows in classes]),
        present=np.stack([(x[rows] != 0).sum(axis=0) for rows in classes]),
        attribution_sums=sums(attribution),
        attribution_sizes=sums(np.abs(attribution)),
        attention_sums={name: sums(weights) for name, weights in attention.items()},
    )


def examples(x: Float[np.ndarray, "n time feature"], y: Float[np.ndarray, " n"]) -> Int[np.ndarray, " example"]:
    """Return the places of the first distinct rows of each class, class 0 first; fewer where a class has fewer."""
    _, first = np.unique(row_keys(x), return_index=True)
    places = np.sort(first)
    return np.concatenate([places[y[places] == label][:EXAMPLES] for label in (0, 1)])
