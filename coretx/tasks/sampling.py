"""From a task to labelled rows, with the checks of the task's contract."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from coretx.config import MIN_SAMPLES
from coretx.errors import UsageError
from coretx.seeds import stream
from coretx.tasks.base import SIDES, Side, Task, row_keys
from coretx.tasks.registry import get_task

MAX_DRAWS = 500
"""A side is taken to have no more rows after this many draws of candidates."""
FRUITLESS = 20
"""A side is taken to have no more rows after this many draws without a new row of a missing class. One such draw is
not enough: it may miss a class that one candidate in a thousand belongs to."""
ROWS_PER_BLOCK = 512
"""At least this many candidates are hashed together."""
TRIED = 64
"""Candidates drawn from each of two equal generators, to check the task."""


@dataclass(frozen=True)
class Dataset:
    """Inputs and their labels: both float32, labels 0 or 1."""

    x: Float[np.ndarray, "n time feature"]
    y: Float[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.y)


def prepare_data(n_samples: int, seed: int, *, task: Task | str, side: Side | None = None) -> Dataset:
    """Draw n_samples rows of a task, as many of either class (one more of class 0 where n is odd).

    Without a side, as the original: each class is drawn uniformly with replacement from max(10 n, 512) candidates;
    train takes `seed`, test `seed + 1`. With a side: distinct rows whose problem lies on that side of the task's space
    (train takes `seed`, val `seed + 2`, test `seed + 1`); fewer rows, but as many of either class, if it has no more.

    Raises UsageError if a class is absent among the candidates, a side has too few distinct rows, or the task breaks
    its contract.
    """
    if n_samples < MIN_SAMPLES:
        raise UsageError(f"n_samples must be at least {MIN_SAMPLES}, two rows of each class; got {n_samples}")
    task = get_task(task) if isinstance(task, str) else task
    rng = stream(seed, task.name, purpose="data")
    wanted = {1: n_samples // 2, 0: n_samples - n_samples // 2}
    data = draw(wanted, rng, task=task) if side is None else draw_side(wanted, rng, task=task, side=side)
    check_rows_alone(task, data.x, "label", checked_labels(task, data.x[::-1].copy())[::-1] != data.y)
    check_generator(task)
    if side is not None:
        backwards = task.checked_keys(data.x[::-1].copy())[::-1]
        check_rows_alone(task, data.x, "canonical_key", task.checked_keys(data.x) != backwards)
    return data


def draw_candidates(n: int, rng: np.random.Generator, *, task: Task) -> Dataset:
    """Draw n labelled candidates; UsageError if inputs or labels break the task's contract."""
    x = checked_candidates(task, n, rng)
    return Dataset(x, checked_labels(task, x))


def draw_splittable(wanted: dict[int, int], rng: np.random.Generator, *, task: Task) -> Dataset:
    """Draw ten candidates for each wanted row, at least 512; return the labelled ones that can belong to a side."""
    n = max(10 * sum(wanted.values()), 512)
    x = task.generate_splittable(n, rng)
    if x is not None:
        check_inputs(task, x, len(x), "generate_splittable")
    else:
        x = checked_candidates(task, n, rng)
        kept = task.splittable(x)
        x = x if kept.all() else x[kept]
    return Dataset(x, checked_labels(task, x))


def draw(wanted: dict[int, int], rng: np.random.Generator, *, task: Task) -> Dataset:
    """Draw the wanted number of rows of each class with replacement, as the original does."""
    pool = draw_candidates(max(10 * sum(wanted.values()), 512), rng, task=task)
    drawn = []
    for label, count in wanted.items():
        members = np.flatnonzero(pool.y == label)
        if len(members) == 0:
            raise absent_class(pool, label, task=task)
        drawn.append(rng.choice(members, size=count, replace=True))
    rows = rng.permutation(np.concatenate(drawn))
    return Dataset(pool.x[rows], pool.y[rows])


