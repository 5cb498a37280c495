"""From a task to the rows a model trains on: sampling, overlap, batch order."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from coretx.config import MIN_SAMPLES
from coretx.errors import UsageError
from coretx.seeds import stream
from coretx.tasks import contract
from coretx.tasks.base import Task, row_keys
from coretx.tasks.registry import get_task
from coretx.tasks.split_assignment import SIDES, Side

MAX_DRAWS = 500
"""Draws of candidates after which a side is taken to have no more rows."""
FRUITLESS = 20
"""Draws in a row that bring no row of a class that is short, after which it is taken to have no more: one alone may
miss a class that one candidate in a thousand belongs to."""
ROWS_PER_BLOCK = 512
"""Candidates that are looked at together, at least."""


@dataclass(frozen=True)
class Dataset:
    """Inputs and their labels: both float32, labels 0 or 1."""

    x: Float[np.ndarray, "n time feature"]
    y: Float[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.y)


def prepare_data(n_samples: int, seed: int, *, task: Task | str, side: Side | None = None) -> Dataset:
    """Draw n_samples rows of a task, as many of either class (one more of class 0 where n is odd).

    Without a side as the original does: max(10 n, 512) candidates, from which each class is drawn uniformly with
    replacement; train takes `seed`, test `seed + 1`. With a side (`train`, `val` or `test`, which take `seed`,
    `seed + 2` and `seed + 1`): distinct rows whose problem lies on that side of the task's space, fewer than
    n_samples, and as many of either class, where it has no more. Raises UsageError where a class is absent among the
    candidates, a side has too few distinct rows, or the task breaks its contract.
    """
    if n_samples < MIN_SAMPLES:
        raise UsageError(f"n_samples must be at least {MIN_SAMPLES}, two rows of each class; got {n_samples}")
    task = get_task(task) if isinstance(task, str) else task
    rng = stream(seed, task.name, purpose="data")
    wanted = {1: n_samples // 2, 0: n_samples - n_samples // 2}
    data = draw(wanted, rng, task=task) if side is None else draw_side(wanted, rng, task=task, side=side)
    contract.check_labels(task, data.x, data.y)
    contract.check_generator(task)
    if side is not None:
        contract.check_keys(task, data.x)
    return data


def draw_candidates(n: int, rng: np.random.Generator, *, task: Task) -> Dataset:
    """Draw n labelled candidates; UsageError where they have not the form that the task's contract says."""
    x = contract.candidates(task, n, rng)
    return Dataset(x, contract.labels(task, x))


def draw(wanted: dict[int, int], rng: np.random.Generator, *, task: Task) -> Dataset:
    """Draw the wanted number of rows of each class as the original does."""
    pool = draw_candidates(max(10 * sum(wanted.values()), 512), rng, task=task)
    rows = np.concatenate([draw_class(pool, value, count, rng, task=task) for value, count in wanted.items()])
    rows = rng.permutation(rows)
    return Dataset(pool.x[rows], pool.y[rows])


def draw_class(
    pool: Dataset, value: int, count: int, rng: np.random.Generator, *, task: Task
) -> Int[np.ndarray, " count"]:
    """Return count row numbers of one class, uniform with replacement."""
    members = np.flatnonzero(pool.y == value)
    if len(members) == 0:
        raise absent_class(pool, value, task=task)
    return rng.choice(members, size=count, replace=True)


def absent_class(pool: Dataset, value: int, *, task: Task) -> UsageError:
    """Return the error that no candidate has this label."""
    return UsageError(
        f"task {task.name}: both classes must occur among {len(pool)} candidates, but none has label {value}, all "
        f'are like "{task.render(pool.x[0])}": make generate_candidates draw the other class more often'
    )


@dataclass
class Kept:
    """Distinct rows of one class on one side, in the order in which they came, up to `count`."""

    task: Task
    side: Side
    count: int
    x: Float[np.ndarray, "n time feature"]
    keys: set[bytes] = field(default_factory=set)

    @property
    def short(self) -> int:
        """How many rows are missing."""
        return self.count - len(self.x)

    def take(self, x: Float[np.ndarray, "n time feature"], members: Int[np.ndarray, " members"]) -> None:
        """Keep rows of x until none is missing: those at these places (all splittable), on the side and not kept yet.

        In blocks: finding the side costs a hash for each row, so no more rows are hashed than needed.
        """
        block = max(self.count, ROWS_PER_BLOCK)
        for start in range(0, len(members), block):
            if not self.short:
                break
            rows = x[members[start : start + block]]
            keys = row_keys(rows).tolist()
            first = dict(zip(reversed(keys), reversed(range(len(keys))), strict=True))
            new = np.sort([place for key, place in first.items() if key not in self.keys]).astype(int)
            new = new[self.task.side_of_problems(rows[new]) == SIDES.index(self.side)][: self.short]
            self.keep(rows[new])

    def keep(self, x: Float[np.ndarray, "n time feature"]) -> None:
        """Keep these rows, none of which is kept yet."""
        self.x = np.concatenate([self.x, x])
        self.keys.update(row_keys(x).tolist())


