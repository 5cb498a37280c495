"""Training of a cell: accuracy by epoch (`curves.csv`), and steps and seconds (`costs.csv`)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from coretx.records.csv_tables import CsvTable
from coretx.records.results import ModelResult
from coretx.reports.figures.curves import finite_part
from coretx.reports.tables.benchmark import CellRow

EPOCHS = 60
"""The most epochs of a cell's curve in the table."""


@dataclass(frozen=True)
class CurveRow(CellRow):
    """One cell's accuracy at a few epochs, evenly spaced in the logarithm: three lists with a space between numbers.

    `epochs` counts from 1 to the last trained epoch. Accuracies are means over members: on train during the epoch, on
    test after it. The lists end before the first epoch in which a value of any member is not finite.
    """

    epochs: str
    accuracy_train: str
    accuracy_test: str


@dataclass(frozen=True)
class CostRow(CellRow):
    """The costs of one cell: optimizer steps over all members (None if the batch size is not known), and seconds.

    `seconds_train` excludes compilation; `seconds` includes it and the evaluation.
    """

    parameters: int
    members: int
    steps: int | None
    seconds_compile: float | None
    seconds_train: float | None
    seconds: float | None
    device_name: str


CURVES = CsvTable(CurveRow, key=("id",))
COSTS = CsvTable(CostRow, key=("id",))


def curve_rows(result: ModelResult) -> list[CurveRow]:
    """Return the row of the cell's curve; none if it has no finite epoch or no accuracy by epoch."""
    history = finite_part(result.history)
    if not {"accuracy_train", "accuracy_test"} <= history.keys() or not history["accuracy_test"].shape[1]:
        return []
    epochs = shown_epochs(history["accuracy_test"].shape[1])
    lists = {"epochs": epochs}
    lists |= {name: history[name].mean(axis=0)[epochs - 1] for name in ("accuracy_train", "accuracy_test")}
    texts = {name: " ".join(map(str, values.tolist())) for name, values in lists.items()}
    return [CURVES.row(result.config, **texts)]


def cost_rows(result: ModelResult) -> list[CostRow]:
    """Return the row of the cell's costs."""
    config, counts, steps = result.config, result.counts.get("train"), None
    if config.batch_size and counts is not None and result.status == "done":
        steps = -(-sum(counts.rows) // config.batch_size) * config.epochs * config.members
    phases = {"seconds_compile": "compile", "seconds_train": "train", "seconds": "total"}
    known = result.provenance.seconds
    seconds = {column: float(known[phase]) if phase in known else None for column, phase in phases.items()}
    device_name = " ".join(result.provenance.device_name.split())
    return [COSTS.row(config, result, steps=steps, device_name=device_name, **seconds)]


def shown_epochs(last: int) -> Int[np.ndarray, " epoch"]:
    """Return at most EPOCHS epochs from 1 to the last one, evenly spaced in the logarithm.

    >>> shown_epochs(3).tolist(), shown_epochs(1000)[[0, -1]].tolist()
    ([1, 2, 3], [1, 1000])
    """
    return np.unique(np.geomspace(1, last, EPOCHS).round().astype(int))


def points(row: CurveRow) -> tuple[Int[np.ndarray, " epoch"], Float[np.ndarray, " epoch"]]:
    """Return the epochs of a row, counted from 1, and the accuracy on test after each."""
    return np.array(row.epochs.split(), int), np.array(row.accuracy_test.split(), float)
