"""Test accuracy of a cell by groups of rows (`groups.csv`) and at other sequence lengths (`lengths.csv`)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from coretx.evaluation.intervals import deviation
from coretx.evaluation.scores import wilson_interval
from coretx.records.csv_tables import CsvTable, Value
from coretx.records.results import ModelResult
from coretx.reports.tables.benchmark import CellRow


@dataclass(frozen=True)
class GroupRow(CellRow):
    """One group of one cell's test rows. Accuracy is the mean over members, `_std` their sample standard deviation.

    `low` and `high` are the 95 % interval over `keys`, the group's distinct problems. `accuracy_std` is None for one
    member.
    """

    grouping: str
    group: str
    rows: int
    keys: int
    accuracy: float
    accuracy_std: float | None
    low: float
    high: float


@dataclass(frozen=True)
class LengthRow(CellRow):
    """One cell's scores on test rows of `length` steps, after training on `trained` steps; columns as `GroupRow`.

    `applicable` is 0 if the model's shape fixes the length: then there are no scores.
    """

    trained: int
    length: int
    rows: int
    keys: int
    applicable: int
    accuracy: float | None
    accuracy_std: float | None
    loss: float | None
    low: float | None
    high: float | None


GROUPS = CsvTable(GroupRow, key=("id", "grouping", "group"))
LENGTHS = CsvTable(LengthRow, key=("id", "length"))


def group_rows(result: ModelResult) -> list[GroupRow]:
    """Return a row for each group; none for a diverged cell or a task without groups."""
    return [GROUPS.row(result.config, group, **_accuracy(group.accuracy, group.keys)) for group in result.groups]


def length_rows(result: ModelResult) -> list[LengthRow]:
    """Return a row for each evaluated length; none for a diverged cell."""
    return [
        LENGTHS.row(
            result.config,
            score,
            applicable=int(score.accuracy is not None),
            loss=None if score.loss is None else float(score.loss.mean()),
            **_accuracy(score.accuracy, score.keys),
        )
        for score in result.lengths
    ]


def _accuracy(accuracy: Float[np.ndarray, " member"] | None, keys: int) -> dict[str, Value]:
    """Return the columns of an accuracy over members, on rows of so many problems; each None if there is none."""
    if accuracy is None:
        return dict.fromkeys(("accuracy", "accuracy_std", "low", "high"))
    mean = float(accuracy.mean())
    low, high = wilson_interval(mean, keys)
    return {"accuracy": mean, "accuracy_std": deviation(accuracy), "low": low, "high": high}
