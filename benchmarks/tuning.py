"""Tunes the ladder's learning rates and weight decays on validation, with the same budget for every rung.

    python -m benchmarks.tuning                  # the published one: 7 rungs x 9 tasks x 10 points x 2 members
    python -m benchmarks.tuning --epochs 2 --tasks has_all_tokens --models logreg --out build/tuning --write build

Each rung gets one recipe for all tasks: the point of the grid with the lowest validation loss. This loss is that of a
member's best epoch, averaged over members and then over tasks. The first of equal points wins. A point is out if a
member diverged there on any task. The recipes are printed as the lines of `TUNED` in `coretx/models/recipes.py`; paste
them there after a run of all tasks and models. Test rows are drawn and scored, as in every run, but only validation
scores enter the table and the choice (`tests/benchmarks/test_tuning.py` puts noise in the place of test rows).

The seed is the tuning's own: no published member shares a stream of randomness with it. The sides of a task's space are
the same for every seed, so no row that decides here is a test row anywhere. Cells lie below `--out`; a run that was cut
short goes on from there.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coretx import RunConfig, run
from coretx.errors import OutputError, UsageError
from coretx.models.recipes import ORIGINAL
from coretx.models.spec import Optimizer
from coretx.records.csv_tables import CsvTable
from coretx.records.results import ModelResult
from coretx.running.plan import make_plan
from coretx.training.grid import grid_points

LEARNING_RATES = ("1x", "3x", "0.333x", "0.111x", "0.037x")
"""Multiples of the original's rates in steps of three, the same for every rung; the original's own comes first."""
WEIGHT_DECAYS = ("1x", "10x")
"""Multiples of the original's 0.01."""
SEED, MEMBERS, EPOCHS = 3000, 2, 200
"""Of every cell. A fifth of the ladder's epochs, since all would take a night; the rate's schedule spans them."""
FOLDER = Path(__file__).parent / "published" / "tuning"


@dataclass(frozen=True)
class ValidationRow:
    """The validation scores of one point of the grid, for one model on one task: means over members.

    Loss (in nats) and accuracy are those of each member's best epoch; `best_epoch` counts from 0. All three are None if
    a member diverged. `learning_rate` is that of the first epoch.
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
    """Train the cells that are not there yet, write the table, print the recipes, and return the exit code."""
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
        reuse="same",
        out=arguments.out,
        wandb="disabled",
    )
    try:
        rows = [validation_row(result) for result in run(config)]
        if len(rows) < len(make_plan(config).cells):
            return 130  # after Ctrl-C
        VALIDATION.upsert(arguments.write / "validation.csv", rows)
        for model in dict.fromkeys(row.model for row in rows):
            losses = mean_losses(rows, model)
            point = best_point(losses, model)
            print(f"{recipe_line(model, point)}  # {point}: {losses[point]:.4f} nats")
    except (UsageError, OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", default=["all"], help="tasks to tune on (default: all)")
    parser.add_argument("--models", nargs="+", default=["all"], help="rungs to tune (default: all)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"epochs of every cell (default: {EPOCHS})")
    parser.add_argument("--out", type=Path, default=Path("artifacts/tuning"), help="folder of the cells")
    parser.add_argument("--write", type=Path, default=FOLDER, help="folder for the table")
    return parser.parse_args(argv)


def validation_row(result: ModelResult) -> ValidationRow:
    """Return the validation scores of a cell; `1x` is the name of the original's own point."""
    config, optimizer = result.config, result.config.hyperparameters["optimizer"]
    scores, best = result.scores.get("val"), result.best_epoch
    return ValidationRow(
        id=config.id,
        model=config.model,
        task=config.task,
        point=config.recipe.partition(" ")[2] or "1x",
        learning_rate=optimizer["learning_rate_start"],
        weight_decay=optimizer["weight_decay"],
        seed=config.seed,
        members=config.members,
        n_samples=config.n_samples,
        epochs=config.epochs,
        loss=None if scores is None else float(scores.loss.mean()),
        accuracy=None if scores is None else float(scores.accuracy.mean()),
        best_epoch=None if best is None else float(best.mean()),
        commit=result.provenance.commit,
    )


def mean_losses(rows: Iterable[ValidationRow], model: str) -> dict[str, float | None]:
    """Return a model's mean loss over tasks at each point, in the order of rows; None if it diverged on one."""
    losses: dict[str, list[float | None]] = {}
    for row in rows:
        if row.model == model:
            losses.setdefault(row.point, []).append(row.loss)
    return {name: None if None in values else sum(values) / len(values) for name, values in losses.items()}


def best_point(losses: Mapping[str, float | None], model: str) -> str:
    """Return the point with the lowest loss, the first of equals. UsageError if a member diverged at each.

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
