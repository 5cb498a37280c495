"""The digest of a function: equal for equal code, in every process, and another for whatever it would do otherwise."""

import functools
import os
import subprocess
import sys
import types
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from beartype import beartype
from flax import nnx
from jaxtyping import Float, jaxtyped

from coretx.config import EngineOptions
from coretx.models.registry import build_models
from coretx.models.spec import InputShape
from coretx.tasks.sampling import Dataset
from coretx.training.backend import load_backend
from coretx.training.loop import Population, start, train
from jaxtx.fingerprint import LIBRARIES, UnknownValueError, Walk, fingerprint

SOURCE = """
import enum, functools, jax, types
from dataclasses import dataclass
from typing import NamedTuple
RATE = 0.5
TABLE = {"a": (1, 2), "b": {3, 4}}

class Pair(NamedTuple):
    one: int
    two: int = 2

outer, inner = types.ModuleType("outer"), types.ModuleType("outer.inner")
outer.inner = inner
outer.inner.tripled = lambda x: 3 * x
NESTED = {"c": {}, "d": 3}

class Kind(enum.Enum):
    ONE = 1
    def apply(self):
        return self.value

@dataclass(frozen=True)
class Settings:
    kind: Kind = Kind.ONE

@dataclass
class More:
    rate: float = 0.1
    def __post_init__(self):
        self.bias = 0.5
MORE = More()

class Base:
    def raised(self, x):
        return 9 * x

class Layer(Base):
    slope = 3
    table = {1: [2]}
    def __init__(self, width):
        self.width = width
    def __call__(self, x):
        return self.inner(x) + self.slope
    @property
    def half(self):
        return self.width / 2
    @staticmethod
    def inner(x):
        return 4 * x

@jax.custom_vjp
def bent(x):
    return x * x
def ahead(x):
    return bent(x), x
def back(x, slope):
    return (2 * x * slope,)
bent.defvjp(ahead, back)

@functools.cache
def remembered(x, step=5):
    return lambda y: x + y + step

def root(x):
    "What it does."
    deep = outer.inner.tripled(x) + len(NESTED) + Settings().kind.apply() + MORE.bias
    return deep + bent(Layer(6)(x)) + remembered(7)(x) + RATE + len(TABLE) + Pair(8).two + jax.numpy.exp(x)
root.note = 1
"""
EDITS = {
    "a constant of the module": ("RATE = 0.5", "RATE = 0.25"),
    "a part of a table": ("{3, 4}", "{3, 5}"),
    "a default of a tuple": ("two: int = 2", "two: int = 3"),
    "an attribute of a class": ("slope = 3", "slope = 2"),
    "a table in a class": ("{1: [2]}", "{1: [3]}"),
    "an attribute of a function": ("root.note = 1", "root.note = 2"),
    "a method": ("self.inner(x) + ", "self.inner(x) - "),
    "a property": ("self.width / 2", "self.width / 3"),
    "a static method": ("4 * x", "5 * x"),
    "a gradient by hand": ("2 * x * slope", "3 * x * slope"),
    "a value with a gradient by hand": ("return x * x", "return x + x"),
    "a default argument": ("step=5", "step=6"),
    "a function of a module in a module": (
        "outer.inner.tripled = lambda x: 3 * x",
        "outer.inner.tripled = lambda x: 4 * x",
    ),
    "a method of an enumeration": ("return self.value", "return -self.value"),
    "an attribute of a dataclass that is no field": ("self.bias = 0.5", "self.bias = 0.25"),
    "what is inside a table": ('{"c": {}, "d": 3}', '{"c": {"d": 3}}'),
    "a method of a base class": ("return 9 * x", "return 8 * x"),
    "a function inside a cached one": ("x + y + step", "x - y + step"),
    "a number in the function": ("Layer(6)", "Layer(7)"),
    "a library's function": ("numpy.exp(x)", "numpy.log(x)"),
}


def root(source):
    module = types.ModuleType("module_of_a_test")
    exec(compile(source, "module_of_a_test.py", "exec"), vars(module))
    return module.root


def test_equal_code_on_other_lines_is_equal():
    assert fingerprint(root(SOURCE)) == fingerprint(root("# a comment\n\n" + SOURCE))


@pytest.mark.parametrize("edit", EDITS)
def test_edit_shows(edit):
    old, new = EDITS[edit]
    assert SOURCE.count(old) == 1
    assert fingerprint(root(SOURCE)) != fingerprint(root(SOURCE.replace(old, new)))


def test_value_that_a_function_closes_over_shows():
    def closed(array):
        return lambda: array

    one, other = np.arange(3), np.array([0, 1, 3])
    assert fingerprint(closed(one)) == fingerprint(closed(one.copy())) != fingerprint(closed(other))
    assert fingerprint(functools.partial(max, 1)) != fingerprint(functools.partial(max, 2))


@pytest.mark.parametrize("wrap", [jax.grad, jax.checkpoint, jax.custom_jvp, functools.cache, staticmethod])
def test_function_inside_a_librarys_wrapper_shows(wrap):
    def made(number):
        return wrap(lambda x: number * x)

    assert fingerprint(made(1)) == fingerprint(made(1)) != fingerprint(made(2))
    assert fingerprint(jax.grad(abs, argnums=0)) != fingerprint(jax.grad(abs, argnums=1))


