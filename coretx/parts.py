"""Records of parts of what a task asks: scores on groups and at other lengths, and what a model looks at."""

from collections.abc import Mapping
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


@dataclass(frozen=True)
class Explanation:
    """What the first member looks at: for a few test rows one by one, and summed by class over many of them.

    `attention` maps each layer to its weights, which sum to 1 over keys. `attribution` is the gradient of the logit by
    the input times the input, in logits (Shrikumar et al., "Not just a black box", 2016): what each feature of each
    step adds to the logit, to first order.
    """

    x: Float[np.ndarray, "example time feature"]
    y: Float[np.ndarray, " example"]
    logits: Float[np.ndarray, " example"]
    attribution: Float[np.ndarray, "example time feature"]
    attention: Mapping[str, Float[np.ndarray, "example head query key"]]
    rows: Int[np.ndarray, "2"]
    """How many rows of class 0 and of class 1 the sums are over."""
    present: Int[np.ndarray, "2 time feature"]
    """In how many of them a feature is not 0."""
    attribution_sums: Float[np.ndarray, "2 time feature"]
    attribution_sizes: Float[np.ndarray, "2 time feature"]
    """Sums of absolute values."""
    attention_sums: Mapping[str, Float[np.ndarray, "2 head query key"]]
