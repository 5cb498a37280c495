"""Cells trained: a population from its plan to the results that its cells leave."""

import math
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

from coretx import provenance
from coretx.config import MeshShape, RunConfig
from coretx.data import Dataset
from coretx.explanations import explain
from coretx.grid import grid_points
from coretx.lengths import answer_lengths, score_lengths
from coretx.models.spec import InputShape
from coretx.plan import Cell
from coretx.results import ModelResult, Provenance
from coretx.training import (
    History,
    OnEpoch,
    Population,
    first_divergence,
    of_members,
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
    scored: Mapping[str, Dataset] | None = None,
) -> list[ModelResult]:
    """Train cells that differ in their optimizer's rates alone, as one population, and return all that each leaves.

    `scored` has the splits that final scores are taken on, those of `data` where None (see `splits.scored_splits`).
    `lengths` has rows of other lengths, on which the weights that are reported are evaluated too. Files and logs are
    the parent's. Seconds are those of the population, all that its engine compiles and does, in equal parts.
    """
    scored = data if scored is None else scored
    begun = time.perf_counter()
    first = cells[0]
    config, grid = first.config, tuple(cell.spec.optimizer for cell in cells)
    population = Population(first.spec, config.seed, config.task, config.members, config.dtype, grid)
    shape = InputShape(first.task.sequence_length, first.task.feature_dim)
    with closing(first.backend.open(first.spec, shape, population.size, config.dtype, config.strategy)) as access:
        start(access, population)
        groups = train_groups(access, population, data, on_epoch)
        last = predict(access, scored)
        best_epoch = take_best(access)
        predictions, weights = last, {}
        if best_epoch is not None:
            weights = parameters_of(access)
            best = predict(access, scored)
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
                weights=of_members(weights, members) if chosen else group.weights,
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
