"""The published tables of a cell's parts: accuracy on test by groups of rows (`groups.csv`) and at other
lengths (`lengths.csv`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coretx.evaluation.intervals import deviation
from coretx.evaluation.scores import wilson_interval
from coretx.records.csv_tables import CsvTable
from coretx.records.results import ModelResult


@dataclass(frozen=True)
class GroupRow:
    """One group of one cell's test rows. Accuracy is the mean over members, `_std` their sample standard deviation.

    `low` and `high` are the 95 % interval over `keys`, the group's distinct problems; `accuracy_std` is None, and empty
    in the file, for one member.
    """

    id: str
    task: str
    model: str
    backend: str
    grouping: str
    group: str
    rows: int
    keys: int
    accuracy: float
    accuracy_std: float | None
    low: float
    high: float


@dataclass(frozen=True)
class LengthRow:
    """One cell's scores on test rows of `length` steps, after training on `trained` steps; columns as `GroupRow`.

    `applicable` is 0 where the model's shape fixes the length: then there are no scores.
    """

    id: str
    task: str
    model: str
    backend: str
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


LENGTH = CsvTable(LengthRow, key=("id", "length"))
GROUP = CsvTable(GroupRow, key=("id", "grouping", "group"))


def group_rows(result: ModelResult) -> list[GroupRow]:
    """Return one row per group; none for a diverged cell and for a task that names no groups."""
    config = result.config
    rows = []
    for group in result.groups:
        accuracy = float(group.accuracy.mean())
        low, high = wilson_interval(accuracy, group.keys)
        rows.append(
            GroupRow(
                id=config.id,
                task=config.task,
                model=config.model,
                backend=config.backend,
                grouping=group.grouping,
                group=group.group,
                rows=group.rows,
                keys=group.keys,
                accuracy=accuracy,
                accuracy_std=deviation(group.accuracy),
                low=low,
                high=high,
            )
        )
    return rows


def upsert_groups(path: Path, rows: Sequence[GroupRow]) -> None:
    """Put rows into the file, each in the place of the one of the same group of the same cell."""
    GROUP.upsert(path, rows)


def read_groups(path: Path) -> list[GroupRow]:
    """Return the rows of the file; see `CsvTable.read` for what it refuses."""
    return GROUP.read(path)


def length_rows(result: ModelResult) -> list[LengthRow]:
    """Return one row per evaluated length; none for a diverged cell."""
    config = result.config
    rows = []
    for score in result.lengths:
        cell = (
            config.id,
            config.task,
            config.model,
            config.backend,
            score.trained,
            score.length,
            score.rows,
            score.keys,
        )
        if score.accuracy is None or score.loss is None:
            rows.append(LengthRow(*cell, 0, None, None, None, None, None))
        else:
            mean, loss = float(score.accuracy.mean()), float(score.loss.mean())
            ends = wilson_interval(mean, score.keys)
            rows.append(LengthRow(*cell, 1, mean, deviation(score.accuracy), loss, *ends))
    return rows


def upsert_lengths(path: Path, rows: Sequence[LengthRow]) -> None:
    """Put rows into the file, each in the place of the one of the same length of the same cell."""
    LENGTH.upsert(path, rows)


def read_lengths(path: Path) -> list[LengthRow]:
    """Return the rows of the file; see `CsvTable.read` for what it refuses."""
    return LENGTH.read(path)
