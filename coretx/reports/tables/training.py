"""The published tables of a cell's training: accuracy by epoch (`curves.csv`), and what it took (`costs.csv`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from coretx.records.csv_tables import CsvTable
from coretx.records.results import ModelResult
from coretx.reports.figures.curves import finite_part

EPOCHS = 60
"""A cell's curve has at most so many epochs in the table."""


@dataclass(frozen=True)
class CurveRow:
    """One cell's accuracy at a few epochs, evenly spaced in the logarithm: three lists with a space between numbers.

    `epochs` counts from 1, the last is the last trained; accuracies are means over members: on train while training,
    on test after the epoch. The lists end before the first epoch in which a value of any member is not finite.
    """

    id: str
    task: str
    model: str
    backend: str
    epochs: str
    accuracy_train: str
    accuracy_test: str


@dataclass(frozen=True)
class CostRow:
    """What one cell took: optimizer steps over all members (empty where the batch is not known), and seconds.

    `seconds_train` is without compilation; `seconds` is all there was, evaluation included.
    """

    id: str
    task: str
    model: str
    backend: str
    parameters: int
    members: int
    steps: int | None
    seconds_compile: float | None
    seconds_train: float | None
    seconds: float | None
    device_name: str


CURVE = CsvTable(CurveRow, key=("id",))
COST = CsvTable(CostRow, key=("id",))


def curve_rows(result: ModelResult) -> list[CurveRow]:
    """Return the row of the cell's curve; none where it has no finite epoch or no accuracy by epoch."""
    history = finite_part(result.history)
    if not {"accuracy_train", "accuracy_test"} <= history.keys() or not history["accuracy_test"].shape[1]:
        return []
    epochs = shown_epochs(history["accuracy_test"].shape[1])
    accuracies = [history[f"accuracy_{split}"].mean(axis=0)[epochs - 1] for split in ("train", "test")]
    config = result.config
    lists = (" ".join(map(str, epochs.tolist())), *(" ".join(map(str, values.tolist())) for values in accuracies))
    return [CurveRow(config.id, config.task, config.model, config.backend, *lists)]


def cost_row(result: ModelResult) -> CostRow:
    """Return the row of what the cell took."""
    config, seconds, counts = result.config, result.provenance.seconds, result.counts.get("train")
    batch, steps = config.batch_size, None
    if batch and counts is not None:
        steps = -(-sum(counts.rows) // batch) * config.epochs * config.members
    return CostRow(
        id=config.id,
        task=config.task,
        model=config.model,
        backend=config.backend,
        parameters=result.parameters,
        members=config.members,
        steps=steps if result.status == "done" else None,
        seconds_compile=_known(seconds.get("compile")),
        seconds_train=_known(seconds.get("train")),
        seconds=_known(seconds.get("total")),
        device_name=" ".join(result.provenance.device_name.split()),
    )


def shown_epochs(last: int) -> Int[np.ndarray, " epoch"]:
    """Return at most EPOCHS epochs from 1 to the last one, evenly spaced in the logarithm.

    >>> shown_epochs(3).tolist(), shown_epochs(1000)[[0, -1]].tolist()
    ([1, 2, 3], [1, 1000])
    """
    return np.unique(np.geomspace(1, last, EPOCHS).round().astype(int))


def points(row: CurveRow) -> tuple[Int[np.ndarray, " epoch"], Float[np.ndarray, " epoch"]]:
    """Return the epochs of a row, counted from 1, and the accuracy on test after each."""
    return np.array(row.epochs.split(), int), np.array(row.accuracy_test.split(), float)


def read_curves(path: Path) -> list[CurveRow]:
    """Return the rows of the file; see `CsvTable.read` for what it refuses."""
    return CURVE.read(path)


def upsert_curves(path: Path, rows: Sequence[CurveRow]) -> None:
    """Put rows into the file, each in the place of the one of the same cell."""
    CURVE.upsert(path, rows)


def read_costs(path: Path) -> list[CostRow]:
    """Return the rows of the file; see `CsvTable.read` for what it refuses."""
    return COST.read(path)


def upsert_costs(path: Path, rows: Sequence[CostRow]) -> None:
    """Put rows into the file, each in the place of the one of the same cell."""
    COST.upsert(path, rows)


def _known(seconds: float | None) -> float | None:
    return None if seconds is None else float(seconds)
