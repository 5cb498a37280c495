"""Batches: the order of rows, and how many epochs and rows are taken at once."""

import numpy as np
from jaxtyping import Float, Int

from coretx.seeds import stream

JUMP = 210306068529402873165736369884012333109
"""Draws between two epochs of a stream: 2^128 over the golden ratio, as in numpy's PCG64.jumped."""


def batch_orders(
    n: int, batch_size: int, epochs: range, *, seed: int, task: str, model: str, members: int
) -> tuple[Int[np.ndarray, "member epoch step batch"], Float[np.ndarray, "member epoch step batch"]]:
    """Return the rows of every batch of these epochs, and their weights, for members 0, 1, ...: see `batch_order`."""
    orders = [
        batch_order(n, batch_size, epochs, seed=seed, task=task, model=model, member=member)
        for member in range(members)
    ]
    rows, weights = zip(*orders, strict=True)
    return np.stack(rows), np.stack(weights)


def batch_order(
    n: int, batch_size: int, epochs: range, *, seed: int, task: str, model: str, member: int
) -> tuple[Int[np.ndarray, "epoch step batch"], Float[np.ndarray, "epoch step batch"]]:
    """Return the rows of every batch of these epochs, and their weights.

    Each epoch is a permutation from its own place in the member's stream, so any epoch can be made without those
    before it. The last batch is filled up with row 0 at weight 0, that one shape may serve every n.
    """
    batch = min(batch_size, n)
    steps = -(-n // batch)
    generator = stream(seed, task, model, member, "batches")
    bits = generator.bit_generator
    assert isinstance(bits, np.random.PCG64), "what stream returns"
    start = bits.state
    rows = np.zeros((len(epochs), steps * batch), np.int32)
    for place, epoch in enumerate(epochs):
        bits.state = start
        bits.advance(epoch * JUMP)
        rows[place, :n] = generator.permutation(n)
    weights = np.zeros_like(rows, np.float32)
    weights[:, :n] = 1.0
    shape = (len(epochs), steps, batch)
    return rows.reshape(shape), weights.reshape(shape)


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
