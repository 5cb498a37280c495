"""The data of a run: its rows, counted and grouped before anything trains."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from coretx.config import RunConfig
from coretx.evaluation.ceilings import Ceiling, ceilings
from coretx.evaluation.groups import RowGroup, find_groups
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


@dataclass(frozen=True)
class RunData:
    """The rows of one run: `splits` for every epoch, `scored` for the final scores (see `scored_splits`).

    `lengths` has test rows of other lengths, `groups` the groups of the scored test rows, `ceilings` the best accuracy
    by view of the input.
    """

    splits: Mapping[str, Dataset]
    scored: Mapping[str, Dataset]
    lengths: Mapping[int, Dataset]
    counts: Mapping[str, SplitCounts]
    overlap: Overlap
    groups: Sequence[RowGroup]
    ceilings: Mapping[str, Ceiling] = field(default_factory=dict)


def draw_all(runs: Sequence[TaskRun], config: RunConfig) -> list[RunData]:
    """Draw every run's data, several at a time: a task may take a second, mostly outside the interpreter's lock.

    Raises UsageError where a task breaks its contract, and where an engine refuses a model.
    """
    side = "test" if config.split == "disjoint" else None
    with ThreadPoolExecutor(cores()) as threads:
        drawn = list(threads.map(partial(draw, config=config), runs))
    check_models(runs, drawn)
    tasks = {run.task.name: run.task for run in runs}
    known = {name: ceilings(task, side) for name, task in tasks.items()}
    return [replace(data, ceilings=known[run.task.name]) for run, data in zip(runs, drawn, strict=True)]


def draw(run: TaskRun, config: RunConfig) -> RunData:
    """Draw a run's data, without ceilings. UsageError where its task breaks its contract."""
    task, n, seed, protocol = run.task, run.n_samples, run.seed, config.split
    splits = draw_splits(task, n, seed, protocol)
    scored = scored_splits(task, splits, seed, protocol)
    counts, overlap = count(task, scored, n, seed, protocol)
    other_lengths = [length for length in config.eval_lengths if length != task.sequence_length]
    rows = SCORED_ROWS if protocol == "disjoint" else n
    drawn = draw_lengths(task, other_lengths, rows, seed, protocol)
    lengths = {length: drawn.get(length, scored["test"]) for length in config.eval_lengths}
    groups = find_groups(task, scored["test"])
    return RunData(splits, scored, lengths, counts, overlap, groups)


def count(
    task: Task, data: Mapping[str, Dataset], n: int, seed: int, protocol: Protocol
) -> tuple[dict[str, SplitCounts], Overlap]:
    """Return the counts of each split, and the overlap of test with train. UsageError where disjoint splits share."""
    if protocol == "disjoint":
        assert_disjoint(task, data)
    return count_splits(task, data, n, seed, protocol), measure_overlap(task, data, n, seed, protocol)


def check_models(runs: Sequence[TaskRun], drawn: Sequence[RunData]) -> None:
    """Let the engines check every model on a few rows of each shape; UsageError says why one is refused."""
    checked = set()
    for run, data in zip(runs, drawn, strict=True):
        x = data.splits["train"].x[:8]
        for cell in run.cells.values():
            key = cell.backend.name, cell.config.model, x.shape
            if key not in checked:
                checked.add(key)
                cell.backend.check(cell.spec, x)
