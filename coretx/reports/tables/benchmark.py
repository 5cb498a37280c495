"""Scores of every split of every cell: `benchmarking.csv`."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num

from coretx.evaluation.ceilings import Ceiling
from coretx.evaluation.intervals import Summary
from coretx.records.csv_tables import CsvTable, Value
from coretx.records.results import ModelResult
from coretx.tasks.splits import SPLITS


@dataclass(frozen=True)
class CellRow:
    """The first columns of every table about cells."""

    id: str
    task: str
    model: str
    backend: str


@dataclass(frozen=True)
class BenchmarkRow(CellRow):
    """One split of one cell. Scores are means over members; `_std` is their sample standard deviation (n - 1).

    `_low` and `_high` are the ends of the 95 % interval over members. `_rows_low` and `_rows_high` are the ends of the
    interval over rows, or over problems in a small space (see `coretx.evaluation.intervals`).

    A number that does not exist is None, and empty in the file: the scores of a diverged cell, the spread of one
    member, the AUC of a split with one class. `protocol` drew the split, `negatives` made its rows of class 0. `keys`
    counts its distinct problems; `small_space` is 1 if its side of the task's space is small, else 0. If validation
    chose the epoch, `best_epoch` is the members' mean, counted from 0, and `_last` are the scores of the last epoch.
    `ceiling` is the best accuracy that the model's view allows on test; `alarm` is 1 if the cell is above it.
    """

    split: str
    seed: int
    members: int
    n_samples: int
    epochs: int
    recipe: str
    protocol: str
    negatives: str
    rows: int | None
    keys: int | None
    small_space: int
    accuracy: float | None
    accuracy_std: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    accuracy_rows_low: float | None
    accuracy_rows_high: float | None
    loss: float | None
    loss_std: float | None
    loss_low: float | None
    loss_high: float | None
    loss_rows_low: float | None
    loss_rows_high: float | None
    auc: float | None
    auc_std: float | None
    auc_low: float | None
    auc_high: float | None
    auc_rows_low: float | None
    auc_rows_high: float | None
    best_epoch: float | None
    accuracy_last: float | None
    loss_last: float | None
    view: str
    ceiling: float | None
    ceiling_kind: str
    alarm: int
    parameters: int
    seconds: float | None
    device: str
    commit: str
    version: str
    date: str


SCORES = CsvTable(BenchmarkRow, key=("id", "split"))
UNKNOWN = Ceiling(None, "none known")


def score_rows(result: ModelResult) -> list[BenchmarkRow]:
    """Return a row for each split; the rows of a diverged cell have no scores."""
    splits = tuple(result.scores)
    if result.status == "diverged":
        splits = tuple(split for split in SPLITS if split != "val" or f"loss_{split}" in result.history)
    return [_row(result, split) for split in splits]


def _row(result: ModelResult, split: str) -> BenchmarkRow:
    counts, last = result.counts.get(split), result.last_scores.get(split)
    ceiling = result.ceilings.get(result.view, UNKNOWN) if split == "test" else UNKNOWN
    return SCORES.row(
        result.config,
        result.provenance,
        result,
        split=split,
        protocol=result.config.split,
        rows=None if counts is None else sum(counts.rows),
        keys=None if counts is None else counts.keys,
        small_space=int(counts is not None and counts.small_space),
        **_summaries(result, split),
        best_epoch=None if result.best_epoch is None else _mean(result.best_epoch),
        accuracy_last=None if last is None else _mean(last.accuracy),
        loss_last=None if last is None else _mean(last.loss),
        ceiling=ceiling.value,
        ceiling_kind=ceiling.kind,
        alarm=int(result.alarm is not None),
        seconds=float(result.provenance.seconds["total"]),
    )


def _summaries(result: ModelResult, split: str) -> dict[str, Value]:
    """Return the columns of the scores, each None for a diverged cell."""
    known = result.summaries(split) if split in result.scores else {}
    columns: dict[str, Value] = {}
    for name in ("accuracy", "loss", "auc"):
        score = known.get(name, Summary(None))
        columns |= {name: score.mean, f"{name}_std": score.std}
        for over, ends in (("", score.members), ("_rows", score.rows)):
            columns[f"{name}{over}_low"], columns[f"{name}{over}_high"] = ends or (None, None)
    return columns


def _mean(values: Num[np.ndarray, " member"]) -> float | None:
    value = float(np.mean(values, dtype=np.float64))
    return value if math.isfinite(value) else None
