"""The abstract task, the sides of its space, and the ceilings of a restricted view."""

import copy
import hashlib
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from coretx.errors import UsageError

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
RESERVED = ("index", "cells", "runs")
LARGEST_SPACE = 1_000_000
"""A space of more inputs than this is not listed."""
NEGATIVES = ("balanced", "original")
"""How an arithmetic task makes wrong answers: distributed like the true ones, or uniformly as the original does."""
Side = Literal["train", "val", "test"]
SIDES: tuple[Side, ...] = ("train", "val", "test")
CUTS = (0.6, 0.8)
"""Where val and test begin, as shares of a stratum."""


@dataclass(frozen=True)
class Ceiling:
    """The best accuracy that a view of the input allows; the value is None where no ceiling is known.

    `kind` is `exact` over the distribution, `certified` for a proved upper bound, or `estimated` from draws: then
    `value` and `low` are the ends of a 95 % interval.
    """

    value: float | None
    kind: Literal["exact", "certified", "estimated", "none known"]
    low: float | None = None


def check_name(kind: str, name: object) -> str:
    """Return a valid name of a task or model; it becomes a file name and a log key. Raises UsageError for others."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
        raise UsageError(
            f"a {kind}'s name must be a lower-case letter followed by at most 63 lower-case letters, digits or "
            f"underscores, and none of {', '.join(RESERVED)}; got {name!r}: rename the {kind}"
        )
    return name


class Task(ABC):
    """A binary question about a sequence.

    A subclass sets `name` (see `check_name`) and, if needed, `title`, `rule`, `sequence_length` and `feature_dim`. It
    implements `generate_candidates` and `label`. All other methods have defaults for real-valued features.
    """

    name: str
    title: str = ""
    """The name on pages and figures: any text. The default is `name`."""
    rule: str = ""
    """One sentence: when the label is 1."""
    sequence_length: int = 5
    feature_dim: int = 2
    negatives: str = "natural"
    """How rows of class 0 arise: `natural`, or one of `NEGATIVES` for an arithmetic task."""

    @abstractmethod
    def generate_candidates(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
        """Draw n float32 inputs with rng alone; both classes must be frequent enough to sample."""

    @abstractmethod
    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return the float32 label, 0 or 1, of each row; it depends on that row of x alone."""

    def render(self, row: Float[np.ndarray, "time feature"]) -> str:
        """Return one input as text. Default: the features of each step in brackets."""
        return " ".join("[" + ", ".join(f"{value:+.2f}" for value in step) + "]" for step in row)

    def step_names(self, row: Float[np.ndarray, "time feature"]) -> list[str]:
        """Return a short text for each step of one input, as a column head. Default: its features."""
        return [" ".join(f"{value:+.1f}" for value in step) for step in row]

    def feature_names(self) -> list[str]:
        """Return the name of each feature. Default: its number."""
        return [f"feature {number}" for number in range(1, self.feature_dim + 1)]

    def canonical_key(self, x: Float[np.ndarray, "n time feature"]) -> Shaped[np.ndarray, " n"]:
        """Return a key for each row; equal keys mean the same problem. Default: the exact values of the row."""
        return row_keys(x)

    def splittable(self, x: Float[np.ndarray, "n time feature"]) -> Bool[np.ndarray, " n"]:
        """Return which rows can belong to a side, from each row alone. Default: all."""
        return np.ones(len(x), bool)

    def generate_splittable(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "some time feature"] | None:
        """Draw at least n candidates and return the `splittable` ones, if a task can do so faster.

        Default: None, without a draw; then `generate_candidates` is used.
        """
        return None

    def kinds(self, x: Float[np.ndarray, "n time feature"]) -> dict[str, Bool[np.ndarray, " n"]]:
        """Return named subsets of the rows, from x alone; the first match counts. Default: none."""
        return {}

    def groups(
        self, x: Float[np.ndarray, "n time feature"], y: Float[np.ndarray, " n"]
    ) -> Mapping[str, Shaped[np.ndarray, " n"]]:
        """Return the name of each row's group, by grouping; accuracy is reported for each group. Default: none."""
        return {}

    def space(self) -> tuple[Float[np.ndarray, "n time feature"], Float[np.ndarray, " n"]] | None:
        """Return every possible input with its probability as a candidate; None if there are too many."""
        return None

    def stratum(self, x: Float[np.ndarray, "n time feature"]) -> Int[np.ndarray, " n"]:
        """Return the size of each row's problem, the same for equal keys; sides are balanced by size. Default: 0."""
        return np.zeros(len(x), int)

    def problems(self) -> tuple[Shaped[np.ndarray, " key"], Int[np.ndarray, " key"]] | None:
        """Return every canonical key once, with its stratum (the labels it occurs with, and its size).

        None if there are too many to list. Default: the keys of `space`.
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
        """Return the side of each row as an index into `SIDES`; -1 for a row that is not `splittable`."""
        side = np.full(len(x), -1)
        splittable = self.splittable(x)
        side[splittable] = self.side_of_problems(x[splittable])
        return side

    def side_of_problems(self, x: Float[np.ndarray, "n time feature"]) -> Int[np.ndarray, " n"]:
        """Return the side of each splittable row's problem, as an index into `SIDES`.

        The side of a problem depends on the task alone, never on a seed. Raises UsageError if `canonical_key` does not
        return one key per row, or returns a key that is not among `problems`.
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
            return side_by_hash(self.name, keys)
        listed, side = self._listed_sides
        place = np.minimum(np.searchsorted(listed, keys), len(listed) - 1)
        return np.where(listed[place] == keys, side[place], -1)

    def checked_keys(self, x: Float[np.ndarray, "n time feature"]) -> Shaped[np.ndarray, " n"]:
        """Return `canonical_key(x)`. Raises UsageError unless it is one value per row."""
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
        return problems[0][order], side_by_rank(self.name, *problems)[order]

    def with_negatives(self, rule: str) -> "Task":
        """Return this task with rows of class 0 made by this rule (see `NEGATIVES`). Default: itself."""
        return self

    def at_length(self, length: int) -> "Task | None":
        """Return the same question about inputs of this many steps, or None. Default: its own length only.

        A task whose methods read `sequence_length` can return `resized(length)`.
        """
        return self if length == self.sequence_length else None

    def resized(self, length: int) -> "Task":
        """Return this task with inputs of this many steps."""
        return self.changed("_listed_sides", sequence_length=length)

    def changed(self, *stale: str, **attributes: object) -> "Task":
        """Return a copy with other attributes and without these cached values."""
        other = copy.copy(self)
        for name in stale:
            vars(other).pop(name, None)
        vars(other).update(attributes)
        return other

    def ceilings(self, side: Side | None) -> Mapping[str, Ceiling]:
        """Return ceilings by view, on this side of the space or on all of it. Default: none.

        A task that knows the best accuracy of a restricted view, exactly or with a proof, returns it here.
        """
        return {}

    @property
    def display_title(self) -> str:
        """The title, or the name of a task without one."""
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


