"""What a function is, as a digest: its code and all that the code can reach, the same in every process.

Taken from the functions in memory, not from files: whoever edits a file while a run lasts, or patches a function, gets
the digest of what would be run. Of libraries the names alone are taken, their versions are the caller's.
"""

import dataclasses
import enum
import functools
import hashlib
import sys
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

LIBRARIES = {"jax", "jaxlib", "flax", "optax", "numpy", "jaxtyping", "beartype"} | sys.stdlib_module_names
"""Packages whose functions are taken by name."""

PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), np.generic, np.dtype, enum.Enum)
COMMON = {str, int, type(None)}
"""Most of what there is to see."""

INNER = (property, classmethod, staticmethod, functools.partial, functools.cached_property)
"""What wraps functions, which its attributes name."""


class UnknownValueError(TypeError):
    """A value that a function reaches and that this module cannot describe."""


def fingerprint(function: Any) -> str:
    """Return the digest of a function, a class or a value. UnknownValueError where it reaches what has none.

    >>> fingerprint(lambda x: x + 1) == fingerprint(lambda x: x + 1), fingerprint(lambda x: x + 2)[:0]
    (True, '')
    """
    walk = Walk()
    walk.take(function)
    return walk.digest.hexdigest()


class Walk:
    """A walk from one function to all that it reaches, each thing once."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.seen: dict[int, tuple[int, Any]] = {}  # holds what it has seen, so that no id comes again

    def take(self, value: Any) -> None:
        """Add a value to the digest."""
        if type(value) in COMMON or isinstance(value, PLAIN):
            return self._write(type(value).__name__, repr(value))
        if id(value) in self.seen:
            return self._write("again", self.seen[id(value)][0])
        self.seen[id(value)] = len(self.seen), value
        if (name := library_name(value)) is not None:
            return self._write("library", name)
        self._write(type(value).__name__)
        for part in self._parts(value):
            self.take(part)
        return None

    def _write(self, *words: Any) -> None:
        self.digest.update(repr(words).encode())

    def _parts(self, value: Any) -> Iterator[Any]:
        """Yield what a value is made of."""
        match value:
            case types.FunctionType():
                code = described(value.__code__)
                yield from (value.__qualname__, code.digest, value.__defaults__, value.__kwdefaults__)
                yield from (cell.cell_contents for cell in value.__closure__ or ())
                if value.__globals__["__name__"].partition(".")[0] not in LIBRARIES:
                    yield from reached(code.names, value.__globals__)
            case type():
                yield from (value.__module__, value.__qualname__, value.__bases__)
                for name, attribute in sorted(vars(value).items()):
                    if isinstance(attribute, (types.FunctionType, *INNER, *PLAIN, tuple)) and name not in FREE:
                        yield from (name, attribute)
            case dict() | types.MappingProxyType():
                yield from (part for item in value.items() for part in item)
            case tuple() | list():
                yield from (type(value), len(value)) if hasattr(value, "_fields") else (len(value),)
                yield from value
            case set() | frozenset():
                yield from sorted(fingerprint(item) for item in value)
            case np.ndarray():
                yield from (value.dtype, value.shape, value.tobytes())
            case types.ModuleType():
                yield value.__name__
            case types.MethodType():
                yield from (value.__func__, value.__self__)
            case _ if dataclasses.is_dataclass(value):
                yield type(value)
                yield from (getattr(value, field.name) for field in dataclasses.fields(value))
            case _ if names := [name for name in WRAPPED if hasattr(value, name)]:
                yield from (getattr(value, name) for name in names)
            case _:
                raise UnknownValueError(f"nothing tells what a {type(value).__qualname__} is in another process")


FREE = {"__doc__", "__module__", "__qualname__", "__annotations__", "__firstlineno__", "__static_attributes__"}
"""Attributes of a class on which no result depends, or that are taken anyhow."""

WRAPPED = ("__wrapped__", "func", "args", "keywords", "fget", "fset", "__func__", "fwd", "bwd")
"""Where wrappers keep functions: Python's own, and the last two of jax.custom_vjp."""


def library_name(value: Any) -> str | None:
    """Return the name of what is a library's and found there under that name: a module, a class, a function."""
    if isinstance(value, types.ModuleType):
        return value.__name__ if value.__name__.partition(".")[0] in LIBRARIES else None
    if isinstance(value, types.BuiltinFunctionType) and isinstance(value.__self__, type):
        return f"builtins.{value.__qualname__}"
    module = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module.partition(".")[0] not in LIBRARIES:
        return None
    found = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    # What a library has made of another function, as jax.vmap does, may bear that function's name.
    return f"{module}.{name}" if found is value or isinstance(value, type) else None


class Code(NamedTuple):
    """What one function's code is, functions inside it included."""

    digest: str
    names: tuple[str, ...]
    """All that it looks up."""
    code: types.CodeType


CODES: dict[int, Code] = {}
"""What has been described, by the id of a code object, which cannot change and is held."""


def described(code: types.CodeType) -> Code:
    """Return what code is: neither the file it stands in nor the lines."""
    if id(code) not in CODES:
        inner = [described(part) for part in code.co_consts if isinstance(part, types.CodeType)]
        constants = [part for part in code.co_consts if not isinstance(part, types.CodeType)]
        words = (code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_flags)
        digest = fingerprint((words, constants, [part.digest for part in inner]))
        names = {*code.co_names, *(name for part in inner for name in part.names)}
        CODES[id(code)] = Code(digest, tuple(sorted(names)), code)
    return CODES[id(code)]


def reached(names: tuple[str, ...], namespace: dict[str, Any]) -> Iterator[Any]:
    """Yield those of the names that are global, each with its value; of a module of ours what they may mean in it."""
    for name in names:
        if name in namespace:
            value = namespace[name]
            yield from (name, value)
            if isinstance(value, types.ModuleType) and library_name(value) is None:
                yield from (part for inner in names if hasattr(value, inner) for part in (inner, getattr(value, inner)))
