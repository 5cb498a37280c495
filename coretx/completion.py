"""A population's results with all that its run knows: what every process of a run makes of its cells."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from coretx.ceilings import alarm, ceilings
from coretx.cells import reproducing_command, train_cells
from coretx.config import RunConfig
from coretx.draws import Drawn
from coretx.errors import UsageError
from coretx.groups import score_groups
from coretx.live import name
from coretx.plan import Cell, TaskRun
from coretx.results import Ceiling, ModelResult
from coretx.splits import rows_wanted
from coretx.training import OnEpoch

Ceilings = Mapping[str, Mapping[str, Ceiling]]
"""By task, and by view: they belong to a task, and not to a draw of data."""

NO_MEMORY = re.compile("RESOURCE_EXHAUSTED|out of memory|can't allocate memory", re.IGNORECASE)


def find_ceilings(runs: Sequence[TaskRun], config: RunConfig) -> Ceilings:
    """Return what each view allows on the rows that these runs are tested on."""
    tasks = {task_run.task.name: task_run.task for task_run in runs}
    side = "test" if config.split == "disjoint" else None
    return {of: ceilings(task, side) for of, task in tasks.items()}


def train_and_complete(
    cells: Sequence[Cell], run: TaskRun, drawn: Drawn, known: Ceilings, config: RunConfig, on_epoch: Sequence[OnEpoch]
) -> list[ModelResult]:
    """Train cells of one population of a run, and return their results with the command, the counts, the alarm.

    Raises UsageError where they do not fit into memory.
    """
    try:
        results = train_cells(cells, drawn.data, on_epoch, drawn.lengths, drawn.scored)
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            members, said = cells[0].config.members * len(cells), str(error).partition("\n")[0]
            raise UsageError(
                f"{name(cells[0].config)}: {members} members do not fit into memory; take fewer --members, points of "
                f"a grid or --n-samples ({said or type(error).__name__})"
            ) from error
        raise
    return [
        complete(result, cell, run.n_samples, drawn, known[run.task.name], config)
        for cell, result in zip(cells, results, strict=True)
    ]


def is_out_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Return whether an engine, or NumPy, found no memory: each says so in its own words.

    >>> is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."))
    True
    """
    return isinstance(error, MemoryError) or NO_MEMORY.search(str(error)) is not None


def complete(
    result: ModelResult, cell: Cell, n_samples: int, drawn: Drawn, found: Mapping[str, Ceiling], config: RunConfig
) -> ModelResult:
    """Return the result with what its run knows: the command, the rows of the splits, the ceilings."""
    made = replace(result.provenance, command=reproducing_command(cell, config))
    view, test = cell.spec.view, drawn.scored["test"]
    exhausted = len(drawn.data["test"]) < rows_wanted("test", n_samples, config.split)
    above = alarm(view, result.scores["test"].accuracy, found, test, exhausted) if result.scores else None
    known = {"counts": drawn.counts, "view": view, "ceilings": found, "alarm": above}
    if result.predictions:
        known["groups"] = score_groups(drawn.groups, result.predictions["test"].logits, test.y)
    return replace(result, provenance=made, **known)
