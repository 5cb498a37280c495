"""Small faults, each put into one engine alone, to prove that the suite can fail.

A fault is an edit of one function's source (the new text is compiled in the function's own module) or a change of
what one engine is given. JAX traces a function once and keeps the program: a patch under a warm cache would never be
seen, so a mutant gets empty caches, and the calls of the edited function are counted to prove that it was traced.
"""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from unittest.mock import patch

import jax
import numpy as np

from coretx.models.spec import ModelSpec
from coretx.tasks.sampling import Dataset
from coretx.training.backend import Manifest
from jaxtx import kernels
from parity_tests.cases import Case, Steps

Edit = tuple[str, str, str]
"""A function as `module:qualified.name`, text that stands in its source exactly once, and what to write instead."""

Given = Callable[[Case, Dataset, Steps], tuple[Case, Dataset, Steps]]


def unchanged(case: Case, data: Dataset, steps: Steps) -> tuple[Case, Dataset, Steps]:
    """Return what is given as it is."""
    return case, data, steps


class StaleMutant(ValueError):
    """A mutant that does not fit the source any more: nothing was planted, so nothing can have been found."""


@dataclass(frozen=True)
class Mutant:
    """One fault: in which engine, seen by which model, and which quantity must differ first, at which step."""

    name: str
    engine: str
    model: str
    first: tuple[str, int]
    edits: tuple[Edit, ...] = ()
    given: Given = unchanged
    applies: Callable[[ModelSpec, Manifest], bool] = lambda spec, manifest: True
    """Whether there is anything to be seen in other models than the one named, for faults in training."""
    proof: str = ""
    """Why it cannot be seen, for an equivalent mutant."""


class Calls:
    """How often edited functions were called: in JAX, traced."""

    def __init__(self) -> None:
        self.count = 0

    def counting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, counted."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return function(*args, **kwargs)

        return counted


@contextmanager
def planted(mutant: Mutant) -> Iterator[Calls]:
    """Put the mutant's edits into its engine, with empty program caches, and take them out again.

    Raises StaleMutant where an edit does not fit the source.
    """
    calls = Calls()
    with ExitStack() as stack:
        if mutant.engine == "jax":
            stack.enter_context(fresh_programs())
            stack.callback(bind_gradients)
        for target, old, new in mutant.edits:
            owner, name = resolve(target)
            stack.enter_context(patch.object(owner, name, calls.counting(edited(getattr(owner, name), old, new))))
        bind_gradients()
        yield calls


def bind_gradients() -> None:
    """Hand jax the forward and backward functions of jaxtx.kernels that are there now: it keeps those it was given."""
    for name, function in vars(kernels).items():
        if isinstance(function, jax.custom_vjp):
            function.defvjp(getattr(kernels, f"{name}_forward"), getattr(kernels, f"{name}_backward"))


@contextmanager
def fresh_programs() -> Iterator[None]:
    """Give the JAX engine empty caches of all it traces or builds once, and the warm ones back at the end."""
    modules = [importlib.import_module(f"jaxtx.{name}") for name in ("access", "programs")]
    fresh: dict[int, Any] = {}
    with ExitStack() as stack:
        for module in modules:
            for name, value in list(vars(module).items()):
                if hasattr(value, "cache_clear"):
                    empty = fresh.setdefault(id(value), cache(inspect.unwrap(value)))
                    stack.enter_context(patch.object(module, name, empty))
        if not fresh:
            raise RuntimeError("the JAX engine caches no program in jaxtx.access or jaxtx.programs: look where it does")
        yield


def resolve(target: str) -> tuple[Any, str]:
    """Return the module or class that holds the function, and its name there."""
    module, _, path = target.partition(":")
    *scopes, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for scope in scopes:
        owner = getattr(owner, scope)
    return owner, name


def edited(function: Callable[..., Any], old: str, new: str) -> Callable[..., Any]:
    """Return the function with its source edited.

    Raises StaleMutant where the text does not stand there exactly once, or where the edit changes no code.
    """
    function = inspect.unwrap(function)
    source = textwrap.dedent(inspect.getsource(function))
    body = source[source.index("def ") :]
    if body.count(old) != 1:
        raise StaleMutant(
            f"a mutant edits {function.__qualname__}, which must hold {old!r} once; it stands there "
            f"{body.count(old)} times: the engine has changed, change the mutant with it"
        )
    changed = body.replace(old, new)
    if ast.dump(ast.parse(changed)) == ast.dump(ast.parse(body)):
        raise StaleMutant(
            f"a mutant edits {function.__qualname__}, and {new!r} for {old!r} must change its code, not a comment or "
            "nothing: change the mutant"
        )
    scope: dict[str, Any] = {}
    exec(compile(changed, f"<mutant of {function.__qualname__}>", "exec"), function.__globals__, scope)
    return scope[function.__name__]


def has_head_bias(spec: ModelSpec, manifest: Manifest) -> bool:
    """Return whether the model's last layer has a bias, and decay or not."""
    return "head.bias" in manifest


def decays(spec: ModelSpec, manifest: Manifest) -> bool:
    """Return whether parameters decay, biases among them."""
    return spec.optimizer.weight_decay > 0 and has_head_bias(spec, manifest)


def given_data(change: Callable[[Dataset], Dataset]) -> Given:
    """Return a fault in the data that one engine is given."""
    return lambda case, data, steps: (case, change(data), steps)


def given_steps(**change: Callable[[Steps], np.ndarray]) -> Given:
    """Return a fault in the batches or rates that one engine is given."""
    return lambda case, data, steps: (case, data, replace(steps, **{k: make(steps) for k, make in change.items()}))


def given_constants(**constants: float) -> Given:
    """Return a fault in the optimizer's constants of one engine."""

    def change(case: Case, data: Dataset, steps: Steps) -> tuple[Case, Dataset, Steps]:
        optimizer = replace(case.spec.optimizer, **constants)
        return replace(case, spec=replace(case.spec, optimizer=optimizer)), data, steps

    return change


def late(values: np.ndarray, steps: int) -> np.ndarray:
    """Return the values that many steps late, the first repeated."""
    return np.concatenate([np.repeat(values[:1], steps, axis=0), values[:-steps]])


def flipped_label(data: Dataset) -> Dataset:
    """Return the data with the label of row 0 turned."""
    y = data.y.copy()
    y[0] = 1 - y[0]
    return Dataset(data.x, y)
