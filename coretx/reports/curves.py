"""What is drawn of a curve: few points that keep its shape."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Shaped

POINTS = 300
"""No path of a figure has more points than this; 400 is what a page promises at most."""


def thin(
    x: Shaped[np.ndarray, " point"], y: Float[np.ndarray, " point"], limit: int = POINTS
) -> tuple[Shaped[np.ndarray, " kept"], Float[np.ndarray, " kept"]]:
    """Return at most limit points: the first, the last, and of each stretch between them the lowest and the highest.

    A peak of one epoch stays in the picture, which it would not if every k-th point were taken.
    """
    n = len(x)
    if n <= limit:
        return x, y
    kept = {0, n - 1}
    for stretch in np.array_split(np.arange(1, n - 1), (limit - 2) // 2):
        kept |= {int(stretch[0] + np.argmin(y[stretch])), int(stretch[0] + np.argmax(y[stretch]))}
    index = np.array(sorted(kept))
    return x[index], y[index]


def envelope(
    x: Shaped[np.ndarray, " point"], values: Float[np.ndarray, "member point"], limit: int = POINTS
) -> tuple[Shaped[np.ndarray, " kept"], Float[np.ndarray, " kept"], Float[np.ndarray, " kept"]]:
    """Return x with the lowest and the highest value over members, and over stretches where points exceed the limit."""
    stretches = np.array_split(np.arange(len(x)), min(len(x), limit // 2 - 2))
    low = np.array([values[:, stretch].min() for stretch in stretches])
    high = np.array([values[:, stretch].max() for stretch in stretches])
    middle = np.array([x[stretch].mean() for stretch in stretches])
    middle[0], middle[-1] = x[0], x[-1]
    return middle, low, high


def finite_part(history: Mapping[str, Float[np.ndarray, "member epoch"]]) -> dict[str, np.ndarray]:
    """Return the epochs before the first one in which any value of any member is not finite, in float64.

    All quantities end there, since an accuracy counted from logits that are not numbers is a number all the same.
    """
    broken = ~np.all([np.isfinite(values).all(axis=0) for values in history.values()], axis=0)
    end = int(np.argmax(broken)) if broken.any() else len(broken)
    return {name: values[:, :end].astype(np.float64) for name, values in history.items()}
