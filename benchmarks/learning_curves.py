"""Learning curves of the arithmetic tasks at a fixed number of optimizer steps: does more data teach the rule?

    python -m benchmarks.learning_curves                     # the published one, about half an hour on two cores
    python -m benchmarks.learning_curves --steps 64 --tasks two_digit_sum --out /some/folder --write /some/folder

Each model trains on n = 1, 2, 4, 8 and 16 thousand rows, up to all rows of its side of the task's space. The number of
steps is the same: more rows are no more training. For each n, validation chooses one of three learning rates, multiples
of the tuned one: the lowest loss of a member's best epoch, averaged over members. The weights of that epoch are scored
on test. Cells lie below `--out`; a run that was cut short goes on from there.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coretx import ModelSpec, Results, RunConfig, run
from coretx.errors import OutputError, UsageError
from coretx.models.registry import build_models
from coretx.records.csv_tables import CsvTable
from coretx.records.durable import write_text
from coretx.records.results import ModelResult
from coretx.reports.figures.plots import accuracy_by_size, to_file
from coretx.tasks.registry import get_task
from coretx.tasks.splits import draw_splits

TASKS = ("single_digit_sum", "single_digit_sum_swapped", "two_digit_sum", "multi_digit_sum")
MODELS = ("mlp", "self_attention", "multilayer_transformer")
SIZES = (1000, 2000, 4000, 8000, 16_000)
STEPS = 16_000
LEARNING_RATES = ("0.1x", "0.3x", "1x")
"""Multiples of the tuned rates."""
FOLDER = Path(__file__).parent / "published" / "learning_curves"


@dataclass(frozen=True)
class Point:
    """One model on one task, trained on n rows at the rate that validation chose: means over members.

    `validation` and `test` are accuracies in [0, 1], `low` and `high` the 95 % interval of `test` over test rows (over
    problems in a small space), `train` the accuracy on the n rows themselves, `chance` that of the more frequent class
    of test. `best_epoch` counts from 0.
    """

    task: str
    model: str
    n: int
    learning_rate: str
    members: int
    epochs: int
    steps: int
    train: float
    validation: float
    test: float
    low: float
    high: float
    test_rows: int
    chance: float
    best_epoch: float
    id: str
    commit: str


POINTS = CsvTable(Point, key=("task", "model", "n"))


def main(argv: Sequence[str] | None = None) -> int:
    """Train the cells that are not there yet, write table and figures, and return the exit code."""
    arguments = parse(argv)
    try:
        points = [
            point
            for task in arguments.tasks
            for config in requests(task, arguments)
            for point in chosen_points(run(config), arguments.models)
        ]
        POINTS.upsert(arguments.write / "points.csv", points)
        for task in arguments.tasks:
            series = {
                model: [(float(p.n), p.test, p.low, p.high) for p in points if (p.task, p.model) == (task, model)]
                for model in arguments.models
            }
            if max(map(len, series.values())) > 1:
                figure = accuracy_by_size(series, "Rows trained on", log=True)
                write_text(arguments.write / f"{task}.svg", to_file(figure))
    except (UsageError, OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for p in points:
        score = f"test {p.test:.4f} ({p.low:.4f} to {p.high:.4f})"
        print(f"{p.task:25} {p.model:23} n {p.n:6}  {p.learning_rate:5} {score}")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    says = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning_curves", description=says)
    parser.add_argument("--tasks", nargs="+", default=TASKS, help="arithmetic tasks (default: all four)")
    parser.add_argument("--models", nargs="+", default=MODELS, help="rungs (default: mlp, self_attention, the deepest)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"optimizer steps of every cell (default: {STEPS})")
    parser.add_argument("--members", type=int, default=1, help="members of every cell (default: 1)")
    parser.add_argument("--out", type=Path, default=Path("artifacts/learning_curves"), help="folder of the cells")
    parser.add_argument("--write", type=Path, default=FOLDER, help="folder for the table and the figures")
    return parser.parse_args(argv)


def requests(task: str, arguments: argparse.Namespace) -> Iterator[RunConfig]:
    """Yield the run of every size, up to the first size that the side cannot fill."""
    for size in SIZES:
        rows = len(draw_splits(get_task(task).with_negatives("balanced"), size, 0, "disjoint")["train"])
        yield RunConfig(
            tasks=(task,),
            models=tuple(arguments.models),
            n_samples=(size,),
            members=arguments.members,
            epochs=epochs_for(arguments.steps, rows, build_models(arguments.models)),
            learning_rates=LEARNING_RATES,
            wandb="disabled",
            reuse="same",
            out=arguments.out,
        )
        if rows < size:
            return


def epochs_for(steps: int, rows: int, models: Sequence[ModelSpec]) -> int:
    """Return the epochs that come nearest to this number of steps. UsageError if batch sizes differ.

    >>> epochs_for(16_000, 4000, build_models(["mlp"]))
    500
    """
    sizes = {spec.optimizer.batch_size for spec in models}
    if len(sizes) > 1:
        raise UsageError(f"a fixed number of steps needs one batch size for all models, got {sorted(sizes)}")
    return max(round(steps / -(-rows // sizes.pop())), 1)


def chosen_points(results: Results, models: Sequence[str]) -> list[Point]:
    """Return each model's point at the rate of least validation loss. UsageError if every rate diverged."""
    points = []
    for model in models:
        done = [result for result in results.where(model=model) if result.status == "done"]
        if not done:
            raise UsageError(f"{model} diverged at every rate: take lower ones")
        points.append(point(min(done, key=lambda result: result.scores["val"].loss.mean())))
    return points


def point(result: ModelResult) -> Point:
    """Return the published point of a cell."""
    config, scores = result.config, result.scores
    rows, best = result.summaries("test")["accuracy"].rows, result.best_epoch
    assert rows is not None, "a score on rows has an interval over rows"
    assert best is not None, "a disjoint draw has validation"
    batch = config.batch_size
    assert batch is not None, "every spec has one"
    return Point(
        task=config.task,
        model=config.model,
        n=scores["train"].n,
        learning_rate=(config.recipe.partition(" lr")[2] or "1x"),
        members=config.members,
        epochs=config.epochs,
        steps=config.epochs * -(-scores["train"].n // batch),
        train=float(scores["train"].accuracy.mean()),
        validation=float(scores["val"].accuracy.mean()),
        test=float(scores["test"].accuracy.mean()),
        low=rows[0],
        high=rows[1],
        test_rows=scores["test"].n,
        chance=scores["test"].chance,
        best_epoch=float(best.mean()),
        id=config.id,
        commit=result.provenance.commit,
    )


if __name__ == "__main__":
    raise SystemExit(main())
