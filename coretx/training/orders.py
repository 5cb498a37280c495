"""The batch orders of all members of a population."""

import numpy as np
from jaxtyping import Float, Int

from coretx.training.batches import batch_order, batch_weights


def batch_orders(
    n: int, batch_size: int, epochs: range, *, seed: int, task: str, model: str, members: int
) -> tuple[Int[np.ndarray, "member epoch step batch"], Float[np.ndarray, "member epoch step batch"]]:
    """Return the rows and the weights of every batch of these epochs, for members 0, 1, ...: see `batch_order`."""
    stream = {"n": n, "batch_size": batch_size, "seed": int(seed), "task": task, "model": model}
    rows = np.stack([batch_order(epochs=epochs, member=member, **stream)[0] for member in range(members)])
    return rows, np.tile(batch_weights(n, batch_size), (members, len(epochs), 1, 1))
