"""The splits of one run: drawn by protocol, checked for leaks, counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from coretx.errors import UsageError
from coretx.tasks.base import SIDES, Side, Task, row_keys
from coretx.tasks.sampling import Dataset, overlap_count, prepare_data

Protocol = Literal["disjoint", "original"]

SPLITS = ("train", "val", "test")
"""The splits that are scored, in the order of display; the protocol `original` has no `val`."""
SPLIT_NAMES = {"train": "train", "val": "validation", "test": "test"}
"""Their names on pages and in messages."""
SEED_OF = {"train": 0, "test": 1, "val": 2}
"""The offset from a run's seed to the seed of each split; so runs with their own data need seeds 3 apart."""
DATA_SEEDS_APART = len(SEED_OF)
SMALL_SPACE = 200
"""Scores on a side of fewer distinct rows are marked."""
SCORED_ROWS = 10_000
"""Test rows of a disjoint draw for the final scores, whatever n is; all rows of a side with fewer."""


@dataclass(frozen=True)
class SplitCounts:
    """The size of one split; pairs are for label 0 and label 1.

    `keys` counts the distinct problems of both labels together. `small_space` tells whether the split's side of the
    task's space has fewer than SMALL_SPACE rows.
    """

    rows: tuple[int, int]
    distinct_rows: tuple[int, int]
    distinct_keys: tuple[int, int]
    keys: int
    small_space: bool


@dataclass(frozen=True)
class Overlap:
    """The number of test rows that also occur in train: value for value, and as a problem (`overlap_keys`).

    `split` is the protocol of the draw, `negatives` the rule for rows of class 0.
    """

    task: str
    split: str
    seed: int
    n_samples: int
    overlap_count: int
    test_total: int
    negatives: str = "natural"
    overlap_keys: int = 0

    @property
    def overlap_rate(self) -> float:
        """The share of test rows that also occur in train, in [0, 1]."""
        return self.overlap_count / self.test_total


def draw_split(task: Task, n: int, seed: int, split: Side, protocol: Protocol) -> Dataset:
    """Draw n rows of one split of a run with this seed; see `prepare_data`."""
    side = split if protocol == "disjoint" else None
    return prepare_data(n, seed + SEED_OF[split], task=task, side=side)


def draw_splits(task: Task, n_samples: int, seed: int, protocol: Protocol) -> dict[str, Dataset]:
    """Draw the splits of a run, n_samples rows each or as many as there are.

    `disjoint`: distinct rows for train, val and test (at most SCORED_ROWS) from three sides of the task's space, which
    share no problem. `original`: train and test, independently and with replacement. Raises UsageError as
    `prepare_data` does.
    """
    names = SIDES if protocol == "disjoint" else ("train", "test")
    return {name: draw_split(task, rows_wanted(name, n_samples, protocol), seed, name, protocol) for name in names}


def rows_wanted(split: str, n_samples: int, protocol: str) -> int:
    """Return the number of rows a split should have for the curves: n, but at most SCORED_ROWS for a disjoint test."""
    return min(n_samples, SCORED_ROWS) if (split, protocol) == ("test", "disjoint") else n_samples


def scored_splits(task: Task, data: Mapping[str, Dataset], seed: int, protocol: Protocol) -> dict[str, Dataset]:
    """Return the splits for the final scores: a disjoint test split grows to SCORED_ROWS rows.

    It begins with the rows of `data`, which every epoch measures. A draw of SCORED_ROWS rows gives the others: new rows
    of each class, until the class counts equal the counts of that draw.
    """
    if protocol == "original":
        return dict(data)
    first, every = data["test"], draw_split(task, SCORED_ROWS, seed, "test", protocol)
    new = np.flatnonzero(~np.isin(row_keys(every.x), row_keys(first.x)))
    missing = [max(int((every.y == label).sum() - (first.y == label).sum()), 0) for label in (0, 1)]
    more = np.sort(np.concatenate([new[every.y[new] == label][:count] for label, count in enumerate(missing)]))
    test = Dataset(np.concatenate([first.x, every.x[more]]), np.concatenate([first.y, every.y[more]]))
    return {**data, "test": test}


def assert_disjoint(task: Task, data: Mapping[str, Dataset]) -> None:
    """Raise UsageError that shows an offending row if two splits share a row or a problem."""
    keys = {name: (row_keys(split.x), task.checked_keys(split.x)) for name, split in data.items()}
    kinds = ("is also in", "is the same problem as a row of")
    for other, name in combinations(data, 2):
        for own, others, same in zip(keys[name], keys[other], kinds, strict=True):
            shared = np.isin(own, others)
            if shared.any():
                row = task.render(data[name].x[shared.argmax()])
                raise UsageError(
                    f"task {task.name}: {SPLIT_NAMES[other]} and {SPLIT_NAMES[name]} must share nothing, but "
                    f'"{row}" of {SPLIT_NAMES[name]} {same} {SPLIT_NAMES[other]}, one of {shared.sum()} such rows: '
                    "nothing is trained on data that leaks; equal inputs need equal keys from canonical_key"
                )


def count_splits(
    task: Task, data: Mapping[str, Dataset], n_samples: int, seed: int, protocol: Protocol
) -> dict[str, SplitCounts]:
    """Return the size of every split, and whether its side has fewer than SMALL_SPACE rows."""
    n = max(n_samples, SMALL_SPACE)

    def is_small(side: Side) -> bool:
        return n > len(data[side]) and len(draw_split(task, n, seed, side, protocol)) < SMALL_SPACE

    small = {side for side in SIDES if is_small(side)} if protocol == "disjoint" else set()
    return {name: count_split(task, split, name in small) for name, split in data.items()}


def count_split(task: Task, data: Dataset, small_space: bool) -> SplitCounts:
    """Return the size of one split."""
    keys = task.canonical_key(data.x)

    def distinct(values: np.ndarray) -> tuple[int, int]:
        return len(np.unique(values[data.y == 0])), len(np.unique(values[data.y == 1]))

    rows = int((data.y == 0).sum()), int((data.y == 1).sum())
    return SplitCounts(rows, distinct(row_keys(data.x)), distinct(keys), len(np.unique(keys)), small_space)


def measure_overlap(task: Task, data: Mapping[str, Dataset], n_samples: int, seed: int, protocol: Protocol) -> Overlap:
    """Return how many test rows occur in train: value for value, and as problems."""
    train, test = data["train"], data["test"]
    keys = np.isin(task.canonical_key(test.x), task.canonical_key(train.x))
    rows, negatives = overlap_count(train, test), task.negatives
    return Overlap(task.name, protocol, seed, n_samples, rows, len(test), negatives, int(keys.sum()))


def scarcity(
    task: str, n: int, data: Mapping[str, Dataset], lengths: Mapping[int, Dataset], protocol: Protocol
) -> list[str]:
    """Return a line for each shortage of rows: in the splits, and at other lengths."""
    short = {name: rows for name, rows in data.items() if len(rows) < rows_wanted(name, n, protocol)}
    found = ", ".join(f"{len(rows)} {SPLIT_NAMES[name]}" for name, rows in short.items())
    lines = [f"{task}: {n} rows of each split were asked for, its space has {found} rows"] if short else []
    wanted = rows_wanted("test", n, protocol)
    return lines + [
        f"{task}: {wanted} rows of {length} steps were asked for, there are {len(rows)}"
        for length, rows in lengths.items()
        if len(rows) < wanted
    ]