@pytest.mark.parametrize(
    "part",
    [
        lambda number: lambda self, x: number * x,
        lambda number: property(lambda self: number),
        lambda number: functools.partial(max, number),
        lambda number: number,
    ],
)
def test_class_made_by_calling_type_shows(part):
    """Its module is that of its metaclass, a library's, where no such class is."""

    def made(number):
        return type("Made", (nnx.Module,), {"part": part(number)})

    assert made(1).__module__.partition(".")[0] in LIBRARIES
    assert fingerprint(made(1)) == fingerprint(made(1)) != fingerprint(made(2))


def test_function_under_type_checks_is_refused():
    """As the test suite checks them: by a wrapper of jaxtyping and beartype around a function of ours."""

    def made(number):
        def function(x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
            return number * x

        return jaxtyped(typechecker=beartype)(function)

    for wrap in (lambda function: function, jax.vmap):
        with pytest.raises(UnknownValueError, match="in another process"):
            fingerprint(wrap(made(1)))


def test_patched_function_shows(monkeypatch):
    function = root(SOURCE)
    before = fingerprint(function)
    monkeypatch.setitem(function.__globals__, "remembered", lambda x: lambda y: x + y + 5)
    assert fingerprint(function) != before
    monkeypatch.undo()
    assert fingerprint(function) == before


EXP = "exp"


def importing():
    from coretx.seeds import stream

    return stream


class Worded(str):
    """A text that may do more."""


class Plain:
    """Whose instances may hold anything."""

    def __init__(self):
        self.func, self.number = len, 3


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ((object(),), "nothing tells what a object is in another process"),
        (Plain(), "nothing tells what a Plain is in another process"),
        (jax.jit(lambda x: x), "nothing tells what a PjitFunction is in another process"),
        (importing, "importing uses import: what it finds, nothing tells"),
        (lambda x: getattr(jax.numpy, EXP)(x), "uses getattr: what it finds, nothing tells"),
        (lambda x: x if os.environ.get("HALF") else x / 2, "uses environ: what it finds, nothing tells"),
        (Worded("a"), "nothing tells what a Worded is in another process"),
    ],
)
def test_what_another_process_could_have_otherwise_is_refused(value, why):
    with pytest.raises(UnknownValueError, match=why):
        fingerprint(value)


def in_a_process(code, **environment):
    """Return what code prints: in a process of its own functions are as they run, not wrapped by type checks."""
    return subprocess.run(
        [sys.executable, "-c", f"import tests.test_fingerprint as test; {code}"],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


def test_other_processes_find_the_same():
    code = f"print(test.fingerprint(test.root({SOURCE!r})), *test.ladder())"
    one, other = (in_a_process(code, PYTHONHASHSEED=seed) for seed in "12")
    assert one == other
    assert len(set(one)) == len(one) == 1 + 7 * 4


def test_all_that_tracing_calls_is_in_the_digest_or_in_a_library():
    """What a program depends on is followed from function to function: here is what is really called."""
    called, missing = in_a_process("print(*test.tracing())")
    assert int(called) > 80
    assert missing == "set()"


def ladder():
    """Return the digests of what every rung compiles."""
    return [fingerprint(program.source) for spec in build_models() for program in compiled(opened(spec))]


def opened(spec):
    return load_backend("jax", "cpu", (), EngineOptions(compile_cache=False)).open(spec, InputShape(5, 2), 1)


def compiled(access):
    return [getattr(access._programs, part) for part in ("train", "measure", "logits", "explain")]


@dataclass
class Watched:
    """A program's function that notes which functions of ours are called while it is traced."""

    function: Any
    called: set

    def lower(self, *arguments):
        def note(frame, event, argument):
            if frame.f_globals.get("__name__", "").partition(".")[0] in ("coretx", "jaxtx"):
                self.called.add(frame.f_code)

        sys.setprofile(note)
        try:
            return self.function.lower(*arguments)
        finally:
            sys.setprofile(None)


def tracing():
    """Return how many functions of ours the tracing of all rungs' programs calls, and those not in their digests."""
    seen, missing = set(), set()
    rng = np.random.default_rng(0)
    rows = Dataset(rng.standard_normal((20, 5, 2), dtype=np.float32), np.arange(20, dtype=np.float32) % 2)
    for spec in build_models():
        access = opened(spec)
        walks = [(program, set(), Walk()) for program in compiled(access)]
        for program, called, walk in walks:
            walk.take(program.source)
            program.function = Watched(program.function, called)
        population = Population(replace(spec, optimizer=replace(spec.optimizer, epochs=2)), 0, "t", 1)
        start(access, population)
        train(access, population, {"train": rows, "test": rows}, lambda record: None)
        access.logits(rows.x)
        access.explain(rows.x)
        for _, called, walk in walks:
            functions = [part for _, part in walk.seen.values() if isinstance(part, types.FunctionType)]
            missing |= {code.co_qualname for code in called - {code for part in functions for code in codes(part)}}
            assert called
            seen |= called
    return len(seen), missing


def codes(function):
    """Yield the code of a function and of those inside it."""
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [part for part in code.co_consts if isinstance(part, types.CodeType)]
