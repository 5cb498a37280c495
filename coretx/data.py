"""From a task to the rows a model trains on: sampling, overlap, batch order."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from coretx.config import MIN_SAMPLES
from coretx.errors import UsageError
from coretx.seeds import stream
from coretx.tasks.base import Task, row_keys
from coretx.tasks.registry import get_task

Side = Callable[[Shaped[np.ndarray, " n"]], Bool[np.ndarray, " n"]]
"""Which canonical keys belong to one side of a task's space."""


@dataclass(frozen=True)
class Dataset:
    """Inputs and their labels: both float32, labels 0 or 1."""

    x: Float[np.ndarray, "n time feature"]
    y: Float[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.y)


def prepare_data(n_samples: int, seed: int, *, task: Task | str, side: Side | None = None) -> Dataset:
    """Draw n_samples rows of a task, as many of either class (one more of class 0 where n is odd).

    As the original does: max(10 n, 512) candidates, from which each class is drawn uniformly with replacement. Train
    takes `seed`, test `seed + 1`. `side` keeps only candidates whose canonical key lies on that side. Raises
    UsageError where a class is absent among the candidates or the task breaks its contract.
    """
    if n_samples < MIN_SAMPLES:
        raise UsageError(f"n_samples must be at least {MIN_SAMPLES}, two rows of each class; got {n_samples}")
    task = get_task(task) if isinstance(task, str) else task
    rng = stream(seed, task.name, purpose="data")
    pool = draw_candidates(max(10 * n_samples, 512), rng, task=task)
    if side is not None:
        kept = side(task.canonical_key(pool.x))
        pool = Dataset(pool.x[kept], pool.y[kept])
    counts = {1: n_samples // 2, 0: n_samples - n_samples // 2}
    rows = np.concatenate([draw_class(pool.y, value, count, rng, task=task) for value, count in counts.items()])
    rows = rng.permutation(rows)
    return Dataset(pool.x[rows], pool.y[rows])


def draw_candidates(n: int, rng: np.random.Generator, *, task: Task) -> Dataset:
    """Draw n labelled candidates; UsageError where the task's output is not what its contract says."""
    x = np.asarray(task.generate_candidates(n, rng))
    shape = (n, task.sequence_length, task.feature_dim)
    if x.shape != shape or x.dtype != np.float32:
        raise UsageError(
            f"task {task.name}: generate_candidates must return float32 of shape {shape}, got {x.dtype} {x.shape}"
        )
    y = np.asarray(task.label(x))
    if y.shape != (n,) or y.dtype != np.float32 or not np.isin(y, (0, 1)).all():
        raise UsageError(
            f"task {task.name}: label must return float32 zeros and ones of shape ({n},), got {y.dtype} {y.shape} "
            f"with values {np.unique(y)[:4].tolist()}"
        )
    return Dataset(x, y)


def draw_class(
    y: Float[np.ndarray, " pool"], value: int, count: int, rng: np.random.Generator, *, task: Task
) -> Int[np.ndarray, " count"]:
    """Return count row numbers of one class, uniform with replacement."""
    members = np.flatnonzero(y == value)
    if len(members) == 0:
        raise UsageError(
            f"task {task.name}: both classes must occur among {len(y)} candidates, but none has label {value}: "
            "make generate_candidates draw it more often"
        )
    return rng.choice(members, size=count, replace=True)


def overlap_count(train: Dataset, test: Dataset) -> int:
    """Return how many test rows, repeats counted, occur value for value in train."""
    return int(np.isin(row_keys(test.x), row_keys(train.x)).sum())


def batch_order(
    n: int, batch_size: int, epochs: range, *, seed: int, task: str, model: str, member: int
) -> tuple[Int[np.ndarray, "epoch step batch"], Float[np.ndarray, "epoch step batch"]]:
    """Return the rows of every batch of these epochs, and their weights.

    Each epoch is a permutation of its own stream, so any epoch can be made without those before it. The last batch
    is filled up with row 0 at weight 0, that one shape may serve every n.
    """
    batch = min(batch_size, n)
    steps = -(-n // batch)
    rows = np.zeros((len(epochs), steps * batch), np.int32)
    for place, epoch in enumerate(epochs):
        rows[place, :n] = stream(seed, task, model, member, f"batches of epoch {epoch}").permutation(n)
    weights = np.zeros_like(rows, np.float32)
    weights[:, :n] = 1.0
    shape = (len(epochs), steps, batch)
    return rows.reshape(shape), weights.reshape(shape)


LONGEST_CHUNK = 25
"""Epochs in one call of an engine: long enough that the call costs nothing, short enough to watch and to stop."""

ROWS_PER_CHUNK = 100_000


def epochs_per_chunk(n: int) -> int:
    """Return the epochs that are trained in one call, at most: fewer where n rows already make a long one.

    >>> [epochs_per_chunk(n) for n in (1000, 10_000, 1_000_000)]
    [25, 10, 1]
    """
    return min(max(ROWS_PER_CHUNK // n, 1), LONGEST_CHUNK)
