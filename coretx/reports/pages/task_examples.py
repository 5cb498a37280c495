"""Examples of a task's inputs by label and kind, drawn anew from a stream of their own: they are nobody's test rows."""

from dataclasses import dataclass

import numpy as np

from coretx.reports.pages.formatting import percent
from coretx.seeds import stream
from coretx.tasks.base import Task
from coretx.tasks.sampling import distinct, draw_candidates

DRAWN = 4000
SHOWN = 4
"""Examples of each kind."""


@dataclass(frozen=True)
class Kind:
    """Inputs of one label and one kind: its name (empty where the task names none), its share of the label's rows."""

    label: int
    name: str
    share: str
    examples: tuple[str, ...]


def task_examples(task: Task) -> list[Kind]:
    """Return the kinds among DRAWN candidates, label 1 first, in the order in which the task names them."""
    drawn = draw_candidates(DRAWN, stream(0, task.name, purpose="examples"), task=task)
    found = []
    for label in (1, 0):
        x = drawn.x[drawn.y == label]
        left = np.ones(len(x), bool)
        for name, matches in task.kinds(x).items():
            kind = np.asarray(matches, bool) & left
            left &= ~kind
            if kind.any():
                found.append(_kind(task, label, name, x, kind))
        if left.any():
            found.append(_kind(task, label, "", x, left))
    return found


def _kind(task: Task, label: int, name: str, x: np.ndarray, rows: np.ndarray) -> Kind:
    examples = tuple(task.render(row) for row in distinct(x[rows])[:SHOWN])
    return Kind(label, name, percent(float(rows.mean())), examples)
