"""Tunes the ladder's learning rates and weight decays on validation, with the same budget for every rung.

    python -m benchmarks.tuning                  # the committed one: 7 rungs x 9 tasks x 10 points x 2 members
    python -m benchmarks.tuning --epochs 2 --tasks has_all_tokens --models logreg --out /some/folder

Each rung gets one recipe for all tasks: the point of the grid with the lowest validation loss, which is that of a
member's best epoch, averaged over members and then over tasks, each of which counts the same. Ties go to the point that
stands first. A point at which a member diverged on any task is out. What is chosen is printed as the lines of `TUNED`
in `coretx/models/recipes.py`, to be pasted there where all tasks and models were measured. Test rows are drawn and
measured, as in every run, and left alone: what is kept of a cell are its validation scores, before anything is chosen
(`tests/benchmarks/test_tuning.py` puts noise in their place).

The seed is the tuning's own: no published member shares a stream of randomness with it, and since the sides of a task's
space are the same for every seed, no row that decides here is a test row anywhere. Finished populations stand in
`<out>/validation.csv`; a run that was cut short goes on from there, whatever way of running members is found to be
fastest since.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coretx.config import RunConfig
from coretx.errors import OutputError, UsageError
from coretx.models.recipes import ORIGINAL
from coretx.models.spec import Optimizer
from coretx.records.cell_config import CellConfig
from coretx.records.csv_tables import CsvTable
from coretx.records.results import ModelResult
from coretx.running.plan import Cell, make_plan
from coretx.running.run_data import RunData, draw
from coretx.running.train_cell import train_cells
from coretx.running.workers import WorkerPool
from coretx.training.grid import grid_points
from coretx.training.loop import EpochRecord

LEARNING_RATES = ("1x", "3x", "0.333x", "0.111x", "0.037x")
"""Multiples of the original's rates in steps of three, the same for every rung; the original's own comes first."""
WEIGHT_DECAYS = ("1x", "10x")
"""Multiples of the original's 0.01."""
SEED, MEMBERS, EPOCHS = 3000, 2, 200
"""Of every population. A fifth of the ladder's epochs, since the whole would take a night; the rate's schedule is
stretched over as many."""
FOLDER = Path(__file__).parent / "published" / "tuning"
WORKERS = 2
"""Populations that train side by side."""

Job = tuple[Sequence[Cell], RunData]
"""The cells of one population, and their data."""


@dataclass(frozen=True)
class ValidationRow:
    """What validation says of one point of the grid for one model on one task: means over members.

    Loss in nats and accuracy are those of each member's best epoch, `best_epoch` counts from 0; all three are None
    where a member diverged. `learning_rate` is that of the first epoch.
    """

    id: str
    model: str
    task: str
    point: str
    learning_rate: float
    weight_decay: float
    seed: int
    members: int
    n_samples: int
    epochs: int
    loss: float | None
    accuracy: float | None
    best_epoch: float | None
    commit: str


