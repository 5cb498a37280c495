"""What a model is, before any engine builds it: architecture, optimizer, and the claim its rung tests."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from coretx.errors import UsageError, choices
from coretx.models.init import xavier_uniform
from coretx.models.plain import at_default, check_initializer, check_plain, plain, plain_initializer
from coretx.tasks.base import check_name

VIEWS = {
    "full": "everything",
    "linear": "a weighted sum of all features",
    "additive": "a sum of what each step contributes",
    "order-blind": "the steps without their order",
    "answer-only": "the answer alone",
    "majority": "nothing",
}
"""What a model or rule of each view answers by."""


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


COUNTS = ("batch_size", "epochs")
MOMENTS = ("b1", "b2")


def check_optimizer(model: str, optimizer: Optimizer) -> None:
    """Raise UsageError for a number that nothing can be trained with."""
    for name, value in asdict(optimizer).items():
        if name in COUNTS:
            wanted, good = "a whole number, at least 1", isinstance(value, int) and value >= 1
        else:
            good = isinstance(value, int | float) and 0 <= value < (1 if name in MOMENTS else math.inf)
            wanted = "a number, at least 0 and below 1" if name in MOMENTS else "a finite number, at least 0"
        if not good:
            raise UsageError(f"model {model}: {name} of its optimizer must be {wanted}; got {value!r}")


Initializer = Callable[[str, tuple[int, ...], np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class ModelSpec:
    """One rung of the ladder. Hashable; equal specs train equally.

    `architecture` is a frozen dataclass; each engine's registry maps its type to a model class, and `engines` names
    the engines that do. `initializer` fills one parameter from its canonical name, its shape and its own stream: a
    function at the top of a module, or an instance of a frozen dataclass with `__call__`.
    UsageError for what cannot be trained or written down.
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
        check_plain(self.name, "architecture", self.architecture)
        check_initializer(self.name, self.initializer)
        check_optimizer(self.name, self.optimizer)

    def hyperparameters(self) -> dict[str, Any]:
        """Return the spec in plain values, for configs and logs: nested, so that no part's field hides another's.

        `architecture` has `class` and its fields, `optimizer` its fields, `initializer` the `function` or, for a
        dataclass, `class` and its fields.
        """
        return {
            "architecture": plain(self.architecture),
            "optimizer": asdict(self.optimizer),
            "initializer": plain_initializer(self.initializer),
        }

    def at_default(self) -> tuple[str, ...]:
        """Return the places in `hyperparameters` that have their default: they do not enter the id of a cell."""
        parts = {"architecture": self.architecture, "optimizer": self.optimizer, "initializer": self.initializer}
        found = [place for name, part in parts.items() if is_dataclass(part) for place in at_default(part, name)]
        return (*found, *(["initializer"] if self.initializer is xavier_uniform else []))
