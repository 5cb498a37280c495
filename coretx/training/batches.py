"""Batches: the order of rows, and how many epochs and rows are taken at once."""

import numpy as np
from jaxtyping import Float, Int

from coretx.seeds import stream


def batch_order(
    n: int, batch_size: int, epochs: range, *, seed: int, task: str, model: str, member: int
) -> tuple[Int[np.ndarray, "epoch step batch"], Float[np.ndarray, "epoch step batch"]]:
    """Return the rows of every batch of these epochs, and their weights.

    Each epoch is a permutation of its own stream, so any epoch can be made without those before it. The last batch
    is filled up with row 0 at weight 0, that one shape may serve every n.
    """
    weights = batch_weights(n, batch_size)
    rows = np.zeros((len(epochs), weights.size), np.int32)
    for place, epoch in enumerate(epochs):
        rows[place, :n] = stream(seed, task, model, member, f"batches of epoch {epoch}").permutation(n)
    return rows.reshape(len(epochs), *weights.shape), np.tile(weights, (len(epochs), 1, 1))


def batch_weights(n: int, batch_size: int) -> Float[np.ndarray, "step batch"]:
    """Return the weight of each row of an epoch's batches: 1, and 0 where the last one is filled up."""
    batch = min(batch_size, n)
    weights = np.zeros((-(-n // batch), batch), np.float32)
    weights.reshape(-1)[:n] = 1.0
    return weights


LONGEST_CHUNK = 25
"""Epochs in one call of an engine: long enough that the call costs nothing, short enough to watch and to stop."""


ROWS_PER_CHUNK = 100_000


STEPS_PER_BLOCK = 65_536
"""Steps of sequences in one block: at 32 features and 4 bytes a number, an array of them takes 8 MB."""


def rows_per_block(time: int) -> int:
    """Return the rows of this many steps that a pass without gradients takes at a time, at most.

    >>> [rows_per_block(time) for time in (1, 6, 512)]
    [65536, 10922, 128]
    """
    return max(STEPS_PER_BLOCK // time, 1)


def epochs_per_chunk(n: int) -> int:
    """Return the epochs that are trained in one call, at most: fewer where n rows already make a long one.

    >>> [epochs_per_chunk(n) for n in (1000, 10_000, 1_000_000)]
    [25, 10, 1]
    """
    return min(max(ROWS_PER_CHUNK // n, 1), LONGEST_CHUNK)
