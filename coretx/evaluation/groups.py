"""Test accuracy by groups of rows that a task names, such as the number of carries or the kind of wrong answer."""

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
    """The number of right answers of each member on the test rows of one group; `keys` counts distinct problems."""

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
class RowGroup:
    """The rows of a split that a grouping gives one name."""

    grouping: str
    name: str
    rows: Bool[np.ndarray, " n"]
    keys: int
    """Distinct problems among them."""


def find_groups(task: Task, data: Dataset) -> list[RowGroup]:
    """Return the groups of these rows in the order of the groupings, within each sorted by name (numbers by size).

    Raises UsageError if a grouping does not give each row one printable name.
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
            found.append(RowGroup(grouping, name, rows, len(np.unique(keys[rows]))))
    return found


def by_size(name: str) -> tuple[bool, int, str]:
    """Return a sort key for names: whole numbers first, by size.

    >>> sorted(["true", "10", "9"], key=by_size)
    ['9', '10', 'true']
    """
    return (False, int(name), name) if name.isdecimal() else (True, 0, name)


def score_groups(
    groups: Sequence[RowGroup], logits: Float[np.ndarray, "member n"], y: Float[np.ndarray, " n"]
) -> tuple[GroupScore, ...]:
    """Return the number of right answers of each member in each group."""
    right = targets.right(logits, y)
    return tuple(
        GroupScore(group.grouping, group.name, int(group.rows.sum()), group.keys, right[:, group.rows].sum(axis=1))
        for group in groups
    )
