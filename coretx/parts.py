"""Records of scores on parts of what a task asks: on groups of test rows, and on inputs of other lengths."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class GroupScore:
    """How many test rows of one group each member gets right; `grouping` says by what the rows are parted.

    `keys` counts the distinct problems among them.
    """

    grouping: str
    group: str
    rows: int
    keys: int
    correct: Int[np.ndarray, " member"]

    @property
    def accuracy(self) -> Float[np.ndarray, " member"]:
        """The share of the rows that each member gets right."""
        return self.correct / self.rows


@dataclass(frozen=True)
class LengthScore:
    """How members that were trained on inputs of `trained` steps do on test rows of `length` steps, `keys` problems.

    `accuracy` and `loss` (nats) are None where the model's shape fixes the length, so that it is not applicable.
    """

    length: int
    trained: int
    rows: int
    keys: int
    accuracy: Float[np.ndarray, " member"] | None
    loss: Float[np.ndarray, " member"] | None
