"""What a trained member looks at: attention and gradient x input, captured once on test rows."""

import numpy as np
from jaxtyping import Float, Int

from coretx.backend import ModelAccess
from coretx.parts import Explanation
from coretx.results import Predictions
from coretx.tasks.base import row_keys

MOST_ROWS = 1000
"""The sums by class are over at most so many test rows, evenly spaced."""
EXAMPLES = 2
"""So many distinct rows of each class are kept one by one."""


def explain(access: ModelAccess, test: Predictions, member: int = 0) -> Explanation:
    """Return what this member looks at in the test rows, which it has answered.

    The examples are the first rows of each class, so that every model on the same data is shown the same ones.
    """
    spread = np.linspace(0, len(test.y) - 1, min(len(test.y), MOST_ROWS)).astype(int)
    x, y, logits = test.x[spread], test.y[spread], test.logits[member, spread]
    attribution, attention = access.explain(x, member)
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