@dataclass
class DistinctRows:
    """Distinct rows of one class on one side, in the order of their first draw, at most `count`."""

    task: Task
    side: Side
    label: int
    count: int
    x: Float[np.ndarray, "n time feature"]
    keys: set[bytes] = field(default_factory=set)

    @property
    def missing(self) -> int:
        """The number of rows still to find."""
        return self.count - len(self.x)

    def take(self, x: Float[np.ndarray, "n time feature"]) -> None:
        """Add the new rows among these splittable ones that lie on the side, until none is missing.

        In blocks, since the side costs a hash for each row.
        """
        block = max(self.count, ROWS_PER_BLOCK)
        for start in range(0, len(x), block):
            if not self.missing:
                break
            rows = x[start : start + block]
            keys = row_keys(rows).tolist()
            first = dict(zip(reversed(keys), reversed(range(len(keys))), strict=True))
            new = np.sort([place for key, place in first.items() if key not in self.keys]).astype(int)
            new = new[self.task.side_of_problems(rows[new]) == SIDES.index(self.side)][: self.missing]
            self.add(rows[new])

    def add(self, x: Float[np.ndarray, "n time feature"]) -> None:
        """Add these rows, all of them new."""
        self.x = np.concatenate([self.x, x])
        self.keys.update(row_keys(x).tolist())

    def complete(self, space: Dataset, probability: Float[np.ndarray, " n"], rng: np.random.Generator) -> None:
        """Add the missing rows from these listed inputs, drawn by their probability without replacement."""
        rows = np.flatnonzero((space.y == self.label) & (probability > 0))
        rows = rows[self.task.side(space.x[rows]) == SIDES.index(self.side)]
        rows = rows[[key not in self.keys for key in row_keys(space.x[rows]).tolist()]]
        count = min(self.missing, len(rows))
        if count:
            chance = probability[rows] / probability[rows].sum()
            self.add(space.x[rng.choice(rows, size=count, replace=False, p=chance)])


def draw_side(wanted: dict[int, int], rng: np.random.Generator, *, task: Task, side: Side) -> Dataset:
    """Draw the wanted number of distinct rows of each class on this side.

    If the first draw of candidates falls short and the task's space can be listed, the rest is drawn from the space,
    with the probabilities of candidates. Else drawing goes on until FRUITLESS draws in a row give nothing new.
    """
    none = np.zeros((0, task.sequence_length, task.feature_dim), np.float32)
    classes = {label: DistinctRows(task, side, label, count, none) for label, count in wanted.items()}
    pool, fruitless = draw_splittable(wanted, rng, task=task), 0
    for draw in range(MAX_DRAWS):
        before = [rows.missing for rows in classes.values()]
        for label, rows in classes.items():
            rows.take(pool.x[pool.y == label])
        missing = [rows.missing for rows in classes.values()]
        if not any(missing):
            break
        if draw == 0 and (space := task.space()) is not None:
            check_inputs(task, space[0], len(space[0]), "space")
            listed = Dataset(space[0], checked_labels(task, space[0]))
            for rows in classes.values():
                if rows.missing:
                    rows.complete(listed, space[1], rng)
            break
        fruitless = fruitless + 1 if all(now in (0, was) for now, was in zip(missing, before, strict=True)) else 0
        if fruitless == FRUITLESS:
            break
        pool = draw_splittable(wanted, rng, task=task)
    for label, rows in classes.items():
        if len(rows.x) < MIN_SAMPLES // 2:
            raise too_few(rows.x, label, pool, task=task, side=side)
    complete = not any(rows.missing for rows in classes.values())
    fewest = min(wanted[1], *(len(rows.x) for rows in classes.values()))
    counts = wanted if complete else dict.fromkeys(wanted, fewest)
    x = np.concatenate([classes[label].x[:count] for label, count in counts.items()])
    order = rng.permutation(len(x))
    return Dataset(x[order], np.repeat(np.array([1, 0], np.float32), list(counts.values()))[order])


def distinct(x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, "distinct time feature"]:
    """Return every row once, in the order of first occurrence."""
    _, first = np.unique(row_keys(x), return_index=True)
    return x[np.sort(first)]


def overlap_count(train: Dataset, test: Dataset) -> int:
    """Return how many test rows, repeats counted, occur value for value in train."""
    return int(np.isin(row_keys(test.x), row_keys(train.x)).sum())


