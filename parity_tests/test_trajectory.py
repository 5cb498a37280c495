"""The whole training, compared after every step: loss, gradient norm, all parameters, both moments of AdamW."""

import numpy as np
import pytest

from parity_tests.bounds import CHUNK, COPIES, MIN_STEPS
from parity_tests.cases import ENGINES, ONE_TASK_PER_SHAPE, Case, lasting, slower
from parity_tests.differences import largest_gap
from parity_tests.trajectory import Verdict, follow, judge, perturbed, runner

FULL_STEPS, FULL_ROWS = 800, 1000

SHAPES = [
    task if place % 2 == 0 else pytest.param(task, marks=pytest.mark.slow)
    for place, task in enumerate(ONE_TASK_PER_SHAPE)
]
"""Every second shape in the fast part: each costs a compilation of every model."""


def compared(case, engines, steps) -> tuple[Verdict, set[str]]:
    """Return the verdict on jax against torch, the envelope measured by copies of jax."""
    jax, torch = (runner(case.open(engines[name]), case) for name in ENGINES)
    copies = {f"copy {seed}": perturbed(case.open(engines["jax"]), case, seed) for seed in range(COPIES)}
    trajectory = follow(jax, copies | {"torch": torch}, steps)
    return judge(trajectory, "torch", tuple(copies), case.dtype), trajectory.without_gradient


@pytest.mark.parametrize("task", SHAPES)
def test_every_step_of_a_short_training_agrees(model, task, engines, short_case):
    case = short_case(model, task)
    verdict, dead = compared(case, engines, len(case.steps()))
    assert verdict.difference is None, verdict.difference.sentence()
    assert verdict.horizon == len(case.steps()) == 15
    # The one kind of parameter that is not compared; a second kind would need its reason written down.
    assert dead == {name for name in case.open(engines["torch"]).manifest if name.endswith("attention.key.bias")}


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
def test_a_full_training_agrees_or_its_envelope_says_why(model, task, dtype, engines, catalogue, capsys):
    """800 steps, asserted until the envelope passes 1e-3; where that is too early, a tenth of the rate as well."""
    spec = lasting(catalogue.models([model])[0], FULL_STEPS, FULL_ROWS)
    case = Case(spec, catalogue.tasks[task], dtype, FULL_ROWS)
    verdict, _ = compared(case, engines, FULL_STEPS)
    report(capsys, case, verdict)
    assert verdict.difference is None, verdict.difference.sentence()
    if verdict.horizon >= MIN_STEPS[dtype]:
        return
    slow_case = Case(slower(spec), case.task, dtype, FULL_ROWS)
    slow_verdict, _ = compared(slow_case, engines, FULL_STEPS)
    report(capsys, slow_case, slow_verdict)
    assert slow_verdict.difference is None, slow_verdict.difference.sentence()
    assert slow_verdict.horizon == FULL_STEPS


def report(capsys, case, verdict):
    """Print how long it held, so that a run by name shows it."""
    rate = case.spec.optimizer.learning_rate_start
    with capsys.disabled():
        print(
            f"\n{case.spec.name} on {case.task.name}, {case.dtype}, rate {rate:g}: {verdict.horizon} steps asserted, "
            f"largest error {verdict.largest_error:.1e}, envelope {verdict.envelope[verdict.horizon - 1]:.1e}"
        )
