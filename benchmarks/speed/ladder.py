"""`--ladder`: the whole command line from nothing, against what eager torch would take."""

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

from benchmarks.speed.contestants import Setting
from benchmarks.speed.derived import LADDER_EPOCHS
from benchmarks.speed.markdown import NONE, percent, seconds, table
from benchmarks.speed.processes import ROOT, Process, environment, request
from benchmarks.speed.report import Run, heading
from benchmarks.speed.rounds import Say
from benchmarks.speed.work import CHUNK_EPOCHS, Work
from coretx.tasks.registry import TASKS


@dataclass(frozen=True)
class Ladder:
    """Which cells, and with how many members each: from nothing, and on a CPU once more from the cache."""

    models: tuple[str, ...]
    tasks: tuple[str, ...] = tuple(TASKS)
    members: tuple[int, ...] = (1, 5)
    epochs: int = LADDER_EPOCHS
    n_samples: int = 1000
    device: str = "cpu"


def measure_ladder(ladder: Ladder, say: Say) -> dict[str, Any]:
    """Return the command line's times in each of the planned runs, and on a CPU eager's, before them and after."""
    on_cpu = ladder.device == "cpu"
    with tempfile.TemporaryDirectory() as folder:
        eager = [eager_seconds(ladder, Path(folder), say)] if on_cpu else []
        runs = []
        for members, cold in planned(ladder):
            caches = Path(folder) / f"cache-{members}"
            # In full length: beside few epochs, reports and logs would take the cores from what loads the programs.
            found = command_line(ladder, members, ladder.epochs, caches)
            runs.append({"members": members, "cold": cold} | found)
            say(told(runs[-1]))
        alone = compiled_alone(ladder, Path(folder) / "alone", say) if on_cpu else None
        eager += [eager_seconds(ladder, Path(folder), say)] if on_cpu else []
    return engine(ladder.device) | {"epochs": ladder.epochs, "runs": runs, "alone": alone, "eager": eager}


def planned(ladder: Ladder) -> list[tuple[int, bool]]:
    """Return (members, whether from nothing) of each run: time on a GPU is dear, too dear for the cached one.

    >>> planned(Ladder(("mlp",), members=(1, 5)))
    [(1, True), (5, True), (1, False)]
    """
    cold = [(members, True) for members in ladder.members]
    return [*cold, (ladder.members[0], False)] if ladder.device == "cpu" else cold


COMMAND_LINE = """
import json, os, sys, time
from coretx.cli import main

code = main(sys.argv[1:])
ended = os.times()
print(json.dumps({"parent": time.thread_time(), "apart": ended.children_user + ended.children_system}))
raise SystemExit(code)
"""
"""What main.py is, and then the processor seconds of its parent's thread and of the processes that it has started."""


def command_line(ladder: Ladder, members: int, epochs: int, caches: Path) -> dict[str, Any]:
    """Run the command line as a user would, into a folder of its own, and return its times.

    `cpu` are the processor seconds of all of it; of them `parent` those of the thread that starts the program, draws
    the data, and owns logs, display, tables and pages, and `apart` those of the processes beside it, as W&B's.
    """
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", COMMAND_LINE, "--backend", "jax", "--device", ladder.device, "--out", out]
        command += ["--tasks", *ladder.tasks, "--models", *ladder.models, "--n-samples", str(ladder.n_samples)]
        command += ["--members", str(members), "--epochs", str(epochs)]
        variables = environment(caches) | {"WANDB_MODE": "offline"}
        begun, cpu = time.perf_counter(), children_seconds()
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
        wall, cpu = time.perf_counter() - begun, children_seconds() - cpu
        if done.returncode not in (0, 1):  # 1: a cell diverged, which takes its time all the same
            raise RuntimeError(f"the command line ended with code {done.returncode}: {done.stderr[-600:]}")
        cells = [json.loads(path.read_text()) for path in sorted(Path(out).glob("artifacts/*/cells/*.json"))]
    seconds = [cell["provenance"]["seconds"] for cell in cells]
    return {
        "epochs": epochs,
        "cells": len(cells),
        "diverged": sum(cell["status"] != "done" for cell in cells),
        "wall": wall,
        "cpu": cpu,
        **json.loads(done.stdout.splitlines()[-1]),
        **{name: sum(one[name] for one in seconds) for name in ("compile", "train", "total")},
    }


def children_seconds() -> float:
    """Return the CPU time of all ended child processes."""
    times = os.times()
    return times.children_user + times.children_system


def engine(device: str) -> dict[str, Any]:
    """Return the device's name and how many cells of a member the engine trains at once, asked in a process apart."""
    asked = "{'device_name': engine.device_name, 'side_by_side': engine.side_by_side(1)}"
    code = f"import json; from coretx.training.backend import load_backend; engine = load_backend('jax', {device!r})"
    return json.loads(printed(f"{code}; print(json.dumps({asked}))"))


