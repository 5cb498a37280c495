"""A spec in plain values, as a record in JSON holds it: which class, which fields, and which of these are defaults."""

import inspect
import json
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from coretx.errors import UsageError

CLASS = "class"
"""Under which a dataclass's own name stands beside its fields: a word of Python's, which no field can have."""


def plain(value: Any) -> Any:
    """Return a value as JSON has it: a dataclass as its class's name and its fields, to any depth, a tuple as a list.

    >>> from coretx.models.architectures import MLP
    >>> plain(MLP(3))
    {'class': 'MLP', 'width': 3}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {CLASS: type(value).__name__} | {part.name: plain(getattr(value, part.name)) for part in fields(value)}
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
        if _has_default(part) and json.dumps(plain(own)) == json.dumps(plain(_default(part))):
            found.append(name)
        elif is_dataclass(own):
            found += at_default(own, name)
    return found


def plain_initializer(initializer: Any) -> dict[str, Any]:
    """Return an initializer's record: the name of a function with that of its module, or a dataclass's fields."""
    if is_dataclass(initializer):
        return plain(initializer)
    return {"function": f"{initializer.__module__}.{initializer.__qualname__}"}


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
    """Raise UsageError for an initializer that its record does not name: a lambda, a closure, a partial, a method."""
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
            f"model {model}: the initializer must be a function that stands by its name in its module, or an instance "
            f"of a frozen dataclass with __call__; got {initializer}: a record cannot name a lambda, a nested "
            "function or a partial"
        )


def _has_default(part: Field[Any]) -> bool:
    return part.default is not MISSING or part.default_factory is not MISSING


def _default(part: Field[Any]) -> Any:
    return part.default if part.default_factory is MISSING else part.default_factory()
