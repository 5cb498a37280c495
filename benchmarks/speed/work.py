"""What every contestant does: the same rows, batches, initial weights and epochs, made by the core."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from coretx.errors import UsageError
from coretx.models.registry import build_models
from coretx.models.spec import InputShape, ModelSpec
from coretx.seeds import stream
from coretx.tasks.registry import get_task
from coretx.tasks.sampling import Dataset, prepare_data
from coretx.tasks.splits import Protocol, draw_splits
from coretx.training.backend import ModelAccess
from coretx.training.loop import ChunkPlan, History, Population, one_ahead, plan_chunk, start, train_plan

CHUNK_EPOCHS = 25
"""Epochs in one call of an engine, as coretx.training.loop chunks the ladder."""

RATE_SCALE = 0.1
"""The ladder's learning rates are multiplied by this, for every contestant.

At the full rates three rungs amplify rounding: after 15 epochs two honest engines differ by 0.05 in their losses, and
nothing could be checked. At a tenth they stayed within 4.2e-6 over 25 epochs in every published run. What a step costs
does not depend on it.
"""


@dataclass(frozen=True)
class Work:
    """A population and how long it trains: what a contestant is given. Plain values, so that it travels as JSON."""

    model: str
    members: int = 1
    epochs: int = CHUNK_EPOCHS
    n_samples: int = 1000
    task: str = "sign_of_winner"
    time: int | None = None
    """Steps of an input, where they are to be Gaussian rather than the task's: for `--scaling`."""
    protocol: Protocol | None = None
    """How main.py draws the rows of the task's splits, val too; None for train and test of n_samples rows each."""
    width: int | None = None
    """Width of multilayer_transformer, with four times as much in its feed-forward layers; None for the ladder's."""
    seed: int = 0

    @property
    def spec(self) -> ModelSpec:
        """The ladder's spec at a tenth of its learning rates, and as wide as asked."""
        (spec,) = build_models([self.model])
        if self.width is not None:
            if self.model != "multilayer_transformer":
                raise UsageError(f"a width is for multilayer_transformer; got {self.width} for {self.model}")
            architecture = replace(spec.architecture, width=self.width, feedforward=4 * self.width)
            spec = replace(spec, architecture=architecture)
        start, end = spec.optimizer.learning_rate_start, spec.optimizer.learning_rate_end
        rates = {"learning_rate_start": RATE_SCALE * start, "learning_rate_end": RATE_SCALE * end}
        return replace(spec, optimizer=replace(spec.optimizer, **rates))

    @property
    def shape(self) -> InputShape:
        """The shape of one input."""
        task = get_task(self.task)
        return InputShape(self.time or task.sequence_length, task.feature_dim)

    @property
    def steps(self) -> int:
        """Optimizer steps of one member in all epochs."""
        return self.epochs * -(-self.n_samples // min(self.spec.optimizer.batch_size, self.n_samples))

    @property
    def member_steps(self) -> int:
        """Optimizer steps of all members in all epochs."""
        return self.members * self.steps

    @property
    def population(self) -> Population:
        """What names the members' streams of randomness."""
        return Population(self.spec, self.seed, self.task, self.members)

    def data(self) -> dict[str, Dataset]:
        """Return train and test, each of n_samples rows, or the splits of the protocol, of as many as there are."""
        if self.protocol is not None:
            return draw_splits(get_task(self.task), self.n_samples, self.seed, self.protocol)
        if self.time is None:
            return {
                name: prepare_data(self.n_samples, self.seed + i, task=self.task)
                for i, name in enumerate(("train", "test"))
            }
        return {name: self._gaussian(name) for name in ("train", "test")}

    def _gaussian(self, split: str) -> Dataset:
        rng = stream(self.seed, self.task, purpose=f"{split} of --scaling")
        x = rng.standard_normal((self.n_samples, *self.shape), dtype=np.float32)
        return Dataset(x, (x[:, 0].sum(axis=1) > 0).astype(np.float32))


def begin(access: ModelAccess, work: Work) -> None:
    """Give every member its initial weights: what comes before the clock starts."""
    start(access, work.population)


def plans(work: Work, rows: int, passes: int) -> Iterator[ChunkPlan]:
    """Yield the plan of the one chunk of these rows so often, each made while the one before it trains."""
    return one_ahead(partial(plan_chunk, work.population, rows), [range(work.epochs)] * passes)


def train(access: ModelAccess, data: Mapping[str, Dataset], plan: ChunkPlan) -> History:
    """Train one chunk from the first epoch on, as coretx.training.loop does."""
    evaluate = {name: split for name, split in data.items() if name != "train"}
    return train_plan(access, data["train"], evaluate, plan)


def losses(history: History) -> dict[str, Any]:
    """Return both losses as nested lists [member][epoch]."""
    return {name: history[name].tolist() for name in ("loss_train", "loss_test")}
