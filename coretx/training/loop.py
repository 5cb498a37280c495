"""The training loop, once, for every engine: chunks of epochs, their metrics, the final scores."""

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
    """What one epoch of one population measured: metric key -> value per member. `epoch` counts from 0.

    Keys as logged: loss_train, accuracy_train (running, over the epoch's batches), loss_val, accuracy_val, loss_test,
    accuracy_test (after the epoch; val where there is that split), grad_norm, weight_norm, learning_rate, and for
    attention models attn_logits_mean, _std, _maxabs.
    """

    epoch: int
    metrics: Mapping[str, Float[np.ndarray, " member"]]


Sums = Mapping[str, Float[np.ndarray, "member epoch"]]
History = dict[str, Float[np.ndarray, "member epoch"]]
OnEpoch = Callable[[EpochRecord], None]
SELECTION = "val"
"""The split whose lowest loss decides which epoch's weights are reported; where there is none, the last one's are."""


@dataclass(frozen=True)
class Population:
    """What trains together: groups of members that differ in their optimizer's rates alone.

    Member i of every group has the streams of member i, its weights and batches are the same: a group trains as it
    would alone. Without a grid there is one group, with the optimizer of the spec.
    """

    spec: ModelSpec
    seed: int
    task: str
    members: int
    """Of each group."""
    dtype: str = "float32"
    grid: tuple[Optimizer, ...] = ()

    @property
    def optimizers(self) -> tuple[Optimizer, ...]:
        """The optimizer of each group."""
        return self.grid or (self.spec.optimizer,)

    @property
    def size(self) -> int:
        """The number of members of all groups, which stand group after group."""
        return self.members * len(self.optimizers)

    @property
    def groups(self) -> list[slice]:
        """The places of each group's members."""
        return [slice(first, first + self.members) for first in range(0, self.size, self.members)]


@dataclass
class Group:
    """What training leaves of one group: its metrics up to its end, and its weights there."""

    chunks: list[History] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def history(self) -> History:
        """Every metric by member and epoch."""
        return {name: np.concatenate([chunk[name] for chunk in self.chunks], axis=1) for name in self.chunks[0]}


def epoch_metrics(sums: Sums) -> dict[str, Float[np.ndarray, "member epoch"]]:
    """Return the metrics of each epoch from an engine's sums and counts, under the keys that are logged."""
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
    groups = len(population.optimizers)
    access.load_state({f"parameters/{name}": np.concatenate([values] * groups) for name, values in parameters.items()})


def train(access: ModelAccess, population: Population, data: Mapping[str, Dataset], on_epoch: OnEpoch) -> History:
    """Train a population of one group and return every metric by member and epoch: see `train_groups`."""
    (group,) = train_groups(access, population, data, [on_epoch])
    return group.history


def train_groups(
    access: ModelAccess, population: Population, data: Mapping[str, Dataset], on_epoch: Sequence[OnEpoch]
) -> list[Group]:
    """Train for the epochs of the spec and return what is left of each group; each has its own on_epoch.

    `data` has the splits; `train` is trained on, every other one measured after each epoch; where there is a split for
    selection, the weights of each member's best epoch on it are kept (see `restore_best`). A group ends early, after
    the chunk in which a loss of any of its members was not finite: see `first_divergence`.
    """
    evaluate = {name: split for name, split in data.items() if name != "train"}
    epochs, length = population.spec.optimizer.epochs, epochs_per_chunk(len(data["train"]))
    groups = [Group() for _ in population.optimizers]
    training = dict(enumerate(population.groups))
    chunks = [range(first, min(first + length, epochs)) for first in range(0, epochs, length)]
    for plan in one_ahead(partial(plan_chunk, population, len(data["train"])), chunks):
        metrics = train_plan(access, data["train"], evaluate, plan)
        diverged = []
        for i, members in training.items():
            part = {name: values[members] for name, values in metrics.items()}
            groups[i].chunks.append(part)
            for place, epoch in enumerate(plan.epochs):
                on_epoch[i](EpochRecord(epoch, {name: values[:, place] for name, values in part.items()}))
            if first_divergence(part) is not None:
                diverged.append(i)
        over = list(training) if plan.epochs.stop == epochs else diverged
        weights = parameters_of(access) if over else {}
        for i in over:
            groups[i].weights = of_members(weights, training.pop(i))
        if not training:
            break
    return groups


def parameters_of(access: ModelAccess) -> dict[str, np.ndarray]:
    """Return the weights that all members have now. The whole state is fetched: once for all groups is enough."""
    state = access.state()
    return {name: state[f"parameters/{name}"] for name in access.manifest}


def of_members(weights: Mapping[str, np.ndarray], members: slice) -> dict[str, np.ndarray]:
    """Return the part of the weights that these members have."""
    return {name: values[members] for name, values in weights.items()}


class ChunkPlan(NamedTuple):
    """What every member does in a chunk of epochs."""

    epochs: range
    rows: Int[np.ndarray, "member epoch step batch"]
    weights: Float[np.ndarray, "member epoch step batch"]
    learning_rate: Float[np.ndarray, "member epoch"]
    weight_decay: Float[np.ndarray, " member"]


def plan_chunk(population: Population, n: int, epochs: range) -> ChunkPlan:
    """Return what every member does in these epochs of n rows."""
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
    """Yield the plan of every chunk, each made in a thread while the one before it trains.

    An order of batches takes 20 us a member and epoch: a third of what a small rung needs to train it, and more than
    that on an accelerator.
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
    """Give every member the weights of its best epoch and return these epochs, counted from 0; None where none is kept.

    Nothing but the losses on the split for selection has decided which they are.
    """
    state = access.state()
    if "best_epoch" not in state:
        return None
    access.load_state({f"parameters/{name}": state[f"best/{name}"] for name in access.manifest})
    return state["best_epoch"]
