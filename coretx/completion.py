"""A population's results with all that its run knows: what every process of a run makes of its cells."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from coretx import provenance
from coretx.ceilings import alarm, ceilings
from coretx.cells import score_cells, train_cells
from coretx.config import MeshShape, RunConfig
from coretx.draws import Drawn
from coretx.errors import UsageError
from coretx.grid import grid_points
from coretx.groups import score_groups
from coretx.live import name
from coretx.planned import Cell, TaskRun
from coretx.results import Ceiling, ModelResult, Provenance
from coretx.splits import rows_wanted
from coretx.training import OnEpoch
from coretx.version import __version__

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
    with in_memory(cells):
        results = train_cells(cells, drawn.data, on_epoch, drawn.lengths, drawn.scored)
    made = [
        replace(result, provenance=made_by(result.provenance, cell, config))
        for cell, result in zip(cells, results, strict=True)
    ]
    return complete(made, cells, run, drawn, known[run.task.name])


def score_and_complete(
    cells: Sequence[Cell], stored: Sequence[ModelResult], run: TaskRun, drawn: Drawn, known: Ceilings
) -> list[ModelResult]:
    """Score the stored weights of a population's cells again, and return their results with the counts, the alarm.

    What tells of training stays: when and by which commit, and how long it took. Raises as `train_and_complete`.
    """
    with in_memory(cells):
        results = score_cells(cells, stored, drawn.data, drawn.lengths, drawn.scored)
    again = []
    for cell, result in zip(cells, results, strict=True):
        versions = {**result.provenance.versions, "scikit-learn": provenance.versions()["scikit-learn"]}
        again.append(replace(result, provenance=replace(result.provenance, versions=versions, code=cell.code)))
    return complete(again, cells, run, drawn, known[run.task.name])


@contextmanager
def in_memory(cells: Sequence[Cell]) -> Iterator[None]:
    """Turn an engine's error of no memory into a UsageError that says what to take less of."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            members, said = cells[0].config.members * len(cells), str(error).partition("\n")[0]
            raise UsageError(
                f"{name(cells[0].config)}: {members} members do not fit into memory; take fewer --members, points of "
                f"a grid or --n-samples ({said or type(error).__name__})"
            ) from error
        raise


def is_out_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Return whether an engine, or NumPy, found no memory: each says so in its own words.

    >>> is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."))
    True
    """
    return isinstance(error, MemoryError) or NO_MEMORY.search(str(error)) is not None


def complete(
    results: Sequence[ModelResult], cells: Sequence[Cell], run: TaskRun, drawn: Drawn, found: Mapping[str, Ceiling]
) -> list[ModelResult]:
    """Return the results with what their run knows: the rows of the splits, the ceilings, the rule."""
    return [completed(*pair, run, drawn, found) for pair in zip(results, cells, strict=True)]


def completed(result: ModelResult, cell: Cell, run: TaskRun, drawn: Drawn, found: Mapping[str, Ceiling]) -> ModelResult:
    """Return the result of one cell with what its run knows."""
    view, test, task = cell.spec.view, drawn.scored["test"], cell.task
    exhausted = len(drawn.data["test"]) < rows_wanted("test", run.n_samples, cell.config.split)
    above = alarm(view, result.scores["test"].accuracy, found, test, exhausted) if result.scores else None
    groups = score_groups(drawn.groups, result.predictions["test"].logits, test.y) if result.predictions else ()
    return replace(
        result,
        counts=drawn.counts,
        view=view,
        ceilings=found,
        alarm=above,
        groups=groups,
        title=task.display_title,
        rule=task.rule,
    )


def made_by(known: Provenance, cell: Cell, config: RunConfig) -> Provenance:
    """Return where and when a cell was made, with what its run knows: program, date, versions and command."""
    return replace(
        known,
        version=__version__,
        commit=provenance.commit(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=provenance.versions() | dict(known.versions),
        command=reproducing_command(cell, config),
    )


def reproducing_command(cell: Cell, config: RunConfig) -> str:
    """Return the command line that trains this cell again; all points of its grid, which were trained together."""
    known = cell.config
    points = grid_points(config.learning_rates, config.weight_decays)
    mesh = None if config.mesh is None else MeshShape.parse(config.mesh)
    flags = {
        "tasks": [known.task],
        "models": [f"{known.model}:{known.backend}"],
        "n-samples": [known.n_samples],
        "seed": [known.seed],
        "members": [known.members],
        "epochs": [known.epochs],
        "device": [known.device],
        "split": [known.split],
        "recipe": [known.recipe.partition(" ")[0]],
        "negatives": [known.negatives] if known.negatives != "natural" else [],
        "learning-rates": without_default(point.learning_rate for point in points),
        "weight-decays": without_default(point.weight_decay for point in points),
        "eval-lengths": known.eval_lengths,
        "mesh": [mesh] if mesh else [],
        "matmul-precision": [known.matmul_precision] if known.matmul_precision != "highest" else [],
        "plugin": config.plugin,
    }
    given = [f"--{flag} {shlex.join(map(str, values))}" for flag, values in flags.items() if values]
    return " ".join(["python main.py", *given])


def without_default(values: Iterable[str]) -> list[str]:
    """Return each value of a grid once; none where that is the recipe's alone.

    >>> without_default(["0.5x", "0.5x", "1x", "1x"]), without_default(["1x", "1x"])
    (['0.5x', '1x'], [])
    """
    once = list(dict.fromkeys(values))
    return [] if once == ["1x"] else once


def choice(results: Sequence[ModelResult]) -> str | None:
    """Return the line that says which point of a grid has the lowest validation loss; None where there is no choice."""
    losses = {result.config.recipe: result.scores["val"].loss.mean() for result in results if "val" in result.scores}
    if len(results) < 2 or not losses:
        return None
    config, recipe = results[0].config, min(losses, key=lambda name: (losses[name], name))
    place = f"{config.task} {config.model} ({config.backend}), seed {config.seed}, n {config.n_samples}"
    return f"{place}: of {len(results)} points validation chooses `{recipe}`, loss {losses[recipe]:.4f} there"
