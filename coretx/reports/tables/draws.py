"""Draws of data: test rows that occur in train (`overlap.csv`) and the contents of each split (`splits.csv`)."""

from collections.abc import Mapping
from dataclasses import dataclass

from coretx.records.csv_tables import CsvTable
from coretx.tasks.splits import Overlap, SplitCounts


@dataclass(frozen=True)
class OverlapRow:
    """The test rows of one draw of one task that occur in train: as they are, and as a problem (see `Overlap`)."""

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
    """The contents of one part (train, val, test) of one draw of one task; see `SplitCounts`."""

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


DRAW = ("task", "split", "negatives", "seed", "n_samples")
OVERLAPS = CsvTable(OverlapRow, key=DRAW)
SPLIT_COUNTS = CsvTable(SplitRow, key=(*DRAW, "part"))


def split_rows(overlap: Overlap, counts: Mapping[str, SplitCounts]) -> list[SplitRow]:
    """Return a row for each part of the draw that the record is about."""
    rows = []
    for part, found in counts.items():
        pairs = ("rows", "distinct_rows", "distinct_keys")
        by_label = {f"{name}_{label}": getattr(found, name)[label] for name in pairs for label in (0, 1)}
        rows.append(SPLIT_COUNTS.row(overlap, found, part=part, small_space=int(found.small_space), **by_label))
    return rows
