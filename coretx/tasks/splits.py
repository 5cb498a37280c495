"""The splits of one run, by protocol: drawn, found disjoint, counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from coretx.errors import UsageError
from coretx.tasks.base import Task, row_keys
from coretx.tasks.sampling import Dataset, overlap_count, prepare_data
from coretx.tasks.split_assignment import SIDES, Side

SPLITS = ("train", "val", "test")
"""The splits that are scored, in the order in which they are shown; the protocol `original` has no `val`."""


SPLIT_NAMES = {"train": "train", "val": "validation", "test": "test"}
"""How people call them."""


SMALL_SPACE = 200
"""A side of a task's space with fewer distinct rows than this is marked wherever its score stands."""


@dataclass(frozen=True)
class SplitCounts:
    """How much there is in one split; pairs are for label 0 and label 1.

    `keys` counts the distinct canonical keys of both labels together: the number of different problems. `small_space`
    tells that the side of the task's space from which the split is drawn has fewer than SMALL_SPACE rows to give.
    """

    rows: tuple[int, int]
    distinct_rows: tuple[int, int]
    distinct_keys: tuple[int, int]
    keys: int
    small_space: bool


@dataclass(frozen=True)
class Overlap:
    """How many test rows occur, value for value, among the train rows of the same run, and how many as a problem.

    `split` is the protocol that drew both, `negatives` the rule for rows of class 0. `overlap_keys` counts the test
    rows whose canonical key some train row has.
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
        """The share of test rows that also stand in train, in [0, 1]."""
        return self.overlap_count / self.test_total


Protocol = Literal["disjoint", "original"]

SEED_OF = {"train": 0, "test": 1, "val": 2}
"""What is added to a run's seed to name the draw of each split; so seeds of runs with data of their own are 3 apart."""
DATA_SEEDS_APART = len(SEED_OF)
SCORED_ROWS = 10_000
"""Test rows of a disjoint draw that final scores are taken on, whatever n is; all of its side where that has fewer."""


def draw_splits(task: Task, n_samples: int, seed: int, protocol: Protocol) -> dict[str, Dataset]:
    """Draw the splits of a run, n_samples rows each or as many as there are.

    `disjoint`: train, val and test from three sides of the task's space that share no problem, distinct rows only, of
    test at most SCORED_ROWS. `original`: train and test, independently and with replacement. Raises UsageError as
    `prepare_data` does.
    """
    if protocol == "original":
        return {name: prepare_data(n_samples, seed + SEED_OF[name], task=task) for name in ("train", "test")}
    return {side: _draw(task, rows_wanted(side, n_samples, protocol), seed, side) for side in SIDES}


def rows_wanted(split: str, n_samples: int, protocol: str) -> int:
    """Return the rows that a split should have for the curves: n, of a disjoint test split at most SCORED_ROWS."""
    return min(n_samples, SCORED_ROWS) if (split, protocol) == ("test", "disjoint") else n_samples


def scored_splits(task: Task, data: Mapping[str, Dataset], seed: int, protocol: Protocol) -> dict[str, Dataset]:
    """Return the splits of a run as final scores are taken on them: a disjoint test split with all SCORED_ROWS rows.

    Its first rows are those of `data`, whose loss and accuracy every epoch measures. The others are rows of the draw of
    SCORED_ROWS rows that are not among the first, as many of each class as make up that draw's number.
    """
    if protocol == "original":
        return dict(data)
    first, every = data["test"], _draw(task, SCORED_ROWS, seed, "test")
    new = np.flatnonzero(~np.isin(row_keys(every.x), row_keys(first.x)))
    missing = [max(int((every.y == label).sum() - (first.y == label).sum()), 0) for label in (0, 1)]
    more = np.sort(np.concatenate([new[every.y[new] == label][:count] for label, count in enumerate(missing)]))
    test = Dataset(np.concatenate([first.x, every.x[more]]), np.concatenate([first.y, every.y[more]]))
    return {**data, "test": test}


def assert_disjoint(task: Task, data: Mapping[str, Dataset]) -> None:
    """Raise UsageError that shows an offending row where two splits share a row or a problem."""
    names = list(data)
    keys = {name: (row_keys(split.x), task.checked_keys(split.x)) for name, split in data.items()}
    kinds = ("is also in", "is the same problem as a row of")
    for place, name in enumerate(names):
        for other in names[:place]:
            for own, others, same in zip(keys[name], keys[other], kinds, strict=True):
                shared = np.isin(own, others)
                if shared.any():
                    row = task.render(data[name].x[np.flatnonzero(shared)[0]])
                    raise UsageError(
                        f"task {task.name}: {SPLIT_NAMES[other]} and {SPLIT_NAMES[name]} must share nothing, but "
                        f'"{row}" of {SPLIT_NAMES[name]} {same} {SPLIT_NAMES[other]}, one of {shared.sum()} such rows: '
                        "nothing is trained on data that leaks; equal inputs need equal keys from canonical_key"
                    )


def count_split(task: Task, data: Dataset, small_space: bool) -> SplitCounts:
    """Return what one split holds."""
    rows, keys = row_keys(data.x), task.canonical_key(data.x)

    def by_label(values: np.ndarray) -> tuple[int, int]:
        return len(np.unique(values[data.y == 0])), len(np.unique(values[data.y == 1]))

    return SplitCounts(
        rows=(int((data.y == 0).sum()), int((data.y == 1).sum())),
        distinct_rows=by_label(rows),
        distinct_keys=by_label(keys),
        keys=len(np.unique(keys)),
        small_space=small_space,
    )


def count_splits(
    task: Task, data: Mapping[str, Dataset], n_samples: int, seed: int, protocol: Protocol
) -> dict[str, SplitCounts]:
    """Return what every split holds, and whether its side is a small space: one that has no SMALL_SPACE rows."""
    small = dict.fromkeys(data, False)
    if protocol == "disjoint":
        n = max(n_samples, SMALL_SPACE)
        small = {side: n > len(data[side]) and len(_draw(task, n, seed, side)) < SMALL_SPACE for side in SIDES}
    return {name: count_split(task, split, small[name]) for name, split in data.items()}


def _draw(task: Task, n: int, seed: int, side: Side) -> Dataset:
    return prepare_data(n, seed + SEED_OF[side], task=task, side=side)


def measure_overlap(task: Task, data: Mapping[str, Dataset], n_samples: int, seed: int, protocol: Protocol) -> Overlap:
    """Return how many test rows stand in train: as they are, and as problems."""
    train, test = data["train"], data["test"]
    return Overlap(
        task=task.name,
        split=protocol,
        seed=seed,
        n_samples=n_samples,
        overlap_count=overlap_count(train, test),
        test_total=len(test),
        negatives=task.negatives,
        overlap_keys=int(np.isin(task.canonical_key(test.x), task.canonical_key(train.x)).sum()),
    )


def scarcity(
    task: str, n: int, data: Mapping[str, Dataset], lengths: Mapping[int, Dataset], protocol: Protocol
) -> list[str]:
    """Return lines that say how many rows there are where fewer than were asked for: in splits, at other lengths."""
    short = {name: rows for name, rows in data.items() if len(rows) < rows_wanted(name, n, protocol)}
    found = ", ".join(f"{len(rows)} {SPLIT_NAMES[name]}" for name, rows in short.items())
    lines = [f"{task}: {n} rows of each split were asked for, its space has {found} rows"] if short else []
    wanted = rows_wanted("test", n, protocol)
    return lines + [
        f"{task}: {wanted} rows of {length} steps were asked for, there are {len(rows)}"
        for length, rows in lengths.items()
        if len(rows) < wanted
    ]
