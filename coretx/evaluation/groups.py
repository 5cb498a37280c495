"""Accuracy on test by groups of rows that a task names: by number of carries, by kind of wrong answer, by digit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from coretx import targets
from coretx.errors import UsageError
from coretx.tasks.base import Task
from coretx.tasks.sampling import Dataset


@dataclass(frozen=True)
class GroupScore:
    """How many test rows of one group each member gets right; `grouping` says by what the rows are parted.

    `keys` counts the distinct problems among them.
    """

    grouping: str
    group: str
    rows: int
    keys: int
    correct: Int[np.ndarray, " member"]

    @property
    def accuracy(self) -> Float[np.ndarray, " member"]:
        """The share of the rows that each member gets right."""
        return self.correct / self.rows


@dataclass(frozen=True, eq=False)
class Group:
    """Some rows of a split: those that a grouping gives this name."""

    grouping: str
    name: str
    rows: Bool[np.ndarray, " n"]
    keys: int
    """Distinct problems among them."""


def find_groups(task: Task, data: Dataset) -> list[Group]:
    """Return the groups of these rows, in the order of the groupings, in each by name (numbers by size).

    Raises UsageError where a grouping does not name one group per row on one line.
    """
    keys = task.canonical_key(data.x)
    found = []
    for grouping, values in task.groups(data.x, data.y).items():
        values = np.asarray(values)
        if values.shape != (len(data),):
            raise UsageError(
                f"task {task.name}: groups must name one group per row, shape ({len(data)},), but gives shape "
                f"{values.shape} for {grouping!r}"
            )
        names = values.astype(str)
        for text in (grouping, *np.unique(names).tolist()):
            if not isinstance(text, str) or not text.isprintable() or not text:
                raise UsageError(f"task {task.name}: groupings and groups must have printable names, got {text!r}")
        for name in sorted(set(names.tolist()), key=by_size):
            rows = names == name
            found.append(Group(grouping, name, rows, len(np.unique(keys[rows]))))
    return found


def by_size(name: str) -> tuple[bool, int, str]:
    """Return what to sort names by: whole numbers first, by their size.

    >>> sorted(["true", "10", "9"], key=by_size)
    ['9', '10', 'true']
    """
    return (False, int(name), name) if name.isdecimal() else (True, 0, name)


def score_groups(
    groups: Sequence[Group], logits: Float[np.ndarray, "member n"], y: Float[np.ndarray, " n"]
) -> tuple[GroupScore, ...]:
    """Return how many rows of each group every member gets right: class 1 where its logit is above 0."""
    right = targets.right(logits, y)
    return tuple(
        GroupScore(group.grouping, group.name, int(group.rows.sum()), group.keys, right[:, group.rows].sum(axis=1))
        for group in groups
    )