def printed(code: str, *arguments: str, variables: dict[str, str] | None = None) -> str:
    """Return the last line that this code prints, in a process of its own."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def beside(run: dict[str, Any]) -> float | None:
    """Return the share of the processor time that no worker took: start, data, logs, tables, pages.

    None for a run of before this was measured.

    >>> beside({"cpu": 200.0, "parent": 30.0, "apart": 10.0})
    0.2
    """
    return (run["parent"] + run["apart"]) / run["cpu"] if "parent" in run else None


def told(run: dict[str, Any]) -> str:
    """Return a run as one line."""
    how = "from nothing" if run["cold"] else "from the cache"
    return (
        f"{run['cells']} cells of {run['epochs']} epochs, {run['members']} members, {how}: {run['wall']:.0f} s "
        f"(compiling {run['compile']:.0f} s, training {run['train']:.0f} s, summed over cells)"
    )


ALONE = """
import json, sys
from coretx.cli import rare_collections
from coretx.config import RunConfig
from coretx.experiment import Outcome, follow
from coretx.plan import make_plan

given = {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(sys.argv[1]).items()}
with rare_collections():
    outcome = follow(make_plan(RunConfig(backend="jax", epochs=2, **given)), Outcome())
print(sum(result.provenance.seconds["compile"] for result in outcome.results))
"""


def compiled_alone(ladder: Ladder, caches: Path, say: Say) -> dict[str, float]:
    """Return the seconds that all programs of one member take where nothing runs beside them, cell after cell.

    Under `empty` from nothing, under `filled` from the cache. In the command line other cells train meanwhile.
    """
    given = {"tasks": ladder.tasks, "models": ladder.models, "n_samples": [ladder.n_samples], "device": ladder.device}
    found = {}
    for cache in ("empty", "filled"):
        found[cache] = float(printed(ALONE, json.dumps(given), variables=environment(caches)))
        say(f"programs alone, cache {cache}: {found[cache]:.1f} s")
    return found


def eager_seconds(ladder: Ladder, folder: Path, say: Say) -> float:
    """Return the seconds that eager torch would train for one member of every cell, from a chunk of each.

    One thread, cell after cell; neither its start nor reports are in it. Rows are those of main.py's splits, and what
    is measured after each epoch is measured here too. Tasks of equal shape and as many rows are measured once.
    """
    total = 0.0
    for tasks in alike(ladder.tasks, ladder.n_samples):
        for model in ladder.models:
            epochs = min(CHUNK_EPOCHS, ladder.epochs)
            work = Work(model, 1, epochs, ladder.n_samples, tasks[0], protocol="disjoint")
            process = Process(request("eager", work, Setting(), "cpu"), folder / "eager")
            seconds = [process.ask("settle")["seconds"] for _ in range(3)]
            process.close()
            total += len(tasks) * statistics.median(seconds) * ladder.epochs / work.epochs
    say(f"eager torch: {total:.0f} s for one member, scaled from chunks")
    return total


def alike(tasks: Sequence[str], n_samples: int) -> list[list[str]]:
    """Return the tasks, those together that have inputs of equal shape and as many rows in each split."""
    groups: dict[Any, list[str]] = {}
    for task in tasks:
        work = Work("logreg", n_samples=n_samples, task=task, protocol="disjoint")
        groups.setdefault((work.shape, *(len(split) for split in work.data().values())), []).append(task)
    return list(groups.values())


def ladder_report(run: Run) -> str:
    """Return the command line's times against eager's, as Markdown."""
    rows = []
    for one in run["runs"]:
        eager = statistics.mean(run["eager"]) * one["members"] if run["eager"] and one["cold"] else None
        rows.append(
            [
                str(one["members"]),
                "empty" if one["cold"] else "filled",
                f"{one['cells']} of {one['epochs']} epochs",
                seconds(one["wall"]),
                seconds(one["compile"]),
                seconds(one["train"]),
                seconds(one["cpu"]),
                NONE if (share := beside(one)) is None else percent(share),
                seconds(eager),
                f"{eager / one['wall']:.1f}" if eager else NONE,
            ]
        )
    head = ["members", "cache", "cells", "wall", "compiling", "training", "processor time"]
    head += ["of it beside training", "eager", "eager over wall"]
    said = (
        f"`python main.py --tasks all`, {run['side_by_side']} cells side by side. Compiling and training are wall time "
        "summed over cells, what they wait for each other included. Processor time is that of all threads and "
        f"processes on {run['machine']['cores']} cores; beside training stands what no worker took of it: start, data, "
        "logs, CSV, pages, and W&B offline with its server."
    )
    if run["eager"]:
        said += (
            " Eager's time is calculated from a measured chunk of every model on main.py's splits of every kind of "
            "task, with what is measured after each epoch: one thread on one core, cell after cell, without start, "
            "logs or pages. The mean stands in the table of what it was for one member before the runs and after: "
            f"{' and '.join(seconds(one) for one in run['eager'])}."
        )
    if alone := run.get("alone"):
        said += (
            f" With nothing beside them, cell after cell, all programs of one member take {alone['empty']:.1f} s from "
            f"nothing and {alone['filled']:.1f} s from the cache."
        )
    return "\n\n".join([heading(run), said, table(head, rows)])
