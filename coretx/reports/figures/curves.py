"""Curves with few points that keep their shape."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int, Shaped

POINTS = 300
"""The most points of a path in a figure; pages promise at most 400."""


def thin(
    x: Shaped[np.ndarray, " point"], y: Float[np.ndarray, " point"], limit: int = POINTS
) -> tuple[Shaped[np.ndarray, " kept"], Float[np.ndarray, " kept"]]:
    """Return at most limit points: the first, the last, and the lowest and highest of each stretch between them.

    So a peak of one epoch stays in the picture; with every k-th point it could be lost.
    """
    n = len(x)
    if n <= limit:
        return x, y
    starts = 1 + _starts(n - 2, (limit - 2) // 2)
    longest = int(np.diff(starts, append=n - 1).max())
    places = starts[:, None] + np.arange(longest)
    inside = places < np.append(starts[1:], n - 1)[:, None]
    values = y[np.minimum(places, n - 1)]
    lowest = starts + np.argmin(np.where(inside, values, np.inf), axis=1)
    highest = starts + np.argmax(np.where(inside, values, -np.inf), axis=1)
    index = np.unique([0, n - 1, *lowest, *highest])
    return x[index], y[index]


def envelope(
    x: Shaped[np.ndarray, " point"], values: Float[np.ndarray, "member point"], limit: int = POINTS
) -> tuple[Shaped[np.ndarray, " kept"], Float[np.ndarray, " kept"], Float[np.ndarray, " kept"]]:
    """Return x with the lowest and the highest value over members, and over stretches if there are too many points."""
    starts = _starts(len(x), min(len(x), limit // 2 - 2))
    low = np.minimum.reduceat(values, starts, axis=1).min(axis=0)
    high = np.maximum.reduceat(values, starts, axis=1).max(axis=0)
    middle = np.add.reduceat(x, starts) / np.diff(starts, append=len(x))
    middle[0], middle[-1] = x[0], x[-1]
    return middle, low, high


def _starts(n: int, parts: int) -> Int[np.ndarray, " part"]:
    """Return the first point of each of `parts` stretches of n points; their lengths differ by at most one point."""
    return -(-np.arange(parts) * n // parts)


def finite_part(history: Mapping[str, Float[np.ndarray, "member epoch"]]) -> dict[str, np.ndarray]:
    """Return the epochs before the first one with a value that is not finite, in float64.

    All quantities end there: an accuracy counted from logits that are not finite is finite all the same.
    """
    broken = ~np.all([np.isfinite(values).all(axis=0) for values in history.values()], axis=0)
    end = int(np.argmax(broken)) if broken.any() else len(broken)
    return {name: values[:, :end].astype(np.float64) for name, values in history.items()}
