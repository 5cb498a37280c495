"""The whole training, compared after every step: loss, gradient norm, all parameters, both moments of AdamW."""

import numpy as np
import pytest

from parity_tests.bounds import CHUNK, MIN_STEPS
from parity_tests.cases import ONE_TASK_PER_SHAPE, Case, lasting, slower
from parity_tests.differences import largest_gap
from parity_tests.trajectory import compare, runner, told

FULL_STEPS, FULL_ROWS = 800, 1000

SHAPES = [
    pytest.param("float64", task, marks=[pytest.mark.slow] * (place % 2))
    for place, task in enumerate(ONE_TASK_PER_SHAPE)
]
"""Every second shape in the fast part: each costs a compilation of every model."""


@pytest.mark.parametrize(("dtype", "task"), [("float32", ONE_TASK_PER_SHAPE[0]), *SHAPES])
def test_every_step_of_a_short_training_agrees(model, dtype, task, engines, short_case):
    """In float64, and in float32, which is what ships."""
    case = short_case(model, task, dtype)
    verdict, trajectory = compare(*engines.values(), case, len(case.steps()))
    assert verdict.difference is None, verdict.difference.sentence()
    assert verdict.horizon == len(case.steps()) == 15
    # The one kind of parameter that is not compared; a second kind would need its reason written down.
    manifest = case.open(engines["torch"]).manifest
    assert trajectory.without_gradient == {name for name in manifest if name.endswith("attention.key.bias")}


def test_productions_chunk_is_the_single_steps(model, engine, engines, short_case):
    """One call that scans over epochs and their batches does what one call per step does."""
    case = short_case(model)
    single, chunk = case.open(engines[engine]), case.open(engines[engine])
    run = runner(single, case)
    for i in range(len(case.steps())):
        run.step(i)
    epochs = case.spec.optimizer.epochs
    rows, weights = (
        array.reshape(1, epochs, -1, array.shape[1]) for array in (case.steps().rows, case.steps().weights)
    )
    rates = case.steps().learning_rate.reshape(1, epochs, -1)[:, :, 0]
    decay = np.array([case.spec.optimizer.weight_decay])
    chunk.train(case.data, {}, rows=rows, weights=weights, learning_rate=rates, weight_decay=decay)
    left, right = single.state(), chunk.state()
    assert largest_gap(without(left, "epoch"), without(right, "epoch")) <= CHUNK[engine]


def without(state, name):
    """Return the state without one entry, and without what has no gradient."""
    return {key: value for key, value in state.items() if key != name and not key.endswith("attention.key.bias")}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_full_training_agrees_or_its_envelope_says_why(model, task, dtype, engines, catalogue, measured):
    """800 steps, asserted until the envelope passes 1e-3; where that is too early, at slower rates as well."""
    spec = lasting(catalogue.models([model])[0], FULL_STEPS, FULL_ROWS)
    for factor in (1, 10, 100):
        given = slower(spec, factor)
        verdict, _ = compare(*engines.values(), Case(given, catalogue.tasks[task], dtype, FULL_ROWS), FULL_STEPS)
        measured(f"{model} on {task}, {dtype}, rate {given.optimizer.learning_rate_start:g}: {told(verdict)}")
        assert verdict.difference is None, verdict.difference.sentence()
        if verdict.horizon == FULL_STEPS or (factor == 1 and verdict.horizon >= MIN_STEPS[dtype]):
            return
        assert factor == 1 or verdict.horizon >= MIN_STEPS[dtype]
    pytest.fail("chaotic before the last step at a hundredth of the rate")
