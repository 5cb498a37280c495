"""What is compared: one model on one task in one dtype, as live populations and as single optimizer steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from coretx.models.spec import InputShape, ModelSpec
from coretx.running.plugins import Catalogue
from coretx.tasks.base import Task
from coretx.tasks.sampling import Dataset, prepare_data
from coretx.training.backend import Backend, ModelAccess, load_backend
from coretx.training.batches import batch_order
from coretx.training.loop import Population, learning_rates, start
from parity_tests.bounds import STEADY

ENGINES = ("jax", "torch")

ONE_TASK_PER_SHAPE = ("sign_of_winner", "has_all_tokens", "single_digit_sum", "two_digit_sum", "multi_digit_sum")
"""A task of each input shape of the ladder: [5, 2], [5, 4], [5, 12], [8, 12] and [11, 12]."""

SHORT_ROWS, SHORT_BATCH, SHORT_EPOCHS = 72, 16, 3
"""The reduced length: 5 steps an epoch, the last of them half filled up with rows of weight 0."""


@dataclass(frozen=True)
class Steps:
    """Optimizer steps, one by one: the rows of each batch, their weights, and the learning rate."""

    rows: Int[np.ndarray, "step batch"]
    weights: Float[np.ndarray, "step batch"]
    learning_rate: Float[np.ndarray, " step"]

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, chosen: slice) -> "Steps":
        """Return some of the steps."""
        return Steps(self.rows[chosen], self.weights[chosen], self.learning_rate[chosen])


@dataclass(frozen=True)
class Case:
    """One model on one task in one dtype, the same for every engine."""

    spec: ModelSpec
    task: Task
    dtype: str = "float64"
    n: int = SHORT_ROWS
    seed: int = 0

    @property
    def shape(self) -> InputShape:
        return InputShape(self.task.sequence_length, self.task.feature_dim)

    @cached_property
    def data(self) -> Dataset:
        """The rows that are trained on."""
        return prepare_data(self.n, self.seed, task=self.task)

    @cached_property
    def test(self) -> Dataset:
        """Rows that are not trained on."""
        return prepare_data(self.n, self.seed + 1, task=self.task)

    def population(self, members: int = 1) -> Population:
        """Return what names the members' streams."""
        return Population(self.spec, self.seed, self.task.name, members, self.dtype)

    def open(self, backend: Backend, members: int = 1) -> ModelAccess:
        """Return a population with its initial weights."""
        access = backend.open(self.spec, self.shape, members, self.dtype)
        start(access, self.population(members))
        return access

    def steps(self, member: int = 0) -> Steps:
        """Return every step of the spec's epochs, as production takes them."""
        optimizer = self.spec.optimizer
        rows, weights = batch_order(
            self.n,
            optimizer.batch_size,
            range(optimizer.epochs),
            seed=self.seed,
            task=self.task.name,
            model=self.spec.name,
            member=member,
        )
        rates = np.repeat(learning_rates(optimizer, range(optimizer.epochs)), rows.shape[1])
        return Steps(rows.reshape(-1, rows.shape[2]), weights.reshape(-1, rows.shape[2]), rates)


def train_steps(access: ModelAccess, case: Case, steps: Steps, data: Dataset | None = None) -> Mapping[str, np.ndarray]:
    """Take the steps and return the sums of each, [member, step]; every member takes the same.

    Each step goes in as an epoch of one batch: the program that production scans over, one step at a time.
    """
    members, decay = access.members, case.spec.optimizer.weight_decay

    def for_all(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array, (members, *array.shape)).copy()

    return access.train(
        case.data if data is None else data,
        {},
        rows=for_all(steps.rows[:, None]),
        weights=for_all(steps.weights[:, None]),
        learning_rate=for_all(steps.learning_rate),
        weight_decay=np.full(members, decay),
    )


def short(spec: ModelSpec, epochs: int = SHORT_EPOCHS) -> ModelSpec:
    """Return the spec at reduced length. Its rate always moves, so that a schedule that is late can be seen."""
    optimizer = spec.optimizer
    begin, end = optimizer.learning_rate_start, optimizer.learning_rate_end
    end = begin / 2 if begin == end else end
    return replace(spec, optimizer=replace(optimizer, learning_rate_end=end, batch_size=SHORT_BATCH, epochs=epochs))


def slower(spec: ModelSpec, factor: float = 10.0) -> ModelSpec:
    """Return the spec at a fraction of its learning rate."""
    optimizer = spec.optimizer
    rates = optimizer.learning_rate_start / factor, optimizer.learning_rate_end / factor
    return replace(spec, optimizer=replace(optimizer, learning_rate_start=rates[0], learning_rate_end=rates[1]))


def steady(case: Case) -> Case:
    """Return the case at a tenth of its rate, but for models in which one unit in the last place does not grow."""
    return case if case.spec.name in STEADY else replace(case, spec=slower(case.spec))


def lasting(spec: ModelSpec, steps: int, n: int) -> ModelSpec:
    """Return the spec with as many epochs as this number of steps needs, its schedule fitted to them."""
    per_epoch = -(-n // min(spec.optimizer.batch_size, n))
    return replace(spec, optimizer=replace(spec.optimizer, epochs=max(1, -(-steps // per_epoch))))


def load_engines(catalogue: Catalogue, names: Sequence[str] = ENGINES) -> dict[str, Backend]:
    """Return the engines on the CPU, with the plugins' model classes."""
    return {name: load_backend(name, "cpu", catalogue.model_classes(name)) for name in names}


def with_parameters(access: ModelAccess, change: Mapping[str, np.ndarray]) -> None:
    """Start the population again from other parameters, [member, ...] by canonical name."""
    access.load_state({f"parameters/{name}": values for name, values in change.items()})


def parameters(access: ModelAccess) -> dict[str, np.ndarray]:
    """Return the parameters by canonical name, [member, ...]."""
    state = access.state()
    return {name: state[f"parameters/{name}"] for name in access.manifest}


def nudged(tensors: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return every number moved to one of its two neighbours, at random; a zero stays."""

    def nudge(values: np.ndarray) -> np.ndarray:
        return np.nextafter(values, np.where(rng.random(values.shape) < 0.5, 0 * values, 2 * values))

    return {name: nudge(values) for name, values in tensors.items()}