def checked_candidates(task: Task, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
    """Draw n candidates; UsageError unless they are finite float32 of the task's shape."""
    x = np.asarray(task.generate_candidates(n, rng))
    check_inputs(task, x, n, "generate_candidates")
    return x


def check_inputs(task: Task, x: np.ndarray, n: int, source: str) -> None:
    """Raise UsageError unless x is n rows of finite float32 of the task's shape."""
    shape = (n, task.sequence_length, task.feature_dim)
    if x.shape != shape or x.dtype != np.float32:
        raise UsageError(f"task {task.name}: {source} must return float32 of shape {shape}, got {x.dtype} {x.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        total = x.sum()  # finite only if every number is, and faster than a test of each
    finite = np.ones(n, bool) if np.isfinite(total) else np.isfinite(x).all(axis=(1, 2))
    if not finite.all():
        row = int(np.argmin(finite))
        raise UsageError(
            f"task {task.name}: features must be finite numbers, but row {row} of {source} is "
            f'"{task.render(x[row])}": leave such rows out, or give them a number'
        )


def checked_labels(task: Task, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
    """Return the labels of x; UsageError unless they are float32 zeros and ones, one for each row."""
    y = np.asarray(task.label(x))
    if y.shape != (len(x),) or y.dtype != np.float32 or not ((y == 0) | (y == 1)).all():
        raise UsageError(
            f"task {task.name}: label must return float32 zeros and ones of shape ({len(x)},), got {y.dtype} {y.shape} "
            f"with values {np.unique(y)[:4].tolist()}"
        )
    return y


def check_rows_alone(
    task: Task, x: Float[np.ndarray, "n time feature"], method: str, changed: Bool[np.ndarray, " n"]
) -> None:
    """Raise UsageError that shows the first row whose label or key changes when the rows are reversed."""
    if changed.any():
        how = {
            "label": "label 0 at one time and 1 at another: take out of label whatever is random, counts calls or "
            "looks at other rows",
            "canonical_key": "another key when the rows come in another order",
        }
        raise UsageError(
            f"task {task.name}: {method} must depend on the row alone, but "
            f'"{task.render(x[changed.argmax()])}" has {how[method]}'
        )


def check_generator(task: Task) -> None:
    """Raise UsageError if two equal generators do not give equal candidates.

    Other sources of randomness go on between the two draws, so a task that uses one is found out.
    """
    first, second = (checked_candidates(task, TRIED, np.random.default_rng(0)) for _ in range(2))
    changed = np.flatnonzero((first != second).any(axis=(1, 2)))
    if len(changed):
        rows = " and ".join(f'"{task.render(x[changed[0]])}"' for x in (first, second))
        raise UsageError(
            f"task {task.name}: generate_candidates must draw with the rng that it is given alone, but two equal "
            f"generators gave {rows} as row {changed[0]}: use rng in place of np.random, random, clocks or stored state"
        )


def absent_class(pool: Dataset, label: int, *, task: Task) -> UsageError:
    """Return the error that no candidate has this label."""
    return UsageError(
        f"task {task.name}: both classes must occur among {len(pool)} candidates, but none has label {label}, all "
        f'are like "{task.render(pool.x[0])}": make generate_candidates draw the other class more often'
    )


def too_few(x: Float[np.ndarray, "n time feature"], label: int, pool: Dataset, *, task: Task, side: Side) -> UsageError:
    """Return the error that a side has too few distinct rows of a class, with the cause."""
    members = pool.x[pool.y == label]
    if len(members) == 0:
        return absent_class(pool, label, task=task)
    keys = task.checked_keys(pool.x)
    if len(np.unique(keys)) < len(SIDES):
        return UsageError(
            f"task {task.name}: canonical_key must tell problems apart, or nothing separates train from test, but it "
            f'gives {len(np.unique(keys))} among {len(keys)} candidates, one of them to "{task.render(pool.x[0])}": '
            "make it depend on all that makes two inputs different problems"
        )
    return UsageError(
        f"task {task.name}: each of train, val and test needs {MIN_SAMPLES // 2} distinct rows of either class, but "
        f'{side} has {len(x)} with label {label}, the label of "{task.render(members[0])}": widen the space that '
        "generate_candidates draws from, draw this class more often, or take --split original"
    )
