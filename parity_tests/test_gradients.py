"""Same weights, same batch: every gradient agrees, and both with finite differences of the NumPy referee."""

import numpy as np
import pytest

from parity_tests import referee
from parity_tests.bounds import FINITE_DIFFERENCE, GRADIENT, ZERO_GRADIENT
from parity_tests.cases import ENGINES, ONE_TASK_PER_SHAPE, parameters
from parity_tests.differences import gap, relative_gap, size
from parity_tests.test_forward import woken

FAST = [("float64", ONE_TASK_PER_SHAPE[0]), ("float32", ONE_TASK_PER_SHAPE[0])]
SLOW = [(dtype, task) for dtype in ("float64", "float32") for task in ONE_TASK_PER_SHAPE[1:]]


def batch(case):
    """Return rows of which some count half and the last not at all."""
    weight = np.where(np.arange(case.n) % 3 == 0, 0.5, 1.0)
    weight[-5:] = 0.0
    return case.data.x, case.data.y, weight


@pytest.mark.parametrize(("dtype", "task"), [*FAST, *(pytest.param(*each, marks=pytest.mark.slow) for each in SLOW)])
def test_every_gradient_agrees(model, task, dtype, engines, short_case):
    case = short_case(model, task, dtype)
    jax, torch = (woken(case.open(engines[name])).gradients(*batch(case)) for name in ENGINES)
    largest = max(size(gradient) for gradient in torch.values())
    for name in torch:
        if name.endswith("attention.key.bias"):  # zero but for rounding: see ZERO_GRADIENT
            assert max(size(jax[name]), size(torch[name])) < ZERO_GRADIENT[dtype] * largest, name
        else:
            assert relative_gap(jax[name], torch[name]) < GRADIENT[dtype], name


def test_explanations_agree(model, engines, short_case):
    case = short_case(model)
    (ours, weights), (theirs, reference) = (woken(case.open(engines[name])).explain(case.data.x) for name in ENGINES)
    assert relative_gap(ours, theirs) < GRADIENT["float64"]
    assert list(weights) == list(reference)
    for layer in weights:
        assert gap(weights[layer], reference[layer]) < GRADIENT["float64"], layer


def test_gradient_is_the_slope_of_the_referees_loss(model, engine, engines, short_case):
    """Along a random direction in each tensor, and so through every number in it."""
    case = short_case(model)
    access = woken(case.open(engines[engine]))
    weights = {name: values[0] for name, values in parameters(access).items()}
    x, y, weight = (array[::3] for array in batch(case))
    gradients = {name: values[0] for name, values in access.gradients(x, y, weight).items()}
    largest = max(np.linalg.norm(gradient) for gradient in gradients.values())
    rng = np.random.default_rng(0)
    for name, gradient in gradients.items():
        direction = rng.standard_normal(gradient.shape)
        direction /= np.linalg.norm(direction)

        def along(h, name=name, direction=direction):
            moved = weights | {name: weights[name] + h * direction}
            return referee.loss(case.spec.architecture, moved, x, y, weight)

        error = gap(referee.slope(along), (gradient * direction).sum())
        assert error < FINITE_DIFFERENCE * largest, name
