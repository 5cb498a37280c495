"""Cells trained, and cells scored: from a population to the results that its cells leave."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from coretx.backend import ModelAccess
from coretx.data import Dataset
from coretx.explanations import explain
from coretx.lengths import answer_lengths, score_lengths
from coretx.metrics import score
from coretx.models.spec import InputShape
from coretx.parts import Explanation
from coretx.planned import Cell
from coretx.results import ModelResult, Predictions, Provenance
from coretx.training import (
    History,
    OnEpoch,
    Population,
    first_divergence,
    of_members,
    parameters_of,
    population_of,
    predict,
    start,
    take_best,
    train_groups,
)

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
    at_lengths = answer_lengths(first.backend, first.spec, first.config, access, lengths)
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
