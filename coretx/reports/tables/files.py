"""The tables of an output folder: which file holds which table, and all of them open at once."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from coretx.records.csv_tables import CsvTable, OpenTable, Row
from coretx.reports.tables.benchmark import SCORES
from coretx.reports.tables.comparisons import COMPARISONS
from coretx.reports.tables.draws import OVERLAPS, SPLIT_COUNTS
from coretx.reports.tables.groups import GROUPS, LENGTHS
from coretx.reports.tables.training import COSTS, CURVES

FILES: dict[CsvTable[Any], str] = {
    SCORES: "benchmarking.csv",
    OVERLAPS: "overlap.csv",
    SPLIT_COUNTS: "splits.csv",
    GROUPS: "groups.csv",
    LENGTHS: "lengths.csv",
    CURVES: "curves.csv",
    COSTS: "costs.csv",
    COMPARISONS: "comparisons.csv",
}
"""Every table, and its file in the folder `benchmarks`."""


def table_path(out: Path, table: CsvTable[Any]) -> Path:
    """Return the path of a table."""
    return out / "benchmarks" / FILES[table]


class Tables:
    """The open tables of an output folder (see `OpenTable`): a run opens them once and makes every report from them.

    Raises UsageError for a table that the run could not add its rows to (see `CsvTable.read`).
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._open = {table: OpenTable(table, table_path(out, table)) for table in FILES}

    def __getitem__(self, table: CsvTable[Row]) -> OpenTable[Row]:
        return self._open[table]

    def flush(self) -> None:
        """Write the rows that the files lack, and read the rows that other runs have written."""
        for table in self._open.values():
            table.flush()

    def remove(self, ids: Collection[str]) -> None:
        """Remove the rows of these cells from every table."""
        for table in self._open.values():
            table.remove(ids)
