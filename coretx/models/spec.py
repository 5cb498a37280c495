"""What a model is, before any engine builds it: architecture, optimizer, and the claim its rung tests."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from coretx.errors import UsageError, choices
from coretx.models.init import xavier_uniform
from coretx.results import VIEWS
from coretx.tasks.base import check_name


class InputShape(NamedTuple):
    """The shape of one input, without the batch axis."""

    time: int
    feature: int


@dataclass(frozen=True)
class Optimizer:
    """AdamW with decoupled weight decay (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019).

    The learning rate goes linearly from `learning_rate_start` in the first epoch to `learning_rate_end` in the last,
    one step per epoch. Decay applies to every parameter, biases too, as in the original.
    """

    learning_rate_start: float = 0.1
    learning_rate_end: float = 0.1
    weight_decay: float = 0.01
    batch_size: int = 128
    epochs: int = 1000
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8


Initializer = Callable[[str, tuple[int, ...], np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class ModelSpec:
    """One rung of the ladder. Hashable; equal specs train equally.

    `architecture` is a frozen dataclass; each engine's registry maps its type to a model class, and `engines` names
    the engines that do. `initializer` fills one parameter from its canonical name, its shape and its own stream.
    """

    name: str
    architecture: Any
    claim: str
    optimizer: Optimizer = field(default_factory=Optimizer)
    engines: tuple[str, ...] = ("jax", "torch")
    initializer: Initializer = xavier_uniform
    view: str = "full"
    """What the architecture can see of an input (see `VIEWS`): its ceiling stands beside its scores."""

    def __post_init__(self) -> None:
        check_name("model", self.name)
        if self.view not in VIEWS:
            raise UsageError(f"model {self.name}: the view must be one of {choices(VIEWS)}, got {self.view!r}")
        if not is_dataclass(self.architecture) or isinstance(self.architecture, type):
            raise UsageError(
                f"model {self.name}: the architecture must be a frozen dataclass instance, got {self.architecture}"
            )

    def hyperparameters(self) -> dict[str, Any]:
        """Return the spec as one flat dict of plain values, for configs and logs."""
        return {
            "architecture": type(self.architecture).__name__,
            **asdict(self.architecture),
            **asdict(self.optimizer),
            "initializer": self.initializer.__name__,
        }