def draw_side(wanted: dict[int, int], rng: np.random.Generator, *, task: Task, side: Side) -> Dataset:
    """Draw the wanted number of distinct rows of each class on this side: candidates, the first time they occur.

    Where the first draw falls short the rest is taken from the task's space, if it can be listed, with the
    probabilities that drawing on would give; else drawing goes on until FRUITLESS draws in a row bring nothing new.
    """
    none = np.zeros((0, task.sequence_length, task.feature_dim), np.float32)
    kept = {value: Kept(task, side, count, none) for value, count in wanted.items()}
    pool = draw_splittable(wanted, rng, task=task)
    fruitless = 0
    for draw in range(MAX_DRAWS):
        short = {value: rows.short for value, rows in kept.items()}
        for value, rows in kept.items():
            rows.take(pool.x, np.flatnonzero(pool.y == value))
        if not any(rows.short for rows in kept.values()):
            break
        if draw == 0 and (space := task.space()) is not None:
            contract.check_form(task, space[0], len(space[0]), "space")
            for value, rows in kept.items():
                complete(rows, value, *space, rng)
            break
        fruitless = fruitless + 1 if all(rows.short in (0, short[value]) for value, rows in kept.items()) else 0
        if fruitless == FRUITLESS:
            break
        pool = draw_splittable(wanted, rng, task=task)
    for value, rows in kept.items():
        if len(rows.x) < MIN_SAMPLES // 2:
            raise too_few(rows.x, value, pool, task=task, side=side)
    fewest = min(len(rows.x) for rows in kept.values())
    counts = wanted if not any(rows.short for rows in kept.values()) else dict.fromkeys(wanted, min(fewest, wanted[1]))
    x = np.concatenate([kept[value].x[:count] for value, count in counts.items()])
    order = rng.permutation(len(x))
    return Dataset(x[order], np.repeat(np.array([1, 0], np.float32), list(counts.values()))[order])


def draw_splittable(wanted: dict[int, int], rng: np.random.Generator, *, task: Task) -> Dataset:
    """Draw ten times as many candidates as rows are wanted, and of these such as may be put on a side."""
    x = contract.splittable(task, max(10 * sum(wanted.values()), 512), rng)
    return Dataset(x, contract.labels(task, x))


def distinct(x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, "distinct time feature"]:
    """Return every row once, in the order in which they occur first."""
    _, first = np.unique(row_keys(x), return_index=True)
    return x[np.sort(first)]


def complete(
    kept: Kept,
    value: int,
    x: Float[np.ndarray, "n time feature"],
    probability: Float[np.ndarray, " n"],
    rng: np.random.Generator,
) -> None:
    """Fill up with others of the listed space: of this class, on this side, not kept yet."""
    if not kept.short:
        return
    rows = np.flatnonzero((contract.labels(kept.task, x) == value) & (probability > 0))
    rows = rows[kept.task.side(x[rows]) == SIDES.index(kept.side)]
    rows = rows[[key not in kept.keys for key in row_keys(x[rows]).tolist()]]
    missing = min(kept.short, len(rows))
    if missing:
        chance = probability[rows] / probability[rows].sum()
        kept.keep(x[rng.choice(rows, size=missing, replace=False, p=chance)])


def too_few(x: Float[np.ndarray, "n time feature"], value: int, pool: Dataset, *, task: Task, side: Side) -> UsageError:
    """Return the error that a side has too few distinct rows of a class, told by what is the cause."""
    members = pool.x[pool.y == value]
    if len(members) == 0:
        return absent_class(pool, value, task=task)
    keys = task.checked_keys(pool.x)
    if len(np.unique(keys)) < len(SIDES):
        return UsageError(
            f"task {task.name}: canonical_key must tell problems apart, or nothing separates train from test, but it "
            f'gives {len(np.unique(keys))} among {len(keys)} candidates, one of them to "{task.render(pool.x[0])}": '
            "make it depend on all that makes two inputs different problems"
        )
    return UsageError(
        f"task {task.name}: each of train, val and test needs {MIN_SAMPLES // 2} distinct rows of either class, but "
        f'{side} has {len(x)} with label {value}, the label of "{task.render(members[0])}": widen the space that '
        "generate_candidates draws from, draw this class more often, or take --split original"
    )


def overlap_count(train: Dataset, test: Dataset) -> int:
    """Return how many test rows, repeats counted, occur value for value in train."""
    return int(np.isin(row_keys(test.x), row_keys(train.x)).sum())
