"""What a function is, as a digest: its code and all that the code can reach, the same in every process.

Taken from the functions in memory, not from files: whoever edits a file while a run lasts, or patches a function, gets
the digest of what would be run. Of libraries the names alone are taken, their versions are the caller's.
"""

import dataclasses
import dis
import enum
import functools
import hashlib
import sys
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "jaxtyping", "beartype")
LIBRARIES = {*PACKAGES} | sys.stdlib_module_names
"""Packages whose functions are taken by name: their versions are the caller's, and Python's."""

PLAIN = {type(None), bool, int, float, complex, str, bytes, type(...), range, slice}
"""Types whose values are what they print; what is derived from them may be more."""

UNSEEN = {
    *("getattr", "globals", "vars", "eval", "exec", "__import__", "import_module"),
    *("environ", "getenv", "argv", "open", "load", "loadtxt", "read_text", "read_bytes"),
}
"""Names of what finds a function or a number by other ways than the code tells."""

WRAPPERS: dict[type, tuple[str, ...]] = {
    property: ("fget", "fset", "fdel"),
    classmethod: ("__func__",),
    staticmethod: ("__func__",),
    functools.partial: ("func", "args", "keywords"),
    functools.cached_property: ("func",),
    type(functools.cache(len)): ("__wrapped__",),
    jax.custom_vjp: ("__wrapped__", "nondiff_argnums", "fwd", "bwd"),
    jax.custom_jvp: ("__wrapped__", "nondiff_argnums", "jvp"),
}
"""What wraps functions, and the attributes that say which and how."""


class UnknownValueError(TypeError):
    """A value that a function reaches and that this module cannot describe."""


def fingerprint(function: Any) -> str:
    """Return the digest of a function, a class or a value. UnknownValueError where it reaches what has none.

    Two functions may have different digests and do the same; equal digests mean equal code and constants.

    >>> fingerprint(lambda x: x + 1) == fingerprint(lambda x: x + 1) != fingerprint(lambda x: x + 2)
    True
    """
    walk = Walk()
    walk.take(function)
    return walk.digest.hexdigest()


class Code(NamedTuple):
    """What one function's code is, functions inside it included."""

    digest: str
    names: tuple[str, ...]
    """All that it looks up."""
    finds: str
    """What it does that hides from `names` what it uses; nothing, mostly."""
    code: types.CodeType


