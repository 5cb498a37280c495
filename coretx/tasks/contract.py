"""The checks of a task's contract: candidates and labels at each draw, all else once for each split."""

import numpy as np
from jaxtyping import Float

from coretx.errors import UsageError
from coretx.tasks.base import Task

TRIED = 64
"""Candidates that are drawn from each of two equal generators."""


def candidates(task: Task, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
    """Draw n candidates; UsageError where they are not finite float32 of the task's shape."""
    x = np.asarray(task.generate_candidates(n, rng))
    check_form(task, x, n, "generate_candidates")
    return x


def splittable(task: Task, n: int, rng: np.random.Generator) -> Float[np.ndarray, "some time feature"]:
    """Return the candidates of a draw that can be put on a side; UsageError as `candidates`."""
    x = task.generate_splittable(n, rng)
    if x is None:
        x = candidates(task, n, rng)
        kept = task.splittable(x)
        return x if kept.all() else x[kept]
    check_form(task, x, len(x), "generate_splittable")
    return x


def check_form(task: Task, x: np.ndarray, n: int, source: str) -> None:
    """Raise UsageError unless x is n rows of float32 of the task's shape, all finite; show the first that is not."""
    shape = (n, task.sequence_length, task.feature_dim)
    if x.shape != shape or x.dtype != np.float32:
        raise UsageError(f"task {task.name}: {source} must return float32 of shape {shape}, got {x.dtype} {x.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        total = x.sum()  # finite only where all are, and faster than asking each
    finite = np.ones(n, bool) if np.isfinite(total) else np.isfinite(x).all(axis=(1, 2))
    if not finite.all():
        row = int(np.argmin(finite))
        raise UsageError(
            f"task {task.name}: features must be finite numbers, but row {row} of {source} is "
            f'"{task.render(x[row])}": leave such rows out, or give them a number'
        )


def labels(task: Task, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
    """Return the labels of x; UsageError where they are not float32 zeros and ones, one a row."""
    y = np.asarray(task.label(x))
    if y.shape != (len(x),) or y.dtype != np.float32 or not ((y == 0) | (y == 1)).all():
        raise UsageError(
            f"task {task.name}: label must return float32 zeros and ones of shape ({len(x)},), got {y.dtype} {y.shape} "
            f"with values {np.unique(y)[:4].tolist()}"
        )
    return y


def check_labels(task: Task, x: Float[np.ndarray, "n time feature"], y: Float[np.ndarray, " n"]) -> None:
    """Raise UsageError that shows a row whose label is another among other rows, or at another time."""
    changed = np.flatnonzero(labels(task, x[::-1].copy())[::-1] != y)
    if len(changed):
        raise UsageError(
            f"task {task.name}: label must depend on the row alone, but "
            f'"{task.render(x[changed[0]])}" has label 0 at one time and 1 at another: take out of label whatever is '
            "random, counts calls or looks at other rows"
        )


def check_keys(task: Task, x: Float[np.ndarray, "n time feature"]) -> None:
    """Raise UsageError that shows a row whose canonical key is another among other rows."""
    changed = np.flatnonzero(task.checked_keys(x) != task.checked_keys(x[::-1].copy())[::-1])
    if len(changed):
        raise UsageError(
            f"task {task.name}: canonical_key must depend on the row alone, but "
            f'"{task.render(x[changed[0]])}" has another key when the rows come in another order'
        )


def check_generator(task: Task) -> None:
    """Raise UsageError where two equal generators do not give equal candidates.

    Between the two draws whatever else the task may draw from goes on: NumPy's and Python's global generators, and
    generators of its own.
    """
    first, second = (candidates(task, TRIED, np.random.default_rng(0)) for _ in range(2))
    changed = np.flatnonzero((first != second).any(axis=(1, 2)))
    if len(changed):
        rows = " and ".join(f'"{task.render(x[changed[0]])}"' for x in (first, second))
        raise UsageError(
            f"task {task.name}: generate_candidates must draw with the rng that it is given alone, but two equal "
            f"generators gave {rows} as row {changed[0]}: use rng in place of np.random, random, clocks or stored state"
        )
