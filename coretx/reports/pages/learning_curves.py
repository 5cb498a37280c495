"""Accuracy on test against the rows trained on, from the rows of benchmarking.csv alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coretx.evaluation.scores import wilson_interval
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.configurations import Configuration, by_epochs


@dataclass(frozen=True)
class Point:
    """A model's test row, and how many rows it was trained on: fewer than asked for where a space has no more."""

    trained: int
    test: BenchmarkRow

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy over the test problems; of a cell that did not diverge."""
        assert self.test.accuracy is not None
        return wilson_interval(self.test.accuracy, self.test.keys or self.test.rows or self.test.n_samples)


@dataclass(frozen=True)
class LearningCurves:
    """One task in one setting of everything but model and size: each model's points by the rows trained on."""

    task: str
    label: str
    models: Mapping[str, Mapping[int, Point]]
    hidden: int
    """Cells that another one hides which was trained on as many rows: it is newer, or had more rows asked for."""

    @property
    def sizes(self) -> list[int]:
        """All numbers of rows that some model was trained on, ascending."""
        return sorted({size for points in self.models.values() for size in points})


def learning_curves(rows: Sequence[BenchmarkRow]) -> list[LearningCurves]:
    """Return the curves of every task and setting for which more than one size was asked."""
    trained = {row.id: row.rows for row in rows if row.split == "train"}
    groups: dict[tuple, list[BenchmarkRow]] = {}
    for row in rows:
        if row.split == "test":
            setting = (row.backend, row.protocol, row.recipe, row.seed, row.members, row.negatives)
            groups.setdefault((row.task, *setting), []).append(row)
    found = []
    for (task, *setting), group in sorted(groups.items()):
        for part in by_epochs(group):
            if len({row.n_samples for row in part}) > 1:
                found.append(_curves(task, setting, part, trained))
    return found


def _curves(
    task: str, setting: Sequence, rows: Sequence[BenchmarkRow], trained: Mapping[str, int | None]
) -> LearningCurves:
    models: dict[str, dict[int, Point]] = {}
    for row in sorted(rows, key=lambda row: (row.n_samples, row.date, row.id)):
        size = trained.get(row.id) or row.n_samples
        models.setdefault(row.model, {})[size] = Point(size, row)
    backend, protocol, recipe, seed, members, negatives = setting
    epochs = tuple(sorted({row.epochs for row in rows}))
    label = Configuration(backend, protocol, recipe, 0, seed, members, negatives, epochs, cells={}, older=0)
    shown = sum(len(points) for points in models.values())
    return LearningCurves(task, label.described(""), models, hidden=len(rows) - shown)
