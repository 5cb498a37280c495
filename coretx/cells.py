"""Cells trained: a population from its plan to the results that its cells leave."""

import math
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from coretx import provenance
from coretx.data import Dataset
from coretx.explanations import explain
from coretx.lengths import answer_lengths, score_lengths
from coretx.models.spec import InputShape
from coretx.plan import Cell
from coretx.results import ModelResult, Provenance
from coretx.training import (
    History,
    OnEpoch,
    Population,
    first_divergence,
    parameters_of,
    predict,
    score,
    start,
    take_best,
    train_groups,
)
from coretx.version import __version__


def train_cells(
    cells: Sequence[Cell],
    data: Mapping[str, Dataset],
    on_epoch: Sequence[OnEpoch],
    lengths: Mapping[int, Dataset] = MappingProxyType({}),
) -> list[ModelResult]:
    """Train cells that differ in their optimizer's rates alone, as one population, and return all that each leaves.

    `lengths` has rows of other lengths, on which the weights that are reported are evaluated too. Files and logs are
    the parent's. Seconds are those of the population, all that its engine compiles and does, in equal parts.
    """
    begun = time.perf_counter()
    first = cells[0]
    config, grid = first.config, tuple(cell.spec.optimizer for cell in cells)
    population = Population(first.spec, config.seed, config.task, config.members, config.dtype, grid)
    shape = InputShape(first.task.sequence_length, first.task.feature_dim)
    access = first.backend.open(first.spec, shape, population.size, config.dtype, config.strategy)
    start(access, population)
    groups = train_groups(access, population, data, on_epoch)
    last = predict(access, data)
    best_epoch = take_best(access)
    predictions = last
    if best_epoch is not None:
        best = predict(access, data)
        predictions = {name: replace(part, last_logits=last[name].logits) for name, part in best.items()}
    at_lengths = answer_lengths(first.backend, first.spec, first.config, access, lengths)
    failures = [divergence_message(group.history) for group in groups]
    explanations = [
        None if failure else explain(access, predictions["test"], members.start)
        for failure, members in zip(failures, population.groups, strict=True)
    ]
    seconds = access.seconds | {"total": time.perf_counter() - begun}
    provenance = cell_provenance(first, {name: value / len(cells) for name, value in seconds.items()})
    results = []
    for cell, group, members, failure, explanation in zip(
        cells, groups, population.groups, failures, explanations, strict=True
    ):
        chosen = best_epoch is not None and failure is None
        own = {} if failure else {name: split.of_members(members) for name, split in predictions.items()}
        results.append(
            ModelResult(
                config=cell.config,
                provenance=provenance,
                status="diverged" if failure else "done",
                parameters=sum(math.prod(shape) for shape in access.manifest.values()),
                history=group.history,
                weights=parameters_of(access, members) if chosen else group.weights,
                scores=score(own),
                predictions=own,
                failure=failure,
                best_epoch=best_epoch[members] if best_epoch is not None and chosen else None,
                explanation=explanation,
                lengths=() if failure else score_lengths(first.task, lengths, at_lengths, members),
                last_scores=score({name: last[name].of_members(members) for name in last}) if chosen else {},
            )
        )
    return results


def divergence_message(history: History) -> str | None:
    """Return which member's loss was first not finite, and when; None where all stayed finite."""
    found = first_divergence(history)
    return found and f"the loss of member {found[0]} was not finite in epoch {found[1]}"


def cell_provenance(cell: Cell, seconds: Mapping[str, float]) -> Provenance:
    """Return where and when this cell was made."""
    backend = cell.backend
    return Provenance(
        version=__version__,
        commit=provenance.commit(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        device_name=backend.device_name,
        versions=provenance.versions() | backend.versions,
        seconds={name: round(value, 3) for name, value in seconds.items()},
    )


def reproducing_command(cell: Cell, plugin: Sequence[Path]) -> str:
    """Return the command line that trains this cell again."""
    config = cell.config
    files = f" --plugin {shlex.join(map(str, plugin))}" if plugin else ""
    recipe = config.recipe.partition(" ")[0]
    lengths = "".join(f" {length}" for length in config.eval_lengths)
    lengths = lengths and f" --eval-lengths{lengths}"
    rule = "" if config.negatives == "natural" else f" --negatives {config.negatives}"
    return (
        f"python main.py --tasks {config.task} --models {config.model}:{config.backend} --n-samples {config.n_samples} "
        f"--seed {config.seed} --members {config.members} --epochs {config.epochs} --device {config.device} "
        f"--split {config.split} --recipe {recipe}{rule}{cell.point.arguments}{lengths}{files}"
    )
