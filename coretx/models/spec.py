"""A model as data, before any engine builds it: architecture, optimizer, claim; and as plain values for records."""

import inspect
import json
import math
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from coretx.errors import UsageError, choices
from coretx.models.init import xavier_uniform
from coretx.tasks.base import check_name

VIEWS = {
    "full": "everything",
    "linear": "a weighted sum of all features",
    "additive": "a sum of what each step contributes",
    "order-blind": "the steps without their order",
    "answer-only": "the answer alone",
    "majority": "nothing",
}
"""The part of an input that a model of each view can use."""


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


def check_optimizer(model: str, optimizer: Optimizer) -> None:
    """Raise UsageError for a number out of its range."""
    for name, value in asdict(optimizer).items():
        if name in ("batch_size", "epochs"):
            wanted, good = "a whole number, at least 1", isinstance(value, int) and value >= 1
        elif name in ("b1", "b2"):
            wanted, good = "a number, at least 0 and below 1", isinstance(value, int | float) and 0 <= value < 1
        else:
            wanted, good = "a finite number, at least 0", isinstance(value, int | float) and 0 <= value < math.inf
        if not good:
            raise UsageError(f"model {model}: {name} of its optimizer must be {wanted}; got {value!r}")


Initializer = Callable[[str, tuple[int, ...], np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class ModelSpec:
    """One rung of the ladder. Hashable; equal specs train equally.

    `architecture` is a frozen dataclass; each of the `engines` maps its type to a model class. `initializer` fills one
    parameter from its canonical name, its shape and its own stream: a function at the top of a module, or an instance
    of a frozen dataclass with `__call__`. Raises UsageError for a spec that cannot be trained or recorded.
    """

    name: str
    architecture: Any
    claim: str
    optimizer: Optimizer = field(default_factory=Optimizer)
    engines: tuple[str, ...] = ("jax", "torch")
    initializer: Initializer = xavier_uniform
    view: str = "full"
    """The part of an input that the architecture can use (see `VIEWS`); the ceiling of the view is shown."""

    def __post_init__(self) -> None:
        check_name("model", self.name)
        if self.view not in VIEWS:
            raise UsageError(f"model {self.name}: the view must be one of {choices(VIEWS)}, got {self.view!r}")
        check_plain(self.name, "architecture", self.architecture)
        check_initializer(self.name, self.initializer)
        check_optimizer(self.name, self.optimizer)

    def hyperparameters(self) -> dict[str, Any]:
        """Return the spec as nested plain values, for configs and logs.

        `architecture` has `class` and its fields, `optimizer` its fields, `initializer` the `function` or, for a
        dataclass, `class` and its fields.
        """
        function: Any = self.initializer
        return {
            "architecture": plain(self.architecture),
            "optimizer": asdict(self.optimizer),
            "initializer": plain(function)
            if is_dataclass(function)
            else {"function": f"{function.__module__}.{function.__qualname__}"},
        }

    def at_default(self) -> tuple[str, ...]:
        """Return the places in `hyperparameters` that have their default; they do not enter the id of a cell."""
        parts = {"architecture": self.architecture, "optimizer": self.optimizer, "initializer": self.initializer}
        found = [place for name, part in parts.items() if is_dataclass(part) for place in at_default(part, name)]
        return (*found, *(["initializer"] if self.initializer is xavier_uniform else []))


def plain(value: Any) -> Any:
    """Return a value as JSON has it: a dataclass as its class and fields, to any depth; a tuple as a list.

    >>> from coretx.models.architectures import MLP
    >>> plain(MLP(3))
    {'class': 'MLP', 'width': 3}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {"class": type(value).__name__} | {part.name: plain(getattr(value, part.name)) for part in fields(value)}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def at_default(value: Any, place: str) -> list[str]:
    """Return the places of a dataclass's fields that have their default, as in `optimizer.b1`; nested ones too.

    >>> from coretx.models.architectures import MultiLayerTransformer
    >>> at_default(MultiLayerTransformer(width=8, depth=3), "architecture")
    ['architecture.heads', 'architecture.feedforward', 'architecture.position_scale']
    """
    found = []
    for part in fields(value):
        own, name = getattr(value, part.name), f"{place}.{part.name}"
        default = part.default if part.default_factory is MISSING else part.default_factory()
        if default is not MISSING and json.dumps(plain(own)) == json.dumps(plain(default)):
            found.append(name)
        elif is_dataclass(own):
            found += at_default(own, name)
    return found


def check_plain(model: str, what: str, value: Any) -> None:
    """Raise UsageError unless the value is an instance of a frozen dataclass whose fields a record can hold."""
    kind: Any = type(value)
    if not is_dataclass(value) or isinstance(value, type) or not kind.__dataclass_params__.frozen:
        raise UsageError(
            f"model {model}: the {what} must be an instance of a frozen dataclass, got {value}: write "
            "@dataclass(frozen=True) above its class"
        )
    try:
        json.dumps(plain(value), allow_nan=False)
        hash(value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"model {model}: the {what}'s fields must be numbers, text, or tuples of them, which a record in JSON can "
            f"hold and which cannot change; got {value} ({error})"
        ) from error


def check_initializer(model: str, initializer: Any) -> None:
    """Raise UsageError for an initializer that a record cannot name: a lambda, a closure, a partial, a method."""
    if is_dataclass(initializer) and callable(initializer):
        check_plain(model, "initializer", initializer)
        return
    function: Any = initializer
    first, *rest = getattr(initializer, "__qualname__", "<nameless>").split(".")
    found: Any = getattr(inspect.unwrap(function), "__globals__", {}).get(first)
    for name in rest:
        found = getattr(found, name, None)
    if found is not initializer:
        raise UsageError(
            f"model {model}: the initializer must be a function at the top of its module, or an instance "
            f"of a frozen dataclass with __call__; got {initializer}: a record cannot name a lambda, a nested "
            "function or a partial"
        )
