"""The abstract task: what to subclass to ask the ladder a new question."""

import copy
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from coretx.errors import UsageError
from coretx.tasks import split_assignment as sides

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
RESERVED = ("index", "cells", "runs")
LARGEST_SPACE = 1_000_000
"""A space of more inputs than this is not listed."""
NEGATIVES = ("balanced", "original")
"""How an arithmetic task makes wrong answers: distributed like the true ones, or uniformly as the original does."""


def check_name(kind: str, name: object) -> str:
    """Return the name of a task or model if it is one, else raise UsageError: it becomes a file name and a log key."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
        raise UsageError(
            f"a {kind}'s name must be a lower-case letter followed by at most 63 lower-case letters, digits or "
            f"underscores, and none of {', '.join(RESERVED)}; got {name!r}: rename the {kind}"
        )
    return name


class Task(ABC):
    """A binary question about a sequence.

    A subclass sets `name` (see `check_name`) and, where they differ from the defaults, `title`, `sequence_length`,
    `feature_dim` and `rule`; it writes `generate_candidates` and `label`. Everything else has a default that is
    right for a task of real-valued features.
    """

    name: str
    title: str = ""
    """How people call it; the name where empty. May hold any text."""
    rule: str = ""
    """One sentence: when the label is 1."""
    sequence_length: int = 5
    feature_dim: int = 2
    negatives: str = "natural"
    """How rows of class 0 arise: `natural` where they are drawn as they come; an arithmetic task has rules."""

    @abstractmethod
    def generate_candidates(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
        """Draw n float32 inputs with rng alone; both classes must be frequent enough to sample."""

    @abstractmethod
    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return the float32 label, 0 or 1, of each row; it depends on that row of x alone."""

    def render(self, row: Float[np.ndarray, "time feature"]) -> str:
        """Return one input as a person would write it. Here: every feature, one step in brackets after the other."""
        return " ".join("[" + ", ".join(f"{value:+.2f}" for value in step) + "]" for step in row)

    def step_names(self, row: Float[np.ndarray, "time feature"]) -> list[str]:
        """Return what stands at each step of one input, short enough to head a column. Here: its features."""
        return [" ".join(f"{value:+.1f}" for value in step) for step in row]

    def feature_names(self) -> list[str]:
        """Return what each feature of a step stands for. Here: its number."""
        return [f"feature {number}" for number in range(1, self.feature_dim + 1)]

    def canonical_key(self, x: Float[np.ndarray, "n time feature"]) -> Shaped[np.ndarray, " n"]:
        """Return what makes two inputs the same problem. Here: the exact values of the row."""
        return row_keys(x)

    def splittable(self, x: Float[np.ndarray, "n time feature"]) -> Bool[np.ndarray, " n"]:
        """Return which rows may stand in splits that share no problem, read from each row alone. Here: all."""
        return np.ones(len(x), bool)

    def generate_splittable(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "some time feature"] | None:
        """Draw n candidates or more and return the `splittable` ones, for a task that can do so faster.

        Here: None, so that `generate_candidates` is asked, and rng is left as it is.
        """
        return None

    def kinds(self, x: Float[np.ndarray, "n time feature"]) -> dict[str, Bool[np.ndarray, " n"]]:
        """Return named groups of inputs, read from x alone; the first that matches counts. Here: none."""
        return {}

    def groups(
        self, x: Float[np.ndarray, "n time feature"], y: Float[np.ndarray, " n"]
    ) -> Mapping[str, Shaped[np.ndarray, " n"]]:
        """Return groupings of rows by name: the name of each row's group, by which accuracy is parted. Here: none."""
        return {}

    def space(self) -> tuple[Float[np.ndarray, "n time feature"], Float[np.ndarray, " n"]] | None:
        """Return every possible input with its probability as a candidate, or None where there are too many."""
        return None

    def stratum(self, x: Float[np.ndarray, "n time feature"]) -> Int[np.ndarray, " n"]:
        """Return the size of each row's problem, the same for equal keys; sides are balanced in it. Here: 0."""
        return np.zeros(len(x), int)

    def problems(self) -> tuple[Shaped[np.ndarray, " key"], Int[np.ndarray, " key"]] | None:
        """Return every canonical key once, with its stratum (which labels it occurs with, and its size).

        None where there are too many to list. Here: those of `space`.
        """
        space = self.space()
        if space is None:
            return None
        x, _ = space
        keys, first, place = np.unique(self.canonical_key(x), return_index=True, return_inverse=True)
        labels = np.zeros((len(keys), 2), int)
        labels[place, self.label(x).astype(int)] = 1
        return keys, self.stratum(x)[first] * 4 + labels @ [1, 2]

    def side(self, x: Float[np.ndarray, "n time feature"]) -> Int[np.ndarray, " n"]:
        """Return on which side each row lies, as a place in `sides.SIDES`; -1 for one that is not `splittable`."""
        side = np.full(len(x), -1)
        splittable = self.splittable(x)
        side[splittable] = self.side_of_problems(x[splittable])
        return side

    def side_of_problems(self, x: Float[np.ndarray, "n time feature"]) -> Int[np.ndarray, " n"]:
        """Return on which side the problem of each of these splittable rows lies, as a place in `sides.SIDES`.

        The side of a problem belongs to the task alone, never to a seed. Raises UsageError where `canonical_key` does
        not give a key per row, or one that is not among `problems`.
        """
        found = self.side_of_keys(self.checked_keys(x))
        if (found < 0).any():
            raise UsageError(
                f"task {self.name}: space must hold every input that generate_candidates draws, but the key of "
                f'"{self.render(x[found.argmin()])}" is not in it: add the input, or leave space out'
            )
        return found

    def side_of_keys(self, keys: Shaped[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return the side of each problem by its key; -1 for a key that is not among `problems`."""
        if self._listed_sides is None:
            return sides.by_threshold(self.name, keys)
        listed, side = self._listed_sides
        place = np.minimum(np.searchsorted(listed, keys), len(listed) - 1)
        return np.where(listed[place] == keys, side[place], -1)

    def checked_keys(self, x: Float[np.ndarray, "n time feature"]) -> Shaped[np.ndarray, " n"]:
        """Return `canonical_key(x)`; UsageError where that is not one value per row."""
        keys = np.asarray(self.canonical_key(x))
        if keys.shape != (len(x),):
            raise UsageError(
                f"task {self.name}: canonical_key must return one key per row, shape ({len(x)},), got {keys.shape}"
            )
        return keys

    @cached_property
    def _listed_sides(self) -> tuple[Shaped[np.ndarray, " key"], Int[np.ndarray, " key"]] | None:
        """Every key in order, with its side."""
        problems = self.problems()
        if problems is None:
            return None
        order = np.argsort(problems[0], kind="stable")
        return problems[0][order], sides.by_rank(self.name, *problems)[order]

    def with_negatives(self, rule: str) -> "Task":
        """Return this task with rows of class 0 made by this rule (see `NEGATIVES`). Here: itself, it has no rule."""
        return self

    def at_length(self, length: int) -> "Task | None":
        """Return the same question about inputs of this many steps, None where there is none. Here: only of its own.

        A task that goes by its `sequence_length` alone may return `resized`.
        """
        return self if length == self.sequence_length else None

    def resized(self, length: int) -> "Task":
        """Return this task with inputs of this many steps."""
        other = copy.copy(self)
        other.sequence_length = length
        vars(other).pop("_listed_sides", None)
        return other

    @property
    def display_title(self) -> str:
        """The title, or the name of a task that has none."""
        return self.title or self.name


def row_keys(x: Float[np.ndarray, "n time feature"]) -> Shaped[np.ndarray, " n"]:
    """Return one opaque, sortable value per row, equal exactly where two rows are equal value for value.

    >>> keys = row_keys(np.array([[[0.0]], [[1.0]], [[-0.0]]], np.float32))
    >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
    (True, False)
    """
    rows = x.reshape(len(x), math.prod(x.shape[1:])) + 0.0  # + 0.0 turns -0.0 into 0.0, whose bytes differ
    rows = np.ascontiguousarray(rows, rows.dtype.newbyteorder("<"))
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
