"""The work of every contestant: the same rows, batches, initial weights and epochs, from `coretx`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from coretx.models.registry import build_models
from coretx.models.spec import InputShape, ModelSpec
from coretx.tasks.registry import get_task
from coretx.tasks.sampling import Dataset, prepare_data
from coretx.tasks.splits import Protocol, draw_splits
from coretx.training.backend import ModelAccess
from coretx.training.loop import ChunkPlan, History, Population, one_ahead, plan_chunk, train_plan

CHUNK_EPOCHS = 25
"""Epochs in one call of an engine, as coretx.training.loop chunks the ladder."""

RATE_SCALE = 0.1
"""The ladder's learning rates are multiplied by this, for every contestant.

At the full rates three rungs amplify rounding: after 15 epochs the losses of two correct engines differ by 0.05. At a
tenth they stayed within 4.2e-6 over 25 epochs in every published run. The time of a step does not depend on the rate.
"""


@dataclass(frozen=True)
class Work:
    """A population and its number of epochs, as plain values for JSON."""

    model: str
    members: int = 1
    epochs: int = CHUNK_EPOCHS
    n_samples: int = 1000
    task: str = "sign_of_winner"
    protocol: Protocol | None = None
    """The protocol of main.py's splits, with val; None for train and test of n_samples rows each."""
    seed: int = 0

    @property
    def spec(self) -> ModelSpec:
        """The ladder's spec at a tenth of its learning rates."""
        (spec,) = build_models([self.model])
        start, end = spec.optimizer.learning_rate_start, spec.optimizer.learning_rate_end
        rates = {"learning_rate_start": RATE_SCALE * start, "learning_rate_end": RATE_SCALE * end}
        return replace(spec, optimizer=replace(spec.optimizer, **rates))

    @property
    def shape(self) -> InputShape:
        """The shape of one input."""
        task = get_task(self.task)
        return InputShape(task.sequence_length, task.feature_dim)

    @property
    def steps(self) -> int:
        """Optimizer steps of one member in all epochs."""
        return self.epochs * -(-self.n_samples // min(self.spec.optimizer.batch_size, self.n_samples))

    @property
    def population(self) -> Population:
        """The population, which names the members' streams of randomness."""
        return Population(self.spec, self.seed, self.task, self.members)

    def data(self) -> dict[str, Dataset]:
        """Return the splits of the protocol, or train and test of n_samples rows each."""
        if self.protocol is not None:
            return draw_splits(get_task(self.task), self.n_samples, self.seed, self.protocol)
        seeds = {"train": self.seed, "test": self.seed + 1}
        return {name: prepare_data(self.n_samples, seed, task=self.task) for name, seed in seeds.items()}


def plans(work: Work, rows: int, passes: int) -> Iterator[ChunkPlan]:
    """Yield the same chunk's plan for each pass, made while the pass before it trains."""
    return one_ahead(partial(plan_chunk, work.population, rows), [range(work.epochs)] * passes)


def train(access: ModelAccess, data: Mapping[str, Dataset], plan: ChunkPlan) -> History:
    """Train one chunk from the first epoch on, as coretx.training.loop does."""
    evaluate = {name: split for name, split in data.items() if name != "train"}
    return train_plan(access, data["train"], evaluate, plan)
