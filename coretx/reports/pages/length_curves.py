"""Accuracy at other lengths than the trained one, from the rows of benchmarking.csv and lengths.csv alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coretx.reports.pages.formatting import count
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.configurations import Configuration, by_epochs
from coretx.reports.tables.groups import LengthRow


@dataclass(frozen=True)
class LengthCurves:
    """One task in one setting of everything but model: the newest cell of each model and its scores by length."""

    task: str
    label: str
    trained: int
    cells: Mapping[str, BenchmarkRow]
    """Each model's test row: its score at the trained length."""
    models: Mapping[str, Mapping[int, LengthRow]]

    @property
    def sizes(self) -> list[int]:
        """The trained length and all others at which some model was evaluated, ascending."""
        return sorted({self.trained} | {length for found in self.models.values() for length in found})


def length_curves(rows: Sequence[BenchmarkRow], lengths: Sequence[LengthRow]) -> list[LengthCurves]:
    """Return the curves of every task and setting with a cell that was evaluated at other lengths."""
    by_id: dict[str, dict[int, LengthRow]] = {}
    for length in lengths:
        by_id.setdefault(length.id, {})[length.length] = length
    groups: dict[tuple, list[BenchmarkRow]] = {}
    for row in rows:
        if row.split == "test" and row.id in by_id:
            setting = (row.backend, row.protocol, row.recipe, row.n_samples, row.seed, row.members, row.negatives)
            groups.setdefault((row.task, *setting), []).append(row)
    found = []
    for (task, *setting), group in sorted(groups.items()):
        for part in by_epochs(group):
            cells = {row.model: row for row in sorted(part, key=lambda row: (row.date, row.id))}
            epochs = tuple(sorted({row.epochs for row in part}))
            label = Configuration(*setting, epochs=epochs, cells={}, older=0).described(f"n = {count(setting[3])}")
            models = {model: by_id[row.id] for model, row in cells.items()}
            trained = next(iter(next(iter(models.values())).values())).trained
            found.append(LengthCurves(task, label, trained, cells, models))
    return found
