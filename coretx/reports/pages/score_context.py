"""What pages say beside a score: chance, ceiling, the best reached by other models, other draws of data, its page."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coretx.evaluation.intervals import BOUNDS, Interval, deviation, student_interval
from coretx.reports.pages.formatting import alike, percent
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.draws import SplitRow
from coretx.tasks.splits import DATA_SEEDS_APART

HasPage = Callable[[BenchmarkRow], bool]
Reached = Mapping[tuple[str, str, str, str], float]
"""The best test accuracy of any model by task, protocol, negatives and view: a fact, not a ceiling."""


def page_name(model: str, backend: str, recipe: str = "") -> str:
    """Return the file name of a cell's page; a recipe is a name and at most one point of a grid.

    >>> page_name("mlp", "jax"), page_name("mlp", "torch", "original"), page_name("mlp", "jax", "original lr0.5x")
    ('mlp.html', 'mlp.torch.html', 'mlp.lr0.5x.html')
    """
    parts = (model, recipe.partition(" ")[2], "torch" if backend == "torch" else "", "html")
    return ".".join(part for part in parts if part)


@dataclass(frozen=True)
class Score:
    """A row of benchmarking.csv with what the row alone does not say.

    `page` is the file name of its cell's page, None without one. `reached` is the best test accuracy of its view where
    no ceiling is known. `below` says why the score is below chance by more than its intervals, else nothing.
    """

    row: BenchmarkRow
    page: str | None = None
    reached: float | None = None
    below: str = ""

    @property
    def ceiling(self) -> str:
        """The ceiling of the model's view, or the best reached; nothing for a ceiling of 1."""
        if self.row.ceiling is not None:
            return "" if alike(self.row.ceiling) == 1 else f"ceiling {percent(self.row.ceiling)}"
        return "" if self.reached is None else f"reached {percent(self.reached)}"


@dataclass(frozen=True)
class ScoreContext:
    """All rows of the tables that a score is compared with."""

    rows: Sequence[BenchmarkRow]
    splits: Sequence[SplitRow]
    has_page: HasPage

    @cached_property
    def reached(self) -> Reached:
        """See `best_reached`."""
        return best_reached(self.rows)

    @cached_property
    def chances(self) -> Mapping[tuple, float]:
        """The share of the more frequent class in the test rows of each draw: see `draw_of`."""
        tests = [row for row in self.splits if row.part == "test" and row.rows_0 + row.rows_1]
        return {
            (row.task, row.split, row.negatives, row.seed, row.n_samples): max(row.rows_0, row.rows_1)
            / (row.rows_0 + row.rows_1)
            for row in tests
        }

    def score(self, cell: Mapping[str, BenchmarkRow], split: str) -> Score | None:
        """Return the score of a cell, given by its rows, on a split; None where it has no row."""
        row = cell.get(split)
        if row is None:
            return None
        page = page_name(row.model, row.backend, row.recipe) if self.has_page(row) else None
        if split != "test" or row.accuracy is None:
            return Score(row, page)
        reached = None if row.view == "full" else self.reached[row.task, row.protocol, row.negatives, row.view]
        chance = self.chances.get(draw_of(row))
        ends = [end for end in (row.accuracy_high, row.accuracy_rows_high) if end is not None]
        below = ""
        if chance is not None and ends and max(ends) < chance:
            train = cell.get("train")
            below = below_chance(chance, used_up(row.protocol, train and train.rows, row.n_samples))
        return Score(row, page, reached, below)


def best_reached(rows: Iterable[BenchmarkRow]) -> Reached:
    """Return the best accuracy, as a mean over members, that models of each view reach on test."""
    best: dict[tuple[str, str, str, str], float] = {}
    for row in rows:
        if row.split == "test" and row.accuracy is not None:
            place = (row.task, row.protocol, row.negatives, row.view)
            best[place] = max(row.accuracy, best.get(place, 0.0))
    return best


def draw_of(row: BenchmarkRow) -> tuple:
    """Return the draw of data of a row."""
    return row.task, row.protocol, row.negatives, row.seed, row.n_samples


def used_up(protocol: str, train_rows: int | None, n_samples: int) -> bool:
    """Tell whether train has fewer rows than asked for, because its side of the task's space has no more."""
    return protocol == "disjoint" and train_rows is not None and train_rows < n_samples


def below_chance(chance: float, used_up: bool) -> str:
    """Return the note on a score whose intervals end below chance, with the reason if the split is the reason."""
    why = ": the splits are disjoint parts of a small space, so what is more frequent in train is rarer in test"
    return f"its interval ends below {percent(chance)}" + why * used_up


@dataclass(frozen=True)
class DataSpread:
    """Test accuracy of one model over draws of data: each draw counts once, as its mean over members.

    `std` and `interval` (Student, 95 %) are over two or more draws, each with train rows, test rows and members of its
    own. `members_std` is the deviation over members within a draw, None for one member.
    """

    seeds: tuple[int, ...]
    mean: float
    std: float
    interval: Interval
    members_std: float | None


Draws = Mapping[tuple, Mapping[int, BenchmarkRow]]
"""The scored rows of each model in each configuration by seed, in order."""


def draws_of(rows: Iterable[BenchmarkRow]) -> Draws:
    """Return the draws of data of each model: the newest result of a draw, of equal dates the one with the last id.

    Seeds that differ by a multiple of 3 form a group: no two of them share a seed of a split.
    """
    found: dict[tuple, dict[int, BenchmarkRow]] = {}
    for row in sorted(rows, key=lambda row: (row.date, row.id)):
        if row.accuracy is not None:
            found.setdefault(_setting(row), {})[row.seed] = row
    return {setting: dict(sorted(draws.items())) for setting, draws in found.items()}


def data_spread(row: BenchmarkRow | None, every: Draws) -> DataSpread | None:
    """Return the spread of this row's model over draws of data, None for fewer than two draws."""
    draws = {} if row is None else every.get(_setting(row), {})
    if len(draws) < 2:
        return None
    accuracy = [other.accuracy or 0.0 for other in draws.values()]
    stds = [other.accuracy_std for other in draws.values() if other.accuracy_std is not None]
    mean, std = float(np.mean(accuracy)), deviation(accuracy) or 0.0
    return DataSpread(
        seeds=tuple(draws),
        mean=mean,
        std=std,
        interval=student_interval(mean, std, len(accuracy), BOUNDS["accuracy"]),
        members_std=math.sqrt(np.mean(np.square(stds))) if stds else None,
    )


def _setting(row: BenchmarkRow) -> tuple:
    place = (row.task, row.model, row.backend, row.split)
    how = (row.protocol, row.negatives, row.recipe, row.n_samples, row.members, row.epochs)
    return *place, *how, row.seed % DATA_SEEDS_APART
