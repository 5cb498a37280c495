"""One step and ten: both engines move parameters and moments as AdamW on paper does, at the schedule's rate."""

from dataclasses import replace

import numpy as np
import pytest

from coretx.models.spec import Optimizer
from coretx.training.backend import SECTIONS
from coretx.training.loop import learning_rates, train
from parity_tests import referee
from parity_tests.bounds import OPTIMIZER
from parity_tests.cases import train_steps
from parity_tests.differences import relative_gap, size


def on_paper(access, case, steps):
    """Return the state before each step, what AdamW in NumPy makes of it by the engine's gradients, the state after."""
    after = access.state()
    for i in range(len(steps)):
        before = after
        rows, weights = steps.rows[i], steps.weights[i]
        gradients = access.gradients(case.data.x[rows], case.data.y[rows], weights)
        expected = {
            name: referee.adamw(
                *(before[f"{section}/{name}"].astype(np.float64) for section in SECTIONS),
                gradients[name].astype(np.float64),
                i + 1,
                steps.learning_rate[i],
                case.spec.optimizer,
            )
            for name in access.manifest
        }
        train_steps(access, case, steps.part(slice(i, i + 1)))
        after = access.state()
        yield before, expected, after


def step_error(before, after, expected):
    """Return how wrong a tensor is after a step, as a share of the larger of the two: a step may end near 0."""
    return relative_gap(after, expected, scale=max(size(before), size(expected)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("model", ["mlp", "self_attention"])
def test_ten_steps_are_adamws_on_paper(model, dtype, engine, engines, short_case):
    """Moments and schedule included; two models, since the optimizer does not know which it serves."""
    case = short_case(model, dtype=dtype)
    access = case.open(engines[engine])
    for step, (before, expected, after) in enumerate(on_paper(access, case, case.steps().part(slice(0, 10)))):
        assert after["step"].tolist() == [step + 1]
        for name, tensors in expected.items():
            for section, values in zip(SECTIONS, tensors, strict=True):
                tensor = f"{section}/{name}"
                assert step_error(before[tensor], after[tensor], values) < OPTIMIZER[dtype], (step, tensor)


def test_other_constants_reach_the_optimizer(engine, engines, short_case):
    """b1, b2, eps and weight decay are the spec's, not a framework's defaults."""
    case = short_case("logreg")
    unusual = replace(case.spec.optimizer, b1=0.7, b2=0.9, eps=1e-2, weight_decay=0.3)
    case = replace(case, spec=replace(case.spec, optimizer=unusual))
    access = case.open(engines[engine])
    for before, expected, after in on_paper(access, case, case.steps().part(slice(0, 10))):
        for section, values in zip(SECTIONS, expected["head.weight"], strict=True):
            tensor = f"{section}/head.weight"
            assert step_error(before[tensor], after[tensor], values) < OPTIMIZER["float64"]


def test_schedule_is_linear_from_start_to_end():
    optimizer = Optimizer(0.4, 0.2, epochs=5)
    np.testing.assert_allclose(learning_rates(optimizer, range(5)), [0.4, 0.35, 0.3, 0.25, 0.2], rtol=1e-15)
    np.testing.assert_allclose(learning_rates(optimizer, range(3, 5)), [0.25, 0.2], rtol=1e-15)


def test_production_hands_both_engines_the_schedule_of_the_spec(engine, engines, short_case):
    """Each epoch's move of logistic regression without moments or decay is its rate times the sign of the gradient."""
    case = short_case("logreg")
    signs = replace(case.spec.optimizer, b1=0.0, b2=0.0, eps=1e-300, weight_decay=0.0, batch_size=case.n, epochs=4)
    case = replace(case, spec=replace(case.spec, optimizer=signs))
    access = case.open(engines[engine])
    moves, before = [], access.state()["parameters/head.weight"]
    for epoch in range(4):
        part = case.steps().part(slice(epoch, epoch + 1))
        train_steps(access, case, part)
        after = access.state()["parameters/head.weight"]
        moves.append(np.abs(after - before).max())
        before = after
    np.testing.assert_allclose(moves, learning_rates(signs, range(4)), rtol=1e-12)
    history = train(case.open(engines[engine]), case.population(), {"train": case.data}, lambda record: None)
    np.testing.assert_array_equal(history["learning_rate"][0], learning_rates(signs, range(4)))
