"""The dashboard's table of what each split holds and how many test rows stand in train."""

from collections.abc import Mapping, Sequence
from typing import Any

from coretx.reports.pages.formatting import DASH, count, percent
from coretx.reports.tables.configurations import Configuration
from coretx.reports.tables.draws import OverlapRow, SplitRow
from coretx.tasks.splits import SPLIT_NAMES, SPLITS


def overlap_table(
    configuration: Configuration,
    overlaps: Sequence[OverlapRow],
    splits: Sequence[SplitRow],
    tasks: Sequence[str],
    titles: Mapping[str, str],
) -> dict[str, Any]:
    """Return the overlap table: what each part of the draws of this seed and size holds, the protocols side by side.

    Of a protocol that was drawn with several rules for negatives, the one that this configuration has is shown, or else
    the last by its name.
    """
    draw = (configuration.seed, configuration.n_samples)
    shown = {
        (row.task, row.split): row
        for row in sorted(overlaps, key=lambda row: (row.negatives == configuration.negatives, row.negatives))
        if (row.seed, row.n_samples) == draw and row.task in tasks
    }
    counts = {(row.task, row.split, row.negatives, row.seed, row.n_samples, row.part): row for row in splits}
    protocols = sorted({protocol for _, protocol in shown})
    lines = []
    for task in tasks:
        drawn = [shown.get((task, protocol)) for protocol in protocols]
        parts = {part for row in drawn if row for part in SPLITS if (*_draw(row), part) in counts} | {"test"}
        if any(drawn):
            for part in sorted(parts, key=SPLITS.index):
                cells = [_overlap_cells(row, counts.get((*_draw(row), part)), part) if row else None for row in drawn]
                lines.append(
                    {"name": task, "task": titles.get(task) or task, "part": SPLIT_NAMES[part], "cells": cells}
                )
    return {"overlap_protocols": protocols, "overlaps": lines}


def _draw(row: OverlapRow) -> tuple[str, str, str, int, int]:
    return row.task, row.split, row.negatives, row.seed, row.n_samples


def _overlap_cells(row: OverlapRow, counts: SplitRow | None, part: str) -> list[str] | None:
    """Return rows and distinct rows (label 0 + label 1), problems, test rows that train has; None for no such part."""
    if counts is None and part != "test":
        return None
    held = [count(row.test_total) if part == "test" else DASH, DASH, DASH]
    if counts is not None:
        held = [
            f"{count(counts.rows_0)} + {count(counts.rows_1)}",
            f"{count(counts.distinct_rows_0)} + {count(counts.distinct_rows_1)}",
            count(counts.keys),
        ]
    if part != "test":
        return [*held, ""]
    return [*held, f"{count(row.overlap_count)} ({percent(row.overlap_rate)})"]
