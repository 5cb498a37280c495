"""The training loop, once, for every engine: chunks of epochs, their metrics, the final scores."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from coretx.backend import ModelAccess
from coretx.data import Dataset, batch_order
from coretx.metrics import epoch_metrics, split_scores
from coretx.models.init import initial_parameters
from coretx.models.spec import ModelSpec, Optimizer
from coretx.results import EpochRecord, Predictions, SplitScores

CHUNK_EPOCHS = 25
"""Epochs in one call of the engine: long enough that the call costs nothing, short enough to watch and to stop."""

History = dict[str, Float[np.ndarray, "member epoch"]]
OnEpoch = Callable[[EpochRecord], None]


@dataclass(frozen=True)
class Population:
    """What names the members of one training: their streams and their number."""

    spec: ModelSpec
    seed: int
    task: str
    members: int
    dtype: str = "float32"


def learning_rates(optimizer: Optimizer, epochs: range) -> Float[np.ndarray, " epoch"]:
    """Return the rate of each of these epochs: linear from start, in epoch 0, to end, in the last of all.

    >>> learning_rates(Optimizer(0.4, 0.2, epochs=3), range(3))
    array([0.4, 0.3, 0.2])
    """
    progress = np.asarray(epochs) / max(optimizer.epochs - 1, 1)
    return optimizer.learning_rate_start + (optimizer.learning_rate_end - optimizer.learning_rate_start) * progress


def start(access: ModelAccess, population: Population) -> None:
    """Give every member its initial weights and a fresh optimizer."""
    parameters = initial_parameters(
        access.manifest,
        initializer=population.spec.initializer,
        seed=population.seed,
        task=population.task,
        model=population.spec.name,
        members=population.members,
        dtype=population.dtype,
    )
    access.load_state({f"parameters/{name}": values for name, values in parameters.items()})


def train(access: ModelAccess, population: Population, data: Mapping[str, Dataset], on_epoch: OnEpoch) -> History:
    """Train for the epochs of the spec and return every metric by member and epoch.

    `data` has the splits; `train` is trained on, every other one measured after each epoch. Ends early, after the
    chunk in which a loss of any member was not finite: see `first_divergence`.
    """
    evaluate = {name: split for name, split in data.items() if name != "train"}
    epochs = population.spec.optimizer.epochs
    chunks: list[History] = []
    for first in range(0, epochs, CHUNK_EPOCHS):
        chunk = range(first, min(first + CHUNK_EPOCHS, epochs))
        metrics = train_chunk(access, population, data["train"], evaluate, chunk)
        chunks.append(metrics)
        for place in range(metrics["loss_train"].shape[1]):
            on_epoch(EpochRecord(first + place, {name: values[:, place] for name, values in metrics.items()}))
        if first_divergence(metrics) is not None:
            break
    return {name: np.concatenate([chunk[name] for chunk in chunks], axis=1) for name in chunks[0]}


def train_chunk(
    access: ModelAccess, population: Population, train: Dataset, evaluate: Mapping[str, Dataset], epochs: range
) -> History:
    """Train these epochs and return their metrics by member and epoch."""
    spec, members = population.spec, population.members
    orders = [
        batch_order(
            len(train),
            spec.optimizer.batch_size,
            epochs,
            seed=population.seed,
            task=population.task,
            model=spec.name,
            member=member,
        )
        for member in range(members)
    ]
    rates = np.tile(learning_rates(spec.optimizer, epochs), (members, 1))
    sums = access.train(
        train,
        evaluate,
        rows=np.stack([rows for rows, _ in orders]),
        weights=np.stack([weights for _, weights in orders]),
        learning_rate=rates,
        weight_decay=np.full(members, spec.optimizer.weight_decay),
    )
    return epoch_metrics(sums) | {"learning_rate": rates}


def first_divergence(history: History) -> tuple[int, int] | None:
    """Return (member, epoch) of the first loss that is not finite, or None."""
    finite = np.logical_and.reduce([np.isfinite(v) for name, v in history.items() if name.startswith("loss_")])
    if finite.all():
        return None
    epoch = int(np.flatnonzero(~finite.all(axis=0))[0])
    return int(np.flatnonzero(~finite[:, epoch])[0]), epoch


def predict(access: ModelAccess, data: Mapping[str, Dataset]) -> dict[str, Predictions]:
    """Return what the trained members answer on every split."""
    return {name: Predictions(split.x, split.y, access.logits(split.x)) for name, split in data.items()}


def score(predictions: Mapping[str, Predictions]) -> dict[str, SplitScores]:
    """Return the exact scores of every split: loss and accuracy from the same weights and rows."""
    return {name: split_scores(split.logits, split.y) for name, split in predictions.items()}
