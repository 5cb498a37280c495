"""Tunes the ladder's learning rates and weight decays on validation, with the same budget for every rung.

    python -m benchmarks.tuning --write          # the committed one: 7 rungs x 9 tasks x 10 points x 2 members
    python -m benchmarks.tuning --epochs 2 --tasks has_all_tokens --models logreg --out /some/folder

Each rung gets one recipe for all tasks: the point of the grid with the lowest validation loss, which is that of a
member's best epoch, averaged over members and then over tasks, each of which counts the same. Ties go to the point that
stands first. A point at which a member diverged on any task is out. Test rows are drawn and measured, as in every run,
and left alone: what is kept of a cell are its validation scores, before anything is chosen
(`tests/benchmarks/test_tuning.py` puts noise in their place).

The seed is the tuning's own: no published member shares a stream of randomness with it, and since the sides of a task's
space are the same for every seed, no row that decides here is a test row anywhere. Finished populations stand in
`<out>/measured.json`; a run that was cut short goes on from there.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from coretx.cells import train_cells
from coretx.config import RunConfig
from coretx.data import Dataset
from coretx.durable import write_bytes
from coretx.errors import OutputError, UsageError
from coretx.grid import grid_points
from coretx.models.recipes import TUNED
from coretx.models.registry import build_models
from coretx.plan import Cell, make_plan
from coretx.provenance import commit
from coretx.results import EpochRecord, ModelResult
from coretx.splits import assert_disjoint, draw_splits
from coretx.workers import SideBySide

LEARNING_RATES = ("1x", "3x", "0.333x", "0.111x", "0.037x")
"""Multiples of the original's rates in steps of three, the same for every rung; the original's own comes first."""
WEIGHT_DECAYS = ("1x", "10x")
"""Multiples of the original's 0.01."""
SEED, MEMBERS, EPOCHS = 3000, 2, 200
"""Of every population. A fifth of the ladder's epochs, since the whole would take a night; the rate's schedule is
stretched over as many."""
FOLDER = Path(__file__).parent / "tuning"
WORKERS = 2
"""Populations that train side by side."""

Job = tuple[Sequence[Cell], Mapping[str, Dataset]]
"""The cells of one population, and their data."""
Losses = dict[str, dict[str, dict[str, float | None]]]
"""Mean validation loss by model, task and point; None where a member diverged."""