VALIDATION = CsvTable(ValidationRow, key=("model", "task", "point"))


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
        rows = measure(config)
        chosen = {model: best_point(mean_losses(rows, model), model) for model in dict.fromkeys(r.model for r in rows)}
    except (UsageError, OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    for model, point in chosen.items():
        print(f"{recipe_line(model, point)}  # {point}: {mean_losses(rows, model)[point]:.4f} nats")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", default=["all"], help="tasks to tune on (default: all)")
    parser.add_argument("--models", nargs="+", default=["all"], help="rungs to tune (default: all)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of every rung (default: {EPOCHS})")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the measurements")
    return parser.parse_args(argv)


def measure(config: RunConfig) -> list[ValidationRow]:
    """Return a row for each cell of the plan, in its order, training those that are not in the file yet."""
    plan, file = make_plan(config), config.out / "validation.csv"
    known = {key: setting(row.learning_rate, row.weight_decay, row) for key, row in stored(file).items()}
    begun, populations = time.perf_counter(), []
    for task_run in plan.runs:
        data = draw(task_run, config)
        populations += [(list(cells.values()), data) for cells in task_run.populations]
    wanted = {
        name(cell): setting(cell.spec.optimizer.learning_rate_start, cell.spec.optimizer.weight_decay, cell.config)
        for cells, _ in populations
        for cell in cells
    }
    for key in wanted.keys() & known.keys():
        if wanted[key] != known[key]:
            raise UsageError(f"{file} has {', '.join(key)} from another configuration or seed: take another --out")
    todo = [(cells, data) for cells, data in populations if any(name(cell) not in known for cell in cells)]
    for done, (cells, results) in enumerate(side_by_side(todo), 1):
        VALIDATION.upsert(file, [validation_row(*pair) for pair in zip(cells, results, strict=True)])
        what = f"{cells[0].spec.name} on {cells[0].task.name}"
        print(f"{done}/{len(todo)} {what}, {time.perf_counter() - begun:.0f} s", flush=True)
    rows = stored(file)
    return [rows[key] for key in wanted]


def side_by_side(jobs: Sequence[Job]) -> Iterable[tuple[Sequence[Cell], list[ModelResult]]]:
    """Yield the cells of each population and what they leave, in order of arrival; the first error is raised."""
    trainings = WorkerPool(jobs, trained, WORKERS)
    try:
        for event in trainings:
            if event.error is not None:
                raise event.error
            if event.result is not None:
                yield event.job[0], event.result
    finally:
        trainings.join()


def trained(job: Job, on_epoch: Callable[[EpochRecord], None]) -> list[ModelResult]:
    """Return what a population's cells leave."""
    cells, data = job
    return train_cells(cells, data, [on_epoch] * len(cells))


def stored(file: Path) -> dict[tuple[str, str, str], ValidationRow]:
    """Return the rows of the file by model, task and point."""
    return {(row.model, row.task, row.point): row for row in VALIDATION.read(file)}


def name(cell: Cell) -> tuple[str, str, str]:
    """Return model, task and point."""
    return cell.spec.name, cell.task.name, point(cell)


def setting(learning_rate: float, weight_decay: float, of: ValidationRow | CellConfig) -> tuple[object, ...]:
    """Return what decides the scores, to the six digits of older files: how members ran beside each other does not."""
    return f"{learning_rate:.6f}", f"{weight_decay:.6f}", of.seed, of.members, of.n_samples, of.epochs


def point(cell: Cell) -> str:
    """Return what the point of the grid is called; `1x` for the original's own."""
    return cell.point.name or "1x"


def validation_row(cell: Cell, result: ModelResult) -> ValidationRow:
    """Return what is kept of a cell: nothing but its validation scores."""
    config, optimizer = cell.config, cell.spec.optimizer
    scores = result.scores["val"] if result.status == "done" else None
    return ValidationRow(
        id=config.id,
        model=config.model,
        task=config.task,
        point=point(cell),
        learning_rate=optimizer.learning_rate_start,
        weight_decay=optimizer.weight_decay,
        seed=config.seed,
        members=config.members,
        n_samples=config.n_samples,
        epochs=config.epochs,
        loss=None if scores is None else float(np.mean(scores.loss)),
        accuracy=None if scores is None else float(np.mean(scores.accuracy)),
        best_epoch=None if result.best_epoch is None else float(np.mean(result.best_epoch)),
        commit=result.provenance.commit,
    )


def mean_losses(rows: Iterable[ValidationRow], model: str) -> dict[str, float | None]:
    """Return a model's mean loss over tasks at each point, in the order of rows; None where it diverged on one."""
    losses: dict[str, list[float | None]] = {}
    for row in rows:
        if row.model == model:
            losses.setdefault(row.point, []).append(row.loss)
    return {name: None if None in values else sum(values) / len(values) for name, values in losses.items()}


def best_point(losses: Mapping[str, float | None], model: str) -> str:
    """Return the point with the lowest loss, the first of equals. UsageError where a member diverged at every one.

    >>> best_point({"1x": 0.5, "lr3x": None, "lr0.333x": 0.2, "wd10x": 0.2}, "mlp")
    'lr0.333x'
    """
    finite = {name: loss for name, loss in losses.items() if loss is not None}
    if not finite:
        raise UsageError(f"{model}: a member diverged at every point of the grid: take lower rates")
    return min(finite, key=lambda name: finite[name])


def tuned_optimizer(model: str, point: str) -> Optimizer:
    """Return the original's optimizer at this point of the grid, its rates and its decay to six digits."""
    points = {point.name or "1x": point for point in grid_points(LEARNING_RATES, WEIGHT_DECAYS)}
    found = points[point].apply(ORIGINAL[model])
    rates = (found.learning_rate_start, found.learning_rate_end, found.weight_decay)
    return Optimizer(*(float(f"{rate:.6g}") for rate in rates))


def recipe_line(model: str, point: str) -> str:
    """Return a model's line of the recipe, as Python.

    >>> recipe_line("self_attention", "lr0.111x-wd10x")
    '    "self_attention": Optimizer(0.0444, 0.0222, weight_decay=0.1),'
    """
    found = tuned_optimizer(model, point)
    rates = f"{found.learning_rate_start}, {found.learning_rate_end}, weight_decay={found.weight_decay}"
    return f'    "{model}": Optimizer({rates}),'


if __name__ == "__main__":
    raise SystemExit(main())
