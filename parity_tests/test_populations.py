"""Member i of a population is the same member alone: vmapped in JAX, looped in torch.

Sharding a population over devices is not built in the engine, so nothing here claims it.
"""

import numpy as np
import pytest

from coretx.metrics import epoch_metrics
from coretx.training import start, train_chunk
from parity_tests.bounds import MEMBER, SENSITIVE
from parity_tests.cases import Case, lasting, slower
from parity_tests.differences import largest_gap

MEMBERS = 3


def trained(case, backend, members, epochs):
    """Return the state after these epochs of production's own chunks, and what they measured."""
    access = backend.open(case.spec, case.shape, members, case.dtype)
    start(access, case.population(members))
    history = train_chunk(access, case.population(members), case.data, {}, epochs)
    return access.state(), history


def alone(case, backend, member, epochs):
    """Return the same for one member by itself, under its own number."""
    access = backend.open(case.spec, case.shape, 1, case.dtype)
    whole = backend.open(case.spec, case.shape, member + 1, case.dtype)
    start(whole, case.population(member + 1))
    access.load_state({name: v[member:] for name, v in whole.state().items() if name.startswith("parameters/")})
    steps = case.steps(member)
    shape = (1, len(epochs), len(steps) // len(epochs))
    sums = access.train(
        case.data,
        {},
        rows=steps.rows.reshape(*shape, -1),
        weights=steps.weights.reshape(*shape, -1),
        learning_rate=steps.learning_rate.reshape(shape)[:, :, 0],
        weight_decay=np.array([case.spec.optimizer.weight_decay]),
    )
    return access.state(), sums


def compare(case, backend, members, bound):
    """Assert that every member of a population is the member alone, in state and measurements.

    Key biases have no gradient and walk at random, and take the attention scores with them: neither is compared.
    """
    epochs = range(case.spec.optimizer.epochs)
    state, history = trained(case, backend, members, epochs)
    dead = "attention.key.bias"
    for member in (0, members - 1):
        single, sums = alone(case, backend, member, epochs)
        left = {name: v[member] for name, v in state.items() if not name.endswith(dead)}
        right = {name: single[name][0] for name in left}
        assert largest_gap(left, right) <= bound, member
        measured = {name: v[0] for name, v in epoch_metrics(sums).items() if not name.startswith("attn_logits")}
        assert largest_gap(measured, {name: history[name][member] for name in measured}) <= bound, member


def test_member_of_a_population_is_the_member_alone(model, engine, engines, short_case):
    compare(short_case(model), engines[engine], MEMBERS, MEMBER[engine])


@pytest.mark.parametrize("model", ["logreg", "self_attention", "multilayer_transformer"])
def test_looped_members_are_the_same_bit_for_bit_in_float32(model, engines, short_case):
    assert engines["torch"].strategy(short_case(model).spec, MEMBERS) == "loop"
    compare(short_case(model, dtype="float32"), engines["torch"], MEMBERS, 0.0)


@pytest.mark.slow
def test_member_of_a_population_is_the_member_alone_over_100_epochs(model, engines, catalogue):
    """100 epochs, of a tenth of the rate where one unit in the last place would grow to more (docs/parity.md)."""
    spec = lasting(catalogue.models([model])[0], 800, 1000)
    case = Case(slower(spec) if model in SENSITIVE else spec, catalogue.tasks["sign_of_winner"], "float64", 1000)
    compare(case, engines["jax"], MEMBERS, MEMBER["jax"])
