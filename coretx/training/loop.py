"""The training loop of every engine: chunks of epochs and their metrics."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from coretx.models.init import initial_parameters
from coretx.models.spec import ModelSpec, Optimizer
from coretx.tasks.sampling import Dataset
from coretx.training.backend import ModelAccess
from coretx.training.batches import batch_orders, epochs_per_chunk


@dataclass(frozen=True)
class EpochRecord:
    """The metrics of one epoch of one group: metric key -> value per member. `epoch` counts from 0.

    Keys: loss_train, accuracy_train (running, over the epoch's batches), loss_val, accuracy_val (if there is that
    split), loss_test, accuracy_test (after the epoch), grad_norm, weight_norm, learning_rate, and for attention models
    attn_logits_mean, _std, _maxabs.
    """

    epoch: int
    metrics: Mapping[str, Float[np.ndarray, " member"]]


Sums = Mapping[str, Float[np.ndarray, "member epoch"]]
History = dict[str, Float[np.ndarray, "member epoch"]]
OnEpoch = Callable[[EpochRecord], None]
SELECTION = "val"
"""The split whose lowest loss selects the epoch of the reported weights; without it, that is the last epoch."""


@dataclass(frozen=True)
class Population:
    """Groups of members that train together and differ only in the rates of their optimizers.

    Member i has the same initial weights and batches in every group, so a group trains as it would alone. Without a
    grid there is one group, with the optimizer of the spec.
    """

    spec: ModelSpec
    seed: int
    task: str
    members: int
    """Members of each group."""
    dtype: str = "float32"
    grid: tuple[Optimizer, ...] = ()

    @property
    def optimizers(self) -> tuple[Optimizer, ...]:
        """The optimizer of each group."""
        return self.grid or (self.spec.optimizer,)

    @property
    def size(self) -> int:
        """The number of members of all groups."""
        return self.members * len(self.optimizers)

    @property
    def groups(self) -> list[slice]:
        """The places of each group's members: group after group."""
        return [slice(first, first + self.members) for first in range(0, self.size, self.members)]


@dataclass
class Group:
    """A group's metrics up to its last epoch, and its weights after that epoch."""

    chunks: list[History] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def history(self) -> History:
        """Every metric by member and epoch."""
        return {name: np.concatenate([chunk[name] for chunk in self.chunks], axis=1) for name in self.chunks[0]}


def epoch_metrics(sums: Sums) -> dict[str, Float[np.ndarray, "member epoch"]]:
    """Return the metrics of each epoch from an engine's sums and counts: see `EpochRecord`."""
    sums = {name: np.asarray(values, np.float64) for name, values in sums.items()}
    splits = [name.removesuffix("/loss_sum") for name in sums if name.endswith("/loss_sum")]
    metrics = {}
    for split in splits:
        metrics[f"loss_{split}"] = sums[f"{split}/loss_sum"] / sums[f"{split}/count"]
        metrics[f"accuracy_{split}"] = sums[f"{split}/correct"] / sums[f"{split}/count"]
    metrics["grad_norm"] = sums["train/grad_norm_sum"] / sums["train/steps"]
    metrics["weight_norm"] = sums["train/weight_norm_sum"] / sums["train/steps"]
    if "attention/count" in sums:
        metrics["attn_logits_mean"] = sums["attention/sum"] / sums["attention/count"]
        metrics["attn_logits_std"] = np.sqrt(sums["attention/squares"] / sums["attention/count"])
        metrics["attn_logits_maxabs"] = sums["attention/maxabs"]
    return metrics


