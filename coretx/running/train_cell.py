"""Train one population, or score its stored weights again, and build the `ModelResult` of each of its cells."""

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from jaxtyping import Float

from coretx.errors import UsageError
from coretx.evaluation.ceilings import alarm
from coretx.evaluation.explanations import Explanation, explain
from coretx.evaluation.groups import score_groups
from coretx.evaluation.lengths import answer_lengths, score_lengths
from coretx.evaluation.scores import Predictions, predict
from coretx.models.spec import InputShape
from coretx.records import provenance
from coretx.records.results import ModelResult, Provenance
from coretx.running.plan import Cell
from coretx.running.run_data import RunData
from coretx.tasks.splits import rows_wanted
from coretx.training.backend import ModelAccess
from coretx.training.loop import (
    History,
    OnEpoch,
    Population,
    first_divergence,
    of_members,
    parameters_of,
    restore_best,
    start,
    train_groups,
)
from coretx.version import __version__

NO_MEMORY = re.compile("RESOURCE_EXHAUSTED|out of memory|can't allocate memory", re.IGNORECASE)
"""How JAX, CUDA and torch report that memory is used up: they have no error type for it on every device."""


def train_cells(cells: Sequence[Cell], data: RunData, on_epoch: Sequence[OnEpoch]) -> list[ModelResult]:
    """Train cells that differ in their optimizer's rates alone, as one population, and return their results.

    Each cell has an equal share of the population's seconds, compilation and explanations included. UsageError where
    the population does not fit into memory.
    """
    begun = time.perf_counter()
    with opened(cells) as (access, population):
        start(access, population)
        groups = train_groups(access, population, data.splits, on_epoch)
        predictions, best_weights = predict(access, data.splits, data.scored), {}
        best_epoch = restore_best(access)
        if best_epoch is not None:
            last, best_weights = predictions, parameters_of(access)
            best = predict(access, data.splits, data.scored)
            predictions = {split: replace(part, last_logits=last[split].logits) for split, part in best.items()}
        failures = [divergence_message(group.history) for group in groups]
        at_lengths = answers_at_lengths(access, cells[0], data)
        answers = [
            None if failure else answers_of(access, members, predictions, at_lengths)
            for failure, members in zip(failures, population.groups, strict=True)
        ]
    seconds = access.seconds | {"total": time.perf_counter() - begun}
    share = {name: round(value / len(cells), 3) for name, value in seconds.items()}
    results = []
    for cell, group, members, failure, own in zip(cells, groups, population.groups, failures, answers, strict=True):
        result = ModelResult(
            config=cell.config,
            provenance=provenance_now(cell, share),
            status="diverged" if failure else "done",
            parameters=sum(math.prod(shape) for shape in access.manifest.values()),
            history=group.history,
            weights=group.weights,
            failure=failure,
        )
        if best_epoch is not None and failure is None:
            result = replace(result, weights=of_members(best_weights, members), best_epoch=best_epoch[members])
        results.append(with_scores(result, cell, data, own))
    return results


def score_cells(cells: Sequence[Cell], stored: Sequence[ModelResult], data: RunData) -> list[ModelResult]:
    """Return the stored results of a population's cells, scored again from their weights without training.

    `data` must have the rows of the stored results: the stored answers of the last epoch are kept, and the provenance
    of the training. UsageError where the population does not fit into memory.
    """
    with opened(cells) as (access, population):
        weights = {name: np.concatenate([result.weights[name] for result in stored]) for name in access.manifest}
        access.load_state({f"parameters/{name}": values for name, values in weights.items()})
        predictions = predict(access, data.splits, data.scored)
        at_lengths = answers_at_lengths(access, cells[0], data)
        answers = [answers_of(access, members, predictions, at_lengths) for members in population.groups]
    scikit_learn = {"scikit-learn": provenance.versions()["scikit-learn"]}
    results = []
    for cell, result, own in zip(cells, stored, answers, strict=True):
        last = {split: part.last_logits for split, part in result.predictions.items()}
        kept = {split: replace(part, last_logits=last[split]) for split, part in own.predictions.items()}
        origin = replace(result.provenance, versions={**result.provenance.versions, **scikit_learn}, code=cell.code)
        results.append(with_scores(replace(result, provenance=origin), cell, data, replace(own, predictions=kept)))
    return results


