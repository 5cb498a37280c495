"""What a model page shows of a cell's parts: accuracy on test by groups of rows, and at other lengths."""

from collections.abc import Sequence
from typing import Any

from coretx.reports.pages.formatting import between, count, decimal, percent
from coretx.reports.tables.groups import GroupRow, LengthRow


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
                "interval": between((row.low, row.high), percent),
            }
        )
    return [{"grouping": grouping, "lines": lines} for grouping, lines in tables.items()]


def length_lines(rows: Sequence[LengthRow]) -> list[dict[str, str]]:
    """Return a line per evaluated length; one without scores for a model that is not applicable to it."""
    return [
        {
            "length": count(row.length),
            "rows": count(row.rows),
            "keys": count(row.keys),
            "accuracy": "" if row.accuracy is None else percent(row.accuracy),
            "std": "" if row.accuracy_std is None else percent(row.accuracy_std),
            "loss": "" if row.loss is None else decimal(row.loss),
            "interval": "" if row.low is None or row.high is None else between((row.low, row.high), percent),
        }
        for row in rows
    ]
