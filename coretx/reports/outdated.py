"""Cells with the labels of an older rule: their rows and pages are withdrawn, since pages state the rule of today."""

import numpy as np

from coretx.evaluation.scores import Predictions
from coretx.records.store import load_predictions
from coretx.reports.publish import has_page, page_path, stored_cells
from coretx.reports.tables.benchmark import SCORES
from coretx.reports.tables.files import Tables
from coretx.tasks.base import Task


def withdraw_outdated(tables: Tables, task: Task) -> dict[str, str]:
    """Remove the rows and pages of a task's outdated cells; return a line to say for each, by id. The cells stay."""
    stored = stored_cells(tables.out, task)
    outdated = {id for id, path in stored.items() if is_outdated((load_predictions(path) or {}).get("test"), task)}
    if not outdated:
        return {}
    for row in tables[SCORES].rows:
        if row.id in outdated and has_page(row, tables.out):
            page_path(tables.out, row.task, row.model, row.backend, row.recipe).unlink()
    tables.remove(outdated)
    why = f"{task.name} gives its test rows other labels today, or has inputs of another shape: train it again"
    return {id: f"left out of tables and pages: {stored[id]}: {why}" for id in stored if id in outdated}


def is_outdated(test: Predictions | None, task: Task) -> bool:
    """Return whether the task gives these test rows other labels today, or none; False without rows."""
    if test is None:
        return False
    if test.x.shape[1:] != (task.sequence_length, task.feature_dim):
        return True
    try:
        return not np.array_equal(task.label(test.x), test.y)
    except Exception:  # a plugin's rule of today may fail on yesterday's rows
        return True