def main(argv: Sequence[str] | None = None) -> int:
    """Tune and return the exit code."""
    arguments = parse(argv)
    config = RunConfig(
        tasks=tuple(arguments.tasks),
        models=tuple(arguments.models),
        seed=SEED,
        members=MEMBERS,
        epochs=arguments.epochs,
        learning_rates=LEARNING_RATES,
        weight_decays=WEIGHT_DECAYS,
        recipe="original",
        out=arguments.out,
        wandb="disabled",
    )
    try:
        if arguments.write and (config.tasks, config.models) != (("all",), ("all",)):
            raise UsageError("--write takes all tasks and all models, since a recipe is one for all: leave them out")
        measured = measure(config)
        chosen = {model: best_point(losses, model) for model, losses in measured.items()}
        write_json(arguments.out / "chosen.json", {model: summary(measured[model], chosen[model]) for model in chosen})
        if arguments.write:
            write_json(TUNED, recipes(chosen))
    except (UsageError, OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    for model, point in chosen.items():
        print(f"{model:26} {point}: {mean_loss(measured[model], point):.4f} nats")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", default=["all"], help="tasks to tune on (default: all)")
    parser.add_argument("--models", nargs="+", default=["all"], help="rungs to tune (default: all)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of every rung (default: {EPOCHS})")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the measurements")
    parser.add_argument("--write", action="store_true", help=f"make the chosen points the recipes of {TUNED.name}")
    return parser.parse_args(argv)


def measure(config: RunConfig) -> Losses:
    """Return the validation losses of all cells of the plan, training those that are not in the file yet."""
    plan, file = make_plan(config), config.out / "measured.json"
    known = json.loads(file.read_text()) if file.exists() else {"setting": setting(config), "cells": {}}
    if known["setting"] != setting(config):
        raise UsageError(f"{file} was measured with {known['setting']}, this is {setting(config)}: take another --out")
    begun, made_by, populations = time.perf_counter(), commit(), []
    for task_run in plan.runs:
        data = draw_splits(task_run.task, task_run.n_samples, task_run.seed, config.split)
        assert_disjoint(task_run.task, data)
        populations += [(list(cells.values()), data) for cells in task_run.populations]
    todo = [(cells, data) for cells, data in populations if any(c.config.id not in known["cells"] for c in cells)]
    for done, results in enumerate(side_by_side(todo), 1):
        known["cells"] |= {result.config.id: kept(result) for result in results}
        known["seconds"] = round(known.get("seconds", 0) + sum(r.provenance.seconds["total"] for r in results), 1)
        write_json(file, known | {"commit": made_by})
        name = f"{results[0].config.model} on {results[0].config.task}"
        print(f"{done}/{len(todo)} {name}, {time.perf_counter() - begun:.0f} s", flush=True)
    return by_model(known["cells"], (cell for cells, _ in populations for cell in cells))


def side_by_side(jobs: Sequence[Job]) -> Iterable[list[ModelResult]]:
    """Yield what each population leaves, in order of arrival; an error in one stops the others and is raised."""
    trainings = SideBySide(jobs, trained, WORKERS)
    try:
        for event in trainings:
            if event.error is not None:
                raise event.error
            if event.result is not None:
                yield event.result
    finally:
        trainings.join()


def trained(job: Job, on_epoch: Callable[[EpochRecord], None]) -> list[ModelResult]:
    """Return what a population's cells leave."""
    cells, data = job
    return train_cells(cells, data, [on_epoch] * len(cells))


def setting(config: RunConfig) -> dict[str, Any]:
    """Return what every measurement of a file shares."""
    names = ("seed", "members", "epochs", "learning_rates", "weight_decays", "n_samples", "split", "negatives")
    return json.loads(json.dumps({name: getattr(config, name) for name in names}))


def kept(result: ModelResult) -> dict[str, Any]:
    """Return what is known of a cell: its name and the validation scores of each member; None where one diverged."""
    config = result.config
    rates = {name: config.hyperparameters[name] for name in ("learning_rate_start", "weight_decay")}
    scores = result.scores["val"] if result.status == "done" else None
    measured = {name: scores and getattr(scores, name).tolist() for name in ("loss", "accuracy")}
    best = None if result.best_epoch is None else result.best_epoch.tolist()
    return {"model": config.model, "task": config.task, **rates, **measured, "best_epoch": best}


def by_model(measured: Mapping[str, Mapping[str, Any]], cells: Iterable[Cell]) -> Losses:
    """Return the mean losses of cells by model, task and point."""
    found: Losses = {}
    for cell in cells:
        points = found.setdefault(cell.spec.name, {}).setdefault(cell.task.name, {})
        losses = measured[cell.config.id]["loss"]
        points[cell.point.name or "1x"] = None if losses is None else float(np.mean(losses))
    return found


def best_point(losses: Mapping[str, Mapping[str, float | None]], model: str) -> str:
    """Return the point with the lowest mean loss over tasks; the first of equals. UsageError where all diverged.

    >>> losses = {"a": {"1x": 0.5, "lr0.1x": 0.2, "lr3x": None}, "b": {"1x": 0.3, "lr0.1x": 0.4, "lr3x": 0.1}}
    >>> best_point(losses, "mlp")
    'lr0.1x'
    """
    points = list(next(iter(losses.values())))
    best = min(points, key=lambda point: mean_loss(losses, point))
    if mean_loss(losses, best) == float("inf"):
        raise UsageError(f"{model}: a member diverged at every point of the grid: take lower rates")
    return best


def summary(losses: Mapping[str, Mapping[str, float | None]], chosen: str) -> dict[str, Any]:
    """Return the chosen point beside the mean loss of every one; None where it is out."""
    means = {point: mean_loss(losses, point) for point in next(iter(losses.values()))}
    return {"chosen": chosen, "loss": {point: None if loss == float("inf") else loss for point, loss in means.items()}}


def mean_loss(losses: Mapping[str, Mapping[str, float | None]], point: str) -> float:
    """Return a point's mean loss over tasks; infinite where it diverged on one."""
    values = [task[point] for task in losses.values()]
    return float("inf") if None in values else float(np.mean(np.array(values, np.float64)))


def recipes(chosen: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return the optimizer's numbers at each model's point."""
    plan = {point.name or "1x": point for point in grid_points(LEARNING_RATES, WEIGHT_DECAYS)}
    found = {}
    for spec in build_models(list(chosen)):
        optimizer = plan[chosen[spec.name]].apply(spec.optimizer)
        names = ("learning_rate_start", "learning_rate_end", "weight_decay")
        found[spec.name] = {name: float(f"{getattr(optimizer, name):.6g}") for name in names}
    return found


def write_json(path: Path, value: Any) -> None:
    """Write plain values, indented and sorted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())


if __name__ == "__main__":
    raise SystemExit(main())
