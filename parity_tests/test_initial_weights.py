"""Both engines start from the same bits."""

import numpy as np
import pytest

from coretx.models.init import xavier_uniform
from parity_tests.cases import parameters


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_initial_state_is_the_same_bit_for_bit(model, task, dtype, engines, short_case):
    case = short_case(model, task, dtype)
    jax, torch = (case.open(engines[name], members=2).state() for name in ("jax", "torch"))
    assert jax.keys() == torch.keys()
    for name, values in jax.items():
        np.testing.assert_array_equal(values, torch[name], err_msg=name)
        assert values.dtype == torch[name].dtype, name


def test_members_and_matrices_differ(model, engines, short_case):
    drawn = parameters(short_case(model).open(engines["jax"], members=2))
    for name, (first, second) in drawn.items():
        assert (first != second).any() == (name.endswith("weight") and first.ndim == 2), name


def test_matrices_are_xavier_uniform():
    values = xavier_uniform("head.weight", (300, 100), np.random.default_rng(0))
    bound = np.sqrt(6 / 400)
    assert abs(values).max() <= bound
    # The standard error of a uniform's standard deviation is sqrt(1/5 / n) of it or less: five of them at n = 30,000.
    assert values.std() == pytest.approx(bound / np.sqrt(3), rel=5 * np.sqrt(0.2 / values.size))
