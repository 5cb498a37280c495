"""Cells that an older label rule scored: their scores leave the pages, which state the rule of today."""

from pathlib import Path

import numpy as np

from coretx.evaluation.scores import Predictions
from coretx.records.store import load_predictions
from coretx.reports.publish import has_page, page_path
from coretx.reports.tables.benchmark import BENCHMARK, read_rows
from coretx.reports.tables.breakdown import GROUP, LENGTH
from coretx.reports.tables.comparisons import COMPARISONS
from coretx.reports.tables.training import COST, CURVE
from coretx.tasks.base import Task

TABLES = {
    "benchmarking.csv": BENCHMARK,
    "comparisons.csv": COMPARISONS,
    "costs.csv": COST,
    "curves.csv": CURVE,
    "groups.csv": GROUP,
    "lengths.csv": LENGTH,
}
"""The tables that have rows of cells."""


def is_outdated(test: Predictions | None, task: Task) -> bool:
    """Return whether the task gives these test rows other labels today, or none; False without rows."""
    if test is None:
        return False
    if test.x.shape[1:] != (task.sequence_length, task.feature_dim):
        return True
    try:
        return not np.array_equal(task.label(test.x), test.y)
    except Exception:  # a plugin's rule of today need not bear the rows of yesterday
        return True


def withdraw_outdated(out: Path, task: Task) -> list[str]:
    """Take the rows and pages of a task's outdated cells away, and return a line for each; the cells stay."""
    paths = sorted((out / "artifacts" / task.name / "cells").glob("*.json"))
    outdated = [path for path in paths if is_outdated((load_predictions(path) or {}).get("test"), task)]
    if not outdated:
        return []
    ids = {path.stem.split(".")[-1] for path in outdated}
    for row in read_rows(out / "benchmarks" / "benchmarking.csv"):
        if row.id in ids and has_page(row, out):
            page_path(out, row.task, row.model, row.backend, row.recipe).unlink()
    for name, table in TABLES.items():
        table.remove(out / "benchmarks" / name, ids)
    why = f"{task.name} gives its test rows other labels today, or has inputs of another shape: train it again"
    return [f"left out of tables and pages: {path}: {why}" for path in outdated]
