"""A run's data, and what is found in them before anything trains."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from coretx.config import RunConfig
from coretx.evaluation.groups import Group, find_groups
from coretx.evaluation.lengths import draw_lengths
from coretx.running.plan import TaskRun
from coretx.tasks.base import Task
from coretx.tasks.sampling import Dataset
from coretx.tasks.splits import (
    SCORED_ROWS,
    Overlap,
    Protocol,
    SplitCounts,
    assert_disjoint,
    count_splits,
    draw_splits,
    measure_overlap,
    scored_splits,
)
from coretx.training.backend import cores


class Drawn(NamedTuple):
    """What a run trains on and is tested on: `data` in every epoch, `scored` at the end (see `scored_splits`)."""

    data: Mapping[str, Dataset]
    scored: Mapping[str, Dataset]
    lengths: Mapping[int, Dataset]
    counts: Mapping[str, SplitCounts]
    overlap: Overlap
    groups: Sequence[Group]


def draw(task_run: TaskRun, config: RunConfig) -> Drawn:
    """Draw a run's data and look at it. UsageError where its task breaks its contract."""
    task, n, seed, protocol = task_run.task, task_run.n_samples, task_run.seed, config.split
    data = draw_splits(task, n, seed, protocol)
    scored = scored_splits(task, data, seed, protocol)
    counts, overlap = count(task, scored, n, seed, protocol)
    other_lengths = [length for length in config.eval_lengths if length != task.sequence_length]
    rows = SCORED_ROWS if protocol == "disjoint" else n
    at_other_lengths = draw_lengths(task, other_lengths, rows, seed, protocol)
    lengths = {length: at_other_lengths.get(length, scored["test"]) for length in config.eval_lengths}
    return Drawn(data, scored, lengths, counts, overlap, groups=find_groups(task, scored["test"]))


def count(
    task: Task, data: Mapping[str, Dataset], n: int, seed: int, protocol: Protocol
) -> tuple[dict[str, SplitCounts], Overlap]:
    """Return what the splits of a task hold and share. UsageError where disjoint ones share a problem."""
    if protocol == "disjoint":
        assert_disjoint(task, data)
    return count_splits(task, data, n, seed, protocol), measure_overlap(task, data, n, seed, protocol)


def draw_all(runs: Sequence[TaskRun], config: RunConfig) -> list[Drawn]:
    """Draw every run's data, several at a time: some tasks take a second, much of which lets other threads go on.

    Raises UsageError as `draw` does, and where an engine refuses a model: see `check_models`.
    """
    with ThreadPoolExecutor(cores()) as threads:
        drawn = list(threads.map(lambda task_run: draw(task_run, config), runs))
    check_models(runs, drawn)
    return drawn


def check_models(runs: Sequence[TaskRun], drawn: Sequence[Drawn]) -> None:
    """Let the engines look at every model on a few rows of each shape; UsageError says why one is refused."""
    seen = set()
    for task_run, own in zip(runs, drawn, strict=True):
        x = own.data["train"].x[:8]
        for cell in task_run.cells.values():
            key = cell.backend.name, cell.config.model, x.shape
            if key not in seen:
                seen.add(key)
                cell.backend.check(cell.spec, x)
