"""The two published tables: scores (`benchmarks/benchmarking.csv`) and overlap of test with train (`overlap.csv`)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from coretx.reports.csv_table import CsvTable
from coretx.results import SPLITS, ModelResult, Overlap, SplitScores


@dataclass(frozen=True)
class BenchmarkRow:
    """One split of one cell. Scores are means over members; `_std` is the sample standard deviation (n - 1) over them.

    A field is None, and empty in the file, where there is no such number: the scores of a diverged cell, the spread of
    one member, the AUC of a split with one class.
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
    accuracy: float | None
    accuracy_std: float | None
    loss: float | None
    loss_std: float | None
    auc: float | None
    parameters: int
    seconds: float | None
    device: str
    commit: str
    version: str
    date: str


@dataclass(frozen=True)
class OverlapRow:
    """How many test rows occur among the train rows of one draw of one task."""

    task: str
    split: str
    seed: int
    n_samples: int
    overlap_count: int
    test_total: int
    overlap_rate: float


BENCHMARK = CsvTable(BenchmarkRow, key=("id", "split"))
OVERLAP = CsvTable(OverlapRow, key=("task", "split", "seed", "n_samples"))


def rows(result: ModelResult) -> list[BenchmarkRow]:
    """Return one row per split; a diverged cell has the rows too, without scores."""
    splits = SPLITS if result.status == "diverged" else tuple(result.scores)
    return [_row(result, split, result.scores.get(split)) for split in splits]


def read_rows(path: Path) -> list[BenchmarkRow]:
    """Return the rows of the file; see `CsvTable.read` for what it refuses."""
    return BENCHMARK.read(path)


def upsert(path: Path, rows: Sequence[BenchmarkRow]) -> None:
    """Put rows into the file, each in the place of the row with the same id and split where there is one."""
    BENCHMARK.upsert(path, rows)


def overlap_row(overlap: Overlap) -> OverlapRow:
    """Return the row that stands for this record in overlap.csv."""
    counts = (overlap.overlap_count, overlap.test_total, overlap.overlap_rate)
    return OverlapRow(overlap.task, overlap.split, overlap.seed, overlap.n_samples, *counts)


def read_overlaps(path: Path) -> list[OverlapRow]:
    """Return the rows of the file; see `CsvTable.read` for what it refuses."""
    return OVERLAP.read(path)


def upsert_overlaps(path: Path, rows: Sequence[OverlapRow]) -> None:
    """Put rows into the file, each in the place of the one with the same task, split, seed and size."""
    OVERLAP.upsert(path, rows)


def _row(result: ModelResult, split: str, scores: SplitScores | None) -> BenchmarkRow:
    config, provenance = result.config, result.provenance
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
        accuracy=None if scores is None else _mean(scores.accuracy),
        accuracy_std=None if scores is None else _std(scores.accuracy),
        loss=None if scores is None else _mean(scores.loss),
        loss_std=None if scores is None else _std(scores.loss),
        auc=None if scores is None else _mean(scores.auc),
        parameters=result.parameters,
        seconds=float(provenance.seconds["total"]),
        device=config.device,
        commit=provenance.commit,
        version=provenance.version,
        date=provenance.date,
    )


def _mean(values: Float[np.ndarray, " member"]) -> float | None:
    return _finite(float(np.mean(values, dtype=np.float64)))


def _std(values: Float[np.ndarray, " member"]) -> float | None:
    return _finite(float(np.std(values, ddof=1, dtype=np.float64))) if len(values) > 1 else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