class Walk:
    """A walk from one function to all that it reaches, each thing once."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.seen: dict[int, tuple[int, Any]] = {}  # holds what it has seen, so that no id comes again

    def take(self, value: Any) -> None:
        """Add a value to the digest."""
        if type(value) in PLAIN:
            return self._write(type(value).__name__, repr(value))
        if id(value) in self.seen:
            return self._write("again", self.seen[id(value)][0])
        self.seen[id(value)] = len(self.seen), value
        if (name := library_name(value)) is not None:
            return self._write("library", name)
        self._write(type(value).__name__)
        for part in self._parts(value):
            self.take(part)
        return self._write("end")

    def _write(self, *words: Any) -> None:
        self.digest.update(repr(words).encode())

    def _parts(self, value: Any) -> Iterator[Any]:
        """Yield what a value is made of."""
        match value:
            case types.FunctionType():
                code = described(value.__code__)
                yield from (value.__qualname__, code.digest, value.__defaults__, value.__kwdefaults__)
                yield from (cell.cell_contents for cell in value.__closure__ or ())
                yield from (part for item in vars(value).items() if item[0] != "__wrapped__" for part in item)
                if not in_library(value):
                    if code.finds:
                        raise UnknownValueError(f"{value.__qualname__} uses {code.finds}: what it finds, nothing tells")
                    yield from reached(code.names, value.__globals__)
            case type():
                yield from (type(value), value.__module__, value.__qualname__, value.__bases__)
                for name, attribute in sorted(vars(value).items()):
                    if name not in FREE and not name.startswith(("__dataclass_", "_pytree__", "_abc_")):
                        yield from (name, attribute)
            case enum.Enum():
                yield from (type(value), value.name)
            case tuple() if hasattr(value, "_fields"):
                yield from (type(value), *value)
            case _ if type(value) in (tuple, list):
                yield from value
            case _ if type(value) in (dict, types.MappingProxyType):
                yield from (part for item in value.items() for part in item)
            case _ if type(value) in (set, frozenset):
                yield from sorted(fingerprint(item) for item in value)
            case np.dtype() | np.generic():
                yield from (type(value), str(value))
            case np.ndarray() if type(value) is np.ndarray and not value.dtype.hasobject:
                yield from (str(value.dtype), value.shape, value.tobytes())
            case types.MethodType():
                yield from (value.__func__, value.__self__)
            case _ if dataclasses.is_dataclass(value):
                yield type(value)
                yield from (getattr(value, field.name) for field in dataclasses.fields(value))
                yield from (part for item in sorted(getattr(value, "__dict__", {}).items()) for part in item)
            case _ if type(value) in WRAPPERS:
                yield from (getattr(value, name, None) for name in WRAPPERS[type(value)])
            case _ if type(value) in DESCRIPTORS:
                pass
            case _:
                raise UnknownValueError(f"nothing tells what a {type(value).__qualname__} is in another process")


FREE = {
    *("__doc__", "__module__", "__qualname__", "__dict__", "__weakref__", "__annotations__", "__match_args__"),
    *("__firstlineno__", "__static_attributes__", "__orig_bases__", "__slots__"),
}
"""Attributes of a class on which no result depends, or that are taken anyhow."""

DESCRIPTORS = {types.MemberDescriptorType, types.GetSetDescriptorType, type(vars(Code)["digest"])}
"""What Python itself makes of a class's slots and of the fields of a named tuple, whose names are taken."""


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
    if "<locals>" in name:
        return None
    if isinstance(value, type) and not value.__flags__ & MADE:
        return f"{module}.{name}"
    # What a library has made of another function, as jax.vmap does, may bear that function's name, and a class that is
    # made by calling type() the module of its metaclass. jax.Array stands in jax under the last part of its name.
    parts = name.split(".")
    found = [functools.reduce(attribute, path, sys.modules.get(module)) for path in (parts, parts[-1:])]
    return f"{module}.{name}" if any(value is thing for thing in found) else None


MADE = 1 << 9
"""The flag of a class made by Python code, or as Python code makes one (Py_TPFLAGS_HEAPTYPE)."""


def attribute(place: Any, name: str) -> Any:
    """Return what stands in a place under a name, or None."""
    return getattr(place, name, None)


def in_library(function: types.FunctionType) -> bool:
    """Tell whether a function is written in a library's module, whatever name it bears."""
    return function.__globals__.get("__name__", "").partition(".")[0] in LIBRARIES


IMPORT = dis.opmap["IMPORT_NAME"]

CODES: dict[int, Code] = {}
"""What has been described, by the id of a code object, which cannot change and is held."""


def described(code: types.CodeType) -> Code:
    """Return what code is: neither the file it stands in nor the lines."""
    if id(code) not in CODES:
        inner = [described(part) for part in code.co_consts if isinstance(part, types.CodeType)]
        constants = [part for part in code.co_consts if not isinstance(part, types.CodeType)]
        words = [getattr(code, name) for name in WORDS]
        digest = fingerprint((words, constants, [part.digest for part in inner]))
        names = {*code.co_names, *(name for part in inner for name in part.names)}
        finds = "import" if IMPORT in code.co_code[::2] else next(iter(sorted(UNSEEN.intersection(code.co_names))), "")
        finds = next((part.finds for part in inner if part.finds), finds)
        CODES[id(code)] = Code(digest, tuple(sorted(names)), finds, code)
    return CODES[id(code)]


WORDS = (
    *("co_code", "co_exceptiontable", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_flags"),
    *("co_argcount", "co_posonlyargcount", "co_kwonlyargcount"),
)
"""What a code object is made of, its constants apart."""


def reached(names: tuple[str, ...], namespace: dict[str, Any]) -> Iterator[Any]:
    """Yield those of the names that are there, each with its value; of a module of ours what they may mean in it."""
    for name in names:
        if name in namespace:
            value = namespace[name]
            yield name
            if isinstance(value, types.ModuleType) and library_name(value) is None:
                yield value.__name__
                yield from reached(tuple(part for part in names if part != name), vars(value))
            else:
                yield value
