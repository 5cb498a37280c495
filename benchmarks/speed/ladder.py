"""`--ladder`: the whole command line from nothing, against the time that eager torch would take."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed.processes import ROOT, Process, environment
from benchmarks.speed.rounds import Say
from benchmarks.speed.work import CHUNK_EPOCHS, Work
from benchmarks.speed.worker import request
from coretx.tasks.registry import TASKS

LADDER_EPOCHS = 1000
CHUNKS = 3
"""Chunks of eager torch that are timed for each model and kind of task; their median counts."""


@dataclass(frozen=True)
class Ladder:
    """The cells, and the numbers of members of each."""

    models: tuple[str, ...]
    tasks: tuple[str, ...] = tuple(TASKS)
    members: tuple[int, ...] = (1, 5)
    epochs: int = LADDER_EPOCHS
    n_samples: int = 1000
    device: str = "cpu"

    def runs(self) -> list[tuple[int, str]]:
        """Return (members, cache) of each run; on a CPU the first runs again with the cache that it has filled.

        >>> Ladder(("mlp",), members=(1, 5)).runs()
        [(1, 'empty'), (5, 'empty'), (1, 'filled')]
        """
        empty = [(members, "empty") for members in self.members]
        return [*empty, (self.members[0], "filled")] if self.device == "cpu" else empty


def measure_ladder(ladder: Ladder, say: Say) -> dict[str, Any]:
    """Return the times of the command line in each run, and on a CPU those of eager torch before and after the runs."""
    on_cpu = ladder.device == "cpu"
    with tempfile.TemporaryDirectory() as folder:
        eager = [eager_seconds(ladder, Path(folder), say)] if on_cpu else []
        runs = []
        for members, cache in ladder.runs():
            found = command_line(ladder, members, Path(folder) / f"cache-{members}")
            runs.append({"members": members, "cache": cache} | found)
            say(f"{found['cells']} cells, {members} members, cache {cache}: {found['wall']:.0f} s")
        eager += [eager_seconds(ladder, Path(folder), say)] if on_cpu else []
    return {"runs": runs, "eager": eager}


def command_line(ladder: Ladder, members: int, caches: Path) -> dict[str, Any]:
    """Run main.py as a user would, into a folder of its own, and return its seconds.

    `cpu` is the processor time of all its threads and processes; `compile` and `train` are sums over cells.
    """
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "main.py", "--backend", "jax", "--device", ladder.device, "--out", out]
        command += ["--tasks", *ladder.tasks, "--models", *ladder.models, "--n-samples", str(ladder.n_samples)]
        command += ["--members", str(members), "--epochs", str(ladder.epochs)]
        variables = environment(caches) | {"WANDB_MODE": "offline"}
        begun, cpu = time.perf_counter(), children_seconds()
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
        wall, cpu = time.perf_counter() - begun, children_seconds() - cpu
        if done.returncode not in (0, 1):  # 1: a cell diverged
            raise RuntimeError(f"the command line ended with code {done.returncode}: {done.stderr[-600:]}")
        cells = [json.loads(path.read_text()) for path in sorted(Path(out).glob("artifacts/*/cells/*.json"))]
    seconds = [cell["provenance"]["seconds"] for cell in cells]
    sums = {name: sum(one[name] for one in seconds) for name in ("compile", "train")}
    diverged = sum(cell["status"] != "done" for cell in cells)
    return {"cells": len(cells), "diverged": diverged, "wall": wall, "cpu": cpu, **sums}


def children_seconds() -> float:
    """Return the CPU time of all ended child processes."""
    times = os.times()
    return times.children_user + times.children_system


def eager_seconds(ladder: Ladder, folder: Path, say: Say) -> float:
    """Return the seconds of training that eager torch takes for one member of every cell, scaled from chunks.

    It trains cell after cell in one thread, without start, pages and tables, on the splits of main.py. Tasks of equal
    shape and equal numbers of rows are measured once.
    """
    total, epochs = 0.0, min(CHUNK_EPOCHS, ladder.epochs)
    for tasks in alike(ladder.tasks, ladder.n_samples):
        for model in ladder.models:
            work = Work(model, 1, epochs, ladder.n_samples, tasks[0], protocol="disjoint")
            process = Process(request("eager", work, "cpu"), folder / "eager")
            seconds = [process.ask("settle")["seconds"] for _ in range(CHUNKS)]
            process.close()
            total += len(tasks) * statistics.median(seconds) * ladder.epochs / epochs
    say(f"eager torch: {total:.0f} s for one member, scaled from chunks")
    return total


def alike(tasks: Sequence[str], n_samples: int) -> list[list[str]]:
    """Return the tasks in groups of equal input shape and equal numbers of rows in each split."""
    groups: dict[Any, list[str]] = {}
    for task in tasks:
        work = Work("logreg", n_samples=n_samples, task=task, protocol="disjoint")
        groups.setdefault((work.shape, *(len(split) for split in work.data().values())), []).append(task)
    return list(groups.values())
