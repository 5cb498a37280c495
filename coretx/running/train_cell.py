"""Train one population, or score its stored weights again, and build the `ModelResult` of each of its cells."""

import math
import re
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from coretx.config import MeshShape, RunConfig
from coretx.errors import UsageError
from coretx.evaluation.ceilings import Ceiling, alarm, ceilings
from coretx.evaluation.explanations import Explanation, explain
from coretx.evaluation.groups import score_groups
from coretx.evaluation.lengths import answer_lengths, score_lengths
from coretx.evaluation.scores import Predictions, predict, score
from coretx.models.spec import InputShape
from coretx.records import provenance
from coretx.records.results import ModelResult, Provenance
from coretx.running.plan import Cell, TaskRun
from coretx.running.run_data import Drawn
from coretx.tasks.sampling import Dataset
from coretx.tasks.splits import rows_wanted
from coretx.training.backend import ModelAccess
from coretx.training.grid import grid_points
from coretx.training.loop import (
    History,
    OnEpoch,
    Population,
    first_divergence,
    of_members,
    parameters_of,
    start,
    take_best,
    train_groups,
)
from coretx.version import __version__

NO_LENGTHS: Mapping[int, Dataset] = MappingProxyType({})


def train_cells(
    cells: Sequence[Cell],
    data: Mapping[str, Dataset],
    on_epoch: Sequence[OnEpoch],
    lengths: Mapping[int, Dataset] = NO_LENGTHS,
    scored_on: Mapping[str, Dataset] | None = None,
) -> list[ModelResult]:
    """Train cells that differ in their optimizer's rates alone, as one population, and return all that each leaves.

    `scored_on` has the splits that final scores are taken on, those of `data` where None (see `splits.scored_splits`).
    `lengths` has rows of other lengths, on which the weights that are reported are evaluated too. Files and logs are
    the parent's. Seconds are those of the population, all that its engine compiles and does, in equal parts.
    """
    begun, population = time.perf_counter(), population_of(cells)
    with closing(opened(cells, population)) as access:
        start(access, population)
        groups = train_groups(access, population, data, on_epoch)
        last = predict(access, data, scored_on)
        best_epoch = take_best(access)
        predictions, weights = last, {}
        if best_epoch is not None:
            weights = parameters_of(access)
            best = predict(access, data, scored_on)
            predictions = {name: replace(part, last_logits=last[name].logits) for name, part in best.items()}
        failures = [divergence_message(group.history) for group in groups]
        answers = answer(access, cells, population, predictions, lengths, [failure is None for failure in failures])
    seconds = access.seconds | {"total": time.perf_counter() - begun}
    results = []
    for cell, group, members, failure, own in zip(cells, groups, population.groups, failures, answers, strict=True):
        chosen = best_epoch is not None and failure is None
        trained = ModelResult(
            config=cell.config,
            provenance=made(cell, {name: round(value / len(cells), 3) for name, value in seconds.items()}),
            status="diverged" if failure else "done",
            parameters=sum(math.prod(shape) for shape in access.manifest.values()),
            history=group.history,
            weights=of_members(weights, members) if chosen else group.weights,
            failure=failure,
            best_epoch=best_epoch[members] if best_epoch is not None and chosen else None,
        )
        results.append(scored(trained, cell, own, lengths))
    return results


def score_cells(
    cells: Sequence[Cell],
    stored: Sequence[ModelResult],
    data: Mapping[str, Dataset],
    lengths: Mapping[int, Dataset] = NO_LENGTHS,
    scored_on: Mapping[str, Dataset] | None = None,
) -> list[ModelResult]:
    """Return the stored results of a population's cells, scored again from their weights: nothing is trained.

    The rows are those that were stored: what the last epoch's weights answered on them is kept.
    """
    population = population_of(cells)
    with closing(opened(cells, population)) as access:
        weights = {name: np.concatenate([result.weights[name] for result in stored]) for name in access.manifest}
        access.load_state({f"parameters/{name}": values for name, values in weights.items()})
        predictions = predict(access, data, scored_on)
        answers = answer(access, cells, population, predictions, lengths, [True] * len(cells))
    results = []
    for cell, result, own in zip(cells, stored, answers, strict=True):
        last = {name: part.last_logits for name, part in result.predictions.items()}
        kept = {name: replace(part, last_logits=last[name]) for name, part in own.predictions.items()}
        results.append(scored(result, cell, replace(own, predictions=kept), lengths))
    return results


@dataclass(frozen=True)
class Answers:
    """What the members of one cell answer: on every split, at every other length, and what the first looks at."""

    predictions: Mapping[str, Predictions]
    lengths: Mapping[int, Float[np.ndarray, "member n"] | None]
    explanation: Explanation | None


def population_of(cells: Sequence[Cell]) -> Population:
    """Return the population that these cells, which differ in their optimizer's rates alone, are trained as."""
    config, grid = cells[0].config, tuple(cell.spec.optimizer for cell in cells)
    return Population(cells[0].spec, config.seed, config.task, config.members, config.dtype, grid)


def opened(cells: Sequence[Cell], population: Population) -> ModelAccess:
    """Return the population of these cells in its engine, without weights."""
    first, task = cells[0], cells[0].task
    shape = InputShape(task.sequence_length, task.feature_dim)
    return first.backend.open(first.spec, shape, population.size, first.config.dtype, first.config.strategy)


def answer(
    access: ModelAccess,
    cells: Sequence[Cell],
    population: Population,
    predictions: Mapping[str, Predictions],
    lengths: Mapping[int, Dataset],
    finite: Sequence[bool],
) -> list[Answers]:
    """Return what each cell's members answer with the weights they have; nothing for one that is not finite."""
    first, found = cells[0], []
    at_lengths = answer_lengths(first.backend, first.spec, access, lengths, first.config.dtype, first.config.strategy)
    for members, answers in zip(population.groups, finite, strict=True):
        own = {name: part.of_members(members) for name, part in predictions.items()} if answers else {}
        own_lengths = {length: None if logits is None else logits[members] for length, logits in at_lengths.items()}
        look = explain(access, predictions["test"], members.start) if answers else None
        found.append(Answers(own, own_lengths if answers else {}, look))
    return found


def scored(result: ModelResult, cell: Cell, answers: Answers, lengths: Mapping[int, Dataset]) -> ModelResult:
    """Return the result with the answers of its members and all scores that follow from them."""
    own = answers.predictions
    last = {name: replace(part, logits=part.last_logits) for name, part in own.items() if part.last_logits is not None}
    return replace(
        result,
        scores=score(own),
        predictions=own,
        explanation=answers.explanation,
        lengths=score_lengths(cell.task, lengths, answers.lengths) if own else (),
        last_scores=score(last),
    )


def made(cell: Cell, seconds: Mapping[str, float]) -> Provenance:
    """Return what the engine and the code tell of how this cell was made: the run knows the rest."""
    backend = cell.backend
    return Provenance("", "", "", backend.device_name, backend.versions, seconds, code=cell.code)


def divergence_message(history: History) -> str | None:
    """Return which member's loss was first not finite, and when; None where all stayed finite."""
    found = first_divergence(history)
    return found and f"the loss of member {found[0]} was not finite in epoch {found[1]}"


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
                f"{cells[0].config.label}: {members} members do not fit into memory; take fewer --members, points of "
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
    return f"{config.label}: of {len(results)} points validation chooses `{recipe}`, loss {losses[recipe]:.4f} there"
