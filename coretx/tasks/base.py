"""The abstract task: what to subclass to ask the ladder a new question."""

import re
from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Bool, Float, Shaped

from coretx.errors import UsageError

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
RESERVED = ("index", "cells", "runs")


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

    @abstractmethod
    def generate_candidates(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
        """Draw n float32 inputs with rng alone; both classes must be frequent enough to sample."""

    @abstractmethod
    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return the float32 label, 0 or 1, of each row; it depends on that row of x alone."""

    def render(self, row: Float[np.ndarray, "time feature"]) -> str:
        """Return one input as a person would write it. Here: every feature, one step in brackets after the other."""
        return " ".join("[" + ", ".join(f"{value:+.2f}" for value in step) + "]" for step in row)

    def canonical_key(self, x: Float[np.ndarray, "n time feature"]) -> Shaped[np.ndarray, " n"]:
        """Return what makes two inputs the same problem. Here: the exact values of the row."""
        return row_keys(x)

    def kinds(self, x: Float[np.ndarray, "n time feature"]) -> dict[str, Bool[np.ndarray, " n"]]:
        """Return named groups of inputs, read from x alone; the first that matches counts. Here: none."""
        return {}

    def space(self) -> tuple[Float[np.ndarray, "n time feature"], Float[np.ndarray, " n"]] | None:
        """Return every possible input with its probability as a candidate, or None where there are too many."""
        return None

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
    rows = np.ascontiguousarray(x.reshape(len(x), -1) + 0.0)  # + 0.0 turns -0.0 into 0.0, whose bytes differ
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
