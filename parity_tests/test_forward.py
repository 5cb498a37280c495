"""Same weights, same rows: every intermediate and the logits agree, and both with the NumPy referee."""

import numpy as np
import pytest

from parity_tests import referee
from parity_tests.bounds import FORWARD
from parity_tests.cases import ENGINES, ONE_TASK_PER_SHAPE, parameters, with_parameters
from parity_tests.differences import first_gap, relative_gap


def woken(access, seed=0):
    """Give the population weights that are all different from 0 and 1, so that no bias and no scale is idle."""
    rng = np.random.default_rng(seed)
    awake = {name: v + 0.1 * rng.standard_normal(v.shape).astype(v.dtype) for name, v in parameters(access).items()}
    with_parameters(access, awake)
    return access


@pytest.mark.parametrize(
    ("dtype", "task"), [*(("float64", task) for task in ONE_TASK_PER_SHAPE), ("float32", ONE_TASK_PER_SHAPE[0])]
)
def test_every_intermediate_agrees(model, task, dtype, engines, short_case):
    case = short_case(model, task, dtype)
    jax, torch = (woken(case.open(engines[name])).intermediates(case.data.x) for name in ENGINES)
    assert first_gap(jax, torch, FORWARD[dtype], order=torch) is None
    assert all(jax[name].dtype == torch[name].dtype for name in torch)


def test_intermediates_come_in_the_order_of_the_forward_pass(model, engines, short_case):
    case = short_case(model)
    jax, torch = (case.open(engines[name]).intermediates(case.data.x) for name in ENGINES)
    assert list(jax) == list(torch)


def test_engine_agrees_with_the_referee(model, engine, engines, short_case):
    case = short_case(model)
    access = woken(case.open(engines[engine]))
    logits, notes = referee.forward(
        case.spec.architecture, {name: v[0] for name, v in parameters(access).items()}, case.data.x
    )
    found = {name: values[0] for name, values in access.intermediates(case.data.x).items()}
    assert found.keys() == notes.keys()
    for name, values in notes.items():
        assert relative_gap(found[name], values) < FORWARD["float64"], name
    assert relative_gap(access.logits(case.data.x)[0], logits) < FORWARD["float64"]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_of_many_rows_agree(model, task, dtype, engines, short_case):
    case = short_case(model, task, dtype)
    jax, torch = (woken(case.open(engines[name])).logits(np.tile(case.data.x, (20, 1, 1))) for name in ENGINES)
    assert relative_gap(jax, torch) < FORWARD[dtype]
