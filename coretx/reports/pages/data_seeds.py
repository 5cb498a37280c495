"""The second axis: the same configuration on other data, its spread apart from that over members."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from coretx.evaluation.intervals import BOUNDS, Interval, deviation, student_interval
from coretx.reports.pages.formatting import between, percent
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.tasks.splits import DATA_SEEDS_APART


@dataclass(frozen=True)
class DataSpread:
    """Test accuracy of one model over draws of data: each draw counts once, as its mean over members.

    `std` and `interval` (Student, 95 %) are over the draws, of which there are two or more: other train rows, other
    test rows and other members. `members_std` is the deviation over members within a draw, None for one member.
    """

    seeds: tuple[int, ...]
    mean: float
    std: float
    interval: Interval
    members_std: float | None

    @property
    def texts(self) -> dict[str, str]:
        """How the numbers read."""
        return {
            "mean": percent(self.mean),
            "std": f"{100 * self.std:.1f}",
            "interval": between(self.interval, percent),
            "members": "" if self.members_std is None else f"{100 * self.members_std:.1f}",
            "seeds": ", ".join(str(seed) for seed in self.seeds),
        }


Draws = Mapping[tuple, Mapping[int, BenchmarkRow]]
"""The scored rows of each model in each configuration by seed, in order."""


def draws_of(rows: Iterable[BenchmarkRow]) -> Draws:
    """Return which draws of data there are of each model; of several results of one draw the newest counts, of equal
    dates the one whose id comes last.

    Draws stand together where their seeds lie 3, or a multiple of 3, apart, so that none has a seed in common with
    another.
    """
    found: dict[tuple, dict[int, BenchmarkRow]] = {}
    for row in sorted(rows, key=lambda row: (row.date, row.id)):
        if row.accuracy is not None:
            found.setdefault(_setting(row), {})[row.seed] = row
    return {setting: dict(sorted(draws.items())) for setting, draws in found.items()}


def data_spread(row: BenchmarkRow | None, every: Draws) -> DataSpread | None:
    """Return the spread of this row's model over draws of data, None where there are not two."""
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