@contextmanager
def opened(cells: Sequence[Cell]) -> Iterator[tuple[ModelAccess, Population]]:
    """Open the population that these cells, which differ in their optimizer's rates alone, are trained as.

    It has no weights yet, and is closed at the end. UsageError where it does not fit into memory.
    """
    first, config, task = cells[0], cells[0].config, cells[0].task
    grid = tuple(cell.spec.optimizer for cell in cells)
    population = Population(first.spec, config.seed, config.task, config.members, config.dtype, grid)
    shape = InputShape(task.sequence_length, task.feature_dim)
    try:
        with closing(first.backend.open(first.spec, shape, population.size, config.dtype, config.strategy)) as access:
            yield access, population
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and NO_MEMORY.search(str(error)) is None:
            raise
        text = str(error).partition("\n")[0]
        raise UsageError(
            f"{config.label}: {population.size} members do not fit into memory; take fewer --members, points of "
            f"a grid or --n-samples ({text or type(error).__name__})"
        ) from error


@dataclass(frozen=True)
class Answers:
    """The answers of one cell's members on every split and at every other length, and the first one's explanation."""

    predictions: Mapping[str, Predictions]
    lengths: Mapping[int, Float[np.ndarray, "member n"] | None]
    explanation: Explanation


def answers_at_lengths(
    access: ModelAccess, cell: Cell, data: RunData
) -> dict[int, Float[np.ndarray, "member n"] | None]:
    """Return the answers of all members at every other length; None where the model's shape fixes the length."""
    config = cell.config
    return answer_lengths(cell.backend, cell.spec, access, data.lengths, config.dtype, config.strategy)


def answers_of(
    access: ModelAccess,
    members: slice,
    predictions: Mapping[str, Predictions],
    at_lengths: Mapping[int, Float[np.ndarray, "member n"] | None],
) -> Answers:
    """Return the answers of these members, cut out of the answers of all, and the explanation of their first."""
    return Answers(
        {split: part.of_members(members) for split, part in predictions.items()},
        {length: None if logits is None else logits[members] for length, logits in at_lengths.items()},
        explain(access, predictions["test"], members.start),
    )


def with_scores(result: ModelResult, cell: Cell, data: RunData, answers: Answers | None) -> ModelResult:
    """Return the result with its answers and all scores, and with the rows, the rule and the ceilings of its run."""
    task, view, test = cell.task, cell.spec.view, data.scored["test"]
    result = replace(
        result, counts=data.counts, view=view, ceilings=data.ceilings, title=task.display_title, rule=task.rule
    )
    if answers is None:
        return result
    result = result.with_predictions(answers.predictions)
    exhausted = len(data.splits["test"]) < rows_wanted("test", cell.config.n_samples, cell.config.split)
    return replace(
        result,
        explanation=answers.explanation,
        lengths=score_lengths(task, data.lengths, answers.lengths),
        groups=score_groups(data.groups, answers.predictions["test"].logits, test.y),
        alarm=alarm(view, result.scores["test"].accuracy, data.ceilings, test, exhausted),
    )


def provenance_now(cell: Cell, seconds: Mapping[str, float]) -> Provenance:
    """Return the provenance of a cell that was trained just now, in this many seconds."""
    return Provenance(
        version=__version__,
        commit=provenance.commit(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        device_name=cell.backend.device_name,
        versions=provenance.versions() | cell.backend.versions,
        seconds=seconds,
        command=cell.command,
        code=cell.code,
    )


def divergence_message(history: History) -> str | None:
    """Return the sentence for the first member and epoch whose loss was not finite; None where all were finite."""
    found = first_divergence(history)
    return found and f"the loss of member {found[0]} was not finite in epoch {found[1]}"
