"""How an answer is judged, for NumPy, jax and torch alike: written on the operators that all three share."""

from typing import Any

from jaxtyping import Bool, Float


def right(logits: Float[Any, "*member n"], y: Float[Any, " n"]) -> Bool[Any, "*member n"]:
    """Return whether each logit answers its row's label: class 1 where the logit is above 0, else class 0.

    >>> import numpy as np
    >>> right(np.array([2.0, -1.0, 0.0]), np.array([1.0, 1.0, 0.0])).tolist()
    [True, False, True]
    """
    return (logits > 0) == (y > 0.5)