def side_by_rank(
    task: str, keys: Shaped[np.ndarray, " key"], strata: Int[np.ndarray, " key"]
) -> Int[np.ndarray, " key"]:
    """Return the side of each of these distinct keys: 60, 20 and 20 % of every stratum, to within one key.

    Keys of a stratum are ranked by their hash.

    >>> np.bincount(side_by_rank("t", np.arange(10), np.zeros(10, int))).tolist()
    [6, 2, 2]
    """
    hashes = hash_keys(task, keys)
    side = np.empty(len(keys), int)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        order = members[np.argsort(hashes[members], kind="stable")]
        side[order] = np.searchsorted([round(cut * len(order)) for cut in CUTS], np.arange(len(order)), side="right")
    return side


def side_by_hash(task: str, keys: Shaped[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return the side of each key if problems are too many to list: 60, 20 and 20 % of them on average."""
    return np.searchsorted(np.array(CUTS) * 2.0**64, hash_keys(task, keys).astype(np.float64), side="right")


def hash_keys(task: str, keys: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Return a uint64 hash of each key and the task's name: BLAKE2b (RFC 7693), the same on every machine."""
    keyed = hashlib.blake2b(digest_size=8, key=task.encode())
    digests = []
    for key in keys.tolist():
        one = keyed.copy()  # a third faster than to key each hash anew
        one.update(key if isinstance(key, bytes) else str(key).encode())
        digests.append(one.digest())
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)
