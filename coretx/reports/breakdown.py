"""What a model page shows of a cell's parts: accuracy on test by groups of rows."""

from collections.abc import Sequence
from typing import Any

from coretx.reports.breakdown_csv import GroupRow
from coretx.reports.formatting import count, interval, percent


def group_tables(rows: Sequence[GroupRow]) -> list[dict[str, Any]]:
    """Return one table per grouping, with a line per group."""
    tables: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        tables.setdefault(row.grouping, []).append(
            {
                "name": row.group,
                "rows": count(row.rows),
                "keys": count(row.keys),
                "accuracy": percent(row.accuracy),
                "std": "" if row.accuracy_std is None else percent(row.accuracy_std),
                "interval": interval(row.low, row.high),
            }
        )
    return [{"grouping": grouping, "lines": lines} for grouping, lines in tables.items()]
