"""The published tables below `benchmarks/`: scores (`benchmarking.csv`), overlap of test with train (`overlap.csv`),
and how much there is in every split (`splits.csv`)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Num

from coretx.evaluation.ceilings import Ceiling
from coretx.evaluation.intervals import Summary
from coretx.records.csv_tables import CsvTable
from coretx.records.results import ModelResult
from coretx.tasks.splits import SPLITS, Overlap, SplitCounts

SCORES = ("accuracy", "loss", "auc")
"""The scores that have columns, by their names in `coretx.evaluation.intervals`."""


@dataclass(frozen=True)
class BenchmarkRow:
    """One split of one cell. Scores are means over members; `_std` is the sample standard deviation (n - 1) over them.

    `_low` and `_high` are the ends of the 95 % interval over members, `_rows_low` and `_rows_high` of the one over
    rows, or over problems in a small space (see `coretx.evaluation.intervals`).

    A field is None, and empty in the file, where there is no such number: the scores of a diverged cell, the spread of
    one member, the AUC of a split with one class. `protocol` drew the split, `negatives` made its rows of class 0;
    `keys` counts its distinct problems, `small_space` is 1 where its side of the task's space is small, else 0. Where
    the epoch was chosen on validation, `best_epoch` is the members' mean, counted from 0, and `_last` is of the last.
    `ceiling` is the best accuracy that the model's view allows on test; `alarm` is 1 where the cell is above it.
    """

    id: str
    task: str
    model: str
    backend: str
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


@dataclass(frozen=True)
class OverlapRow:
    """How many test rows occur among the train rows of one draw of one task, and how many as a problem."""

    task: str
    split: str
    seed: int
    n_samples: int
    overlap_count: int
    test_total: int
    overlap_rate: float
    negatives: str
    overlap_keys: int


@dataclass(frozen=True)
class SplitRow:
    """How much there is in one part (train, val, test) of one draw of one task; see `SplitCounts`."""

    task: str
    split: str
    negatives: str
    seed: int
    n_samples: int
    part: str
    rows_0: int
    rows_1: int
    distinct_rows_0: int
    distinct_rows_1: int
    distinct_keys_0: int
    distinct_keys_1: int
    keys: int
    small_space: int


UNKNOWN = Ceiling(None, "none known")

BENCHMARK = CsvTable(BenchmarkRow, key=("id", "split"))
OVERLAP = CsvTable(OverlapRow, key=("task", "split", "negatives", "seed", "n_samples"))
SPLIT = CsvTable(SplitRow, key=("task", "split", "negatives", "seed", "n_samples", "part"))


def rows(result: ModelResult) -> list[BenchmarkRow]:
    """Return one row per split; a diverged cell has the rows too, without scores."""
    splits = tuple(result.scores)
    if result.status == "diverged":
        splits = tuple(split for split in SPLITS if split != "val" or f"loss_{split}" in result.history)
    return [_row(result, split) for split in splits]


def read_rows(path: Path) -> list[BenchmarkRow]:
    """Return the rows of the file; see `CsvTable.read` for what it refuses."""
    return BENCHMARK.read(path)


def upsert(path: Path, rows: Sequence[BenchmarkRow]) -> None:
    """Put rows into the file, each in the place of the row with the same id and split where there is one."""
    BENCHMARK.upsert(path, rows)


def overlap_row(overlap: Overlap) -> OverlapRow:
    """Return the row that stands for this record in overlap.csv."""
    counts = (overlap.overlap_count, overlap.test_total, overlap.overlap_rate)
    draw = (overlap.task, overlap.split, overlap.seed, overlap.n_samples)
    return OverlapRow(*draw, *counts, overlap.negatives, overlap.overlap_keys)


def split_rows(overlap: Overlap, counts: Mapping[str, SplitCounts]) -> list[SplitRow]:
    """Return the rows that stand in splits.csv for the parts of the draw that this record is about."""
    draw = (overlap.task, overlap.split, overlap.negatives, overlap.seed, overlap.n_samples)
    return [
        SplitRow(*draw, part, *c.rows, *c.distinct_rows, *c.distinct_keys, c.keys, int(c.small_space))
        for part, c in counts.items()
    ]


def read_overlaps(path: Path) -> list[OverlapRow]:
    """Return the rows of the file; see `CsvTable.read` for what it refuses."""
    return OVERLAP.read(path)


def read_splits(path: Path) -> list[SplitRow]:
    """Return the rows of the file; see `CsvTable.read` for what it refuses."""
    return SPLIT.read(path)


def upsert_splits(path: Path, rows: Sequence[SplitRow]) -> None:
    """Put rows into the file, each in the place of the one of the same part of the same draw."""
    SPLIT.upsert(path, rows)


def upsert_overlaps(path: Path, rows: Sequence[OverlapRow]) -> None:
    """Put rows into the file, each in the place of the one with the same task, split, seed and size."""
    OVERLAP.upsert(path, rows)


def _row(result: ModelResult, split: str) -> BenchmarkRow:
    config, provenance, counts = result.config, result.provenance, result.counts.get(split)
    last = result.last_scores.get(split)
    ceiling = result.ceilings.get(result.view, UNKNOWN) if split == "test" else UNKNOWN
    return BenchmarkRow(
        id=config.id,
        task=config.task,
        model=config.model,
        backend=config.backend,
        split=split,
        seed=config.seed,
        members=config.members,
        n_samples=config.n_samples,
        epochs=config.epochs,
        recipe=config.recipe,
        protocol=config.split,
        negatives=config.negatives,
        rows=None if counts is None else sum(counts.rows),
        keys=None if counts is None else counts.keys,
        small_space=int(counts is not None and counts.small_space),
        **_scores(result, split),
        best_epoch=None if result.best_epoch is None else _mean(result.best_epoch),
        accuracy_last=None if last is None else _mean(last.accuracy),
        loss_last=None if last is None else _mean(last.loss),
        view=result.view,
        ceiling=ceiling.value,
        ceiling_kind=ceiling.kind,
        alarm=int(result.alarm is not None),
        parameters=result.parameters,
        seconds=float(provenance.seconds["total"]),
        device=config.device,
        commit=provenance.commit,
        version=provenance.version,
        date=provenance.date,
    )


def _scores(result: ModelResult, split: str) -> dict[str, float | None]:
    """Return the columns of the scores, every one None for a diverged cell."""
    known = result.summaries(split) if split in result.scores else {}
    columns: dict[str, float | None] = {}
    for name in SCORES:
        score = known.get(name, Summary(None))
        columns |= {name: score.mean, f"{name}_std": score.std}
        for over, ends in (("", score.members), ("_rows", score.rows)):
            columns[f"{name}{over}_low"], columns[f"{name}{over}_high"] = ends or (None, None)
    return columns


def _mean(values: Num[np.ndarray, " member"]) -> float | None:
    value = float(np.mean(values, dtype=np.float64))
    return value if math.isfinite(value) else None