def learning_rates(optimizer: Optimizer, epochs: range) -> Float[np.ndarray, " epoch"]:
    """Return the rate of each of these epochs: linear from start, in epoch 0, to end, in the last epoch of training.

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
    groups = len(population.optimizers)
    access.load_state({f"parameters/{name}": np.concatenate([values] * groups) for name, values in parameters.items()})


def train(access: ModelAccess, population: Population, data: Mapping[str, Dataset], on_epoch: OnEpoch) -> History:
    """Train a population of one group and return every metric by member and epoch: see `train_groups`."""
    (group,) = train_groups(access, population, data, [on_epoch])
    return group.history


def train_groups(
    access: ModelAccess, population: Population, data: Mapping[str, Dataset], on_epoch: Sequence[OnEpoch]
) -> list[Group]:
    """Train for the epochs of the spec and return every group; each group has its own on_epoch.

    The model trains on the split `train`; every other split is measured after each epoch. If there is a split for
    selection, each member's weights at its best epoch are kept (see `restore_best`). A group ends early, after the
    chunk in which a loss of any of its members was not finite (see `first_divergence`).
    """
    evaluate = {name: split for name, split in data.items() if name != "train"}
    epochs, length = population.spec.optimizer.epochs, epochs_per_chunk(len(data["train"]))
    chunks = [range(first, min(first + length, epochs)) for first in range(0, epochs, length)]
    groups = [Group() for _ in population.optimizers]
    training = dict(enumerate(population.groups))
    for plan in one_ahead(partial(plan_chunk, population, len(data["train"])), chunks):
        metrics = train_plan(access, data["train"], evaluate, plan)
        ended = []
        for i, members in training.items():
            part = of_members(metrics, members)
            groups[i].chunks.append(part)
            for place, epoch in enumerate(plan.epochs):
                on_epoch[i](EpochRecord(epoch, {name: values[:, place] for name, values in part.items()}))
            if plan.epochs.stop == epochs or first_divergence(part) is not None:
                ended.append(i)
        weights = parameters_of(access) if ended else {}
        for i in ended:
            groups[i].weights = of_members(weights, training.pop(i))
        if not training:
            break
    return groups


def parameters_of(access: ModelAccess) -> dict[str, np.ndarray]:
    """Return the current weights of all members. This fetches the whole state, so call it once for all groups."""
    state = access.state()
    return {name: state[f"parameters/{name}"] for name in access.manifest}


def of_members(arrays: Mapping[str, np.ndarray], members: slice) -> dict[str, np.ndarray]:
    """Return the part of these members of arrays with a leading member axis."""
    return {name: values[members] for name, values in arrays.items()}


class ChunkPlan(NamedTuple):
    """The batches and rates of every member in a chunk of epochs."""

    epochs: range
    rows: Int[np.ndarray, "member epoch step batch"]
    weights: Float[np.ndarray, "member epoch step batch"]
    learning_rate: Float[np.ndarray, "member epoch"]
    weight_decay: Float[np.ndarray, " member"]


def plan_chunk(population: Population, n: int, epochs: range) -> ChunkPlan:
    """Return the batches and rates of every member in these epochs of n rows."""
    spec, groups = population.spec, len(population.optimizers)
    rows, weights = batch_orders(
        n,
        spec.optimizer.batch_size,
        epochs,
        seed=population.seed,
        task=population.task,
        model=spec.name,
        members=population.members,
    )
    rates = [learning_rates(optimizer, epochs) for optimizer in population.optimizers]
    decays = [optimizer.weight_decay for optimizer in population.optimizers]
    return ChunkPlan(
        epochs,
        rows=np.concatenate([rows] * groups),
        weights=np.concatenate([weights] * groups),
        learning_rate=np.repeat(rates, population.members, axis=0),
        weight_decay=np.repeat(decays, population.members),
    )


def one_ahead(plan: Callable[[range], ChunkPlan], chunks: Sequence[range]) -> Iterator[ChunkPlan]:
    """Yield the plan of every chunk, each made in a thread while the chunk before it trains.

    An order takes 28 us per member and epoch. A GPU trains 32 stacked members of logreg in 58 us each, and would wait.
    """
    with ThreadPoolExecutor(1, "plan") as planner:
        coming = planner.submit(plan, chunks[0])
        for after in (*chunks[1:], None):
            ready = coming.result()
            if after is not None:
                coming = planner.submit(plan, after)
            yield ready


def train_chunk(
    access: ModelAccess, population: Population, train: Dataset, evaluate: Mapping[str, Dataset], epochs: range
) -> History:
    """Train these epochs and return their metrics by member and epoch."""
    return train_plan(access, train, evaluate, plan_chunk(population, len(train), epochs))


def train_plan(access: ModelAccess, train: Dataset, evaluate: Mapping[str, Dataset], plan: ChunkPlan) -> History:
    """Train as planned and return the metrics by member and epoch."""
    sums = access.train(
        train,
        evaluate,
        rows=plan.rows,
        weights=plan.weights,
        learning_rate=plan.learning_rate,
        weight_decay=plan.weight_decay,
        keep_best=SELECTION if SELECTION in evaluate else None,
    )
    return epoch_metrics(sums) | {"learning_rate": plan.learning_rate}


def first_divergence(history: History) -> tuple[int, int] | None:
    """Return (member, epoch) of the first loss that is not finite, or None."""
    finite = np.logical_and.reduce([np.isfinite(v) for name, v in history.items() if name.startswith("loss_")])
    if finite.all():
        return None
    epoch = int(np.flatnonzero(~finite.all(axis=0))[0])
    return int(np.flatnonzero(~finite[:, epoch])[0]), epoch


def restore_best(access: ModelAccess) -> Int[np.ndarray, " member"] | None:
    """Give every member the weights of its best epoch and return these epochs, from 0; None if none are kept.

    The best epoch is that of the lowest loss on the split for selection.
    """
    state = access.state()
    if "best_epoch" not in state:
        return None
    access.load_state({f"parameters/{name}": state[f"best/{name}"] for name in access.manifest})
    return state["best_epoch"]
