"""A run's data, and what is found in them before anything trains."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from coretx.config import RunConfig
from coretx.data import Dataset
from coretx.groups import Group, find_groups
from coretx.lengths import draw_lengths
from coretx.machine import cores
from coretx.plan import TaskRun
from coretx.results import Overlap, SplitCounts
from coretx.splits import Protocol, assert_disjoint, count_splits, draw_splits, measure_overlap
from coretx.tasks.base import Task


class Drawn(NamedTuple):
    """What a run trains on and is tested on."""

    data: Mapping[str, Dataset]
    lengths: Mapping[int, Dataset]
    counts: Mapping[str, SplitCounts]
    overlap: Overlap
    groups: Sequence[Group]


def draw(task_run: TaskRun, config: RunConfig) -> Drawn:
    """Draw a run's data and look at it. UsageError where its task breaks its contract."""
    task, n, seed, protocol = task_run.task, task_run.n_samples, task_run.seed, config.split
    data, counts, overlap = draw_and_count(task, n, seed, protocol)
    lengths = draw_lengths(task, config.eval_lengths, n, seed, protocol)
    return Drawn(data, lengths, counts, overlap, groups=find_groups(task, data["test"]))


def draw_and_count(
    task: Task, n: int, seed: int, protocol: Protocol
) -> tuple[dict[str, Dataset], dict[str, SplitCounts], Overlap]:
    """Draw the splits of a task, and what they hold and share."""
    data = draw_splits(task, n, seed, protocol)
    if protocol == "disjoint":
        assert_disjoint(task, data)
    return data, count_splits(task, data, n, seed, protocol), measure_overlap(task, data, n, seed, protocol)


def draw_all(runs: Sequence[TaskRun], config: RunConfig) -> list[Drawn]:
    """Draw every run's data, several at a time: some tasks take a second, much of which lets other threads go on."""
    with ThreadPoolExecutor(cores()) as threads:
        return list(threads.map(lambda task_run: draw(task_run, config), runs))
