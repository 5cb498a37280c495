"""One member of a population beside the same member alone, in one engine."""

from dataclasses import dataclass

import numpy as np

from coretx.training.backend import Backend, ModelAccess
from coretx.training.loop import History, epoch_metrics, start, train_chunk
from parity_tests.cases import Case, parameters, with_parameters
from parity_tests.differences import largest_gap
from parity_tests.trajectory import Runner, Verdict, compare_runners, runner


def trained(case: Case, backend: Backend, members: int, strategy: str | None) -> tuple[dict[str, np.ndarray], History]:
    """Return the state after the spec's epochs in one of production's chunks, and what they measured."""
    access = backend.open(case.spec, case.shape, members, case.dtype, strategy)
    start(access, case.population(members))
    epochs = range(case.spec.optimizer.epochs)
    history = train_chunk(access, case.population(members), case.data, {}, epochs)
    return access.state(), history


def alone(case: Case, backend: Backend, member: int) -> tuple[dict[str, np.ndarray], History]:
    """Return the same for one member by itself, under its own number."""
    access, epochs = member_of(case, backend, member), case.spec.optimizer.epochs
    steps = case.steps(member)
    shape = (1, epochs, len(steps) // epochs)
    sums = access.train(
        case.data,
        {},
        rows=steps.rows.reshape(*shape, -1),
        weights=steps.weights.reshape(*shape, -1),
        learning_rate=steps.learning_rate.reshape(shape)[:, :, 0],
        weight_decay=np.array([case.spec.optimizer.weight_decay]),
    )
    return access.state(), epoch_metrics(sums)


def member_of(case: Case, backend: Backend, member: int) -> ModelAccess:
    """Return a population of one: that member, with its own initial weights, on one device whatever the mesh."""
    whole = backend.open(case.spec, case.shape, member + 1, case.dtype, "loop")
    start(whole, case.population(member + 1))
    access = backend.open(case.spec, case.shape, 1, case.dtype, "solo")
    with_parameters(access, {name: values[member:] for name, values in parameters(whole).items()})
    return access


def largest_difference(case: Case, backend: Backend, members: int, strategy: str | None) -> float:
    """Return how far any member is, at most, from itself alone, in state and measurements.

    Key biases have no gradient and walk at random, and take the attention scores with them: neither is compared.
    """
    state, history = trained(case, backend, members, strategy)
    largest = 0.0
    for member in range(members):
        single, measured = alone(case, backend, member)
        left = {name: v[member] for name, v in state.items() if not name.endswith("attention.key.bias")}
        right = {name: single[name][0] for name in left}
        kept = {name: v[0] for name, v in measured.items() if not name.startswith("attn_logits")}
        others = {name: history[name][member] for name in kept}
        largest = max(largest, largest_gap(left, right), largest_gap(kept, others))
    return largest


@dataclass(frozen=True)
class LastMember(Runner):
    """The last member of a population, whose members all take the same batches."""

    def step(self, i: int) -> dict[str, np.ndarray]:
        """Take step i with all and return the last."""
        return {name: values[-1:] for name, values in super().step(i).items()}


def judged_by_envelope(case: Case, backend: Backend, members: int, strategy: str, steps: int) -> Verdict:
    """Return the verdict on the last member of a JAX population against that member alone, step by step."""
    access = backend.open(case.spec, case.shape, members, case.dtype, strategy)
    start(access, case.population(members))
    single = runner(member_of(case, backend, members - 1), case)
    verdict, _ = compare_runners(backend, single, LastMember(access, case, case.data, case.steps()), steps)
    return verdict
