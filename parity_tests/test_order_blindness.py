"""Which models see the order of the steps, told by permutation and by gradient."""

import numpy as np

from parity_tests.bounds import BLIND, SEES
from parity_tests.differences import relative_gap
from parity_tests.test_forward import woken

ORDER_BLIND = {"self_attention", "bahdanau_attention"}
ADDITIVE = {"logreg", "temporal"}
"""Models in which no step changes what another counts for."""


def test_model_sees_the_order_of_steps_unless_it_is_order_blind(model, engine, engines, short_case):
    """Order-blind: the logits do not change under a permutation of steps, and the gradients are permuted with them."""
    case = short_case(model)
    access = woken(case.open(engines[engine]))
    order = np.random.default_rng(0).permutation(case.shape.time)
    x = case.data.x
    moved = relative_gap(access.logits(x), access.logits(x[:, order]))
    turned = relative_gap(access.explain(x)[0][:, order], access.explain(x[:, order])[0])
    if model in ORDER_BLIND:
        assert max(moved, turned) < BLIND
    else:
        assert min(moved, turned) > SEES


def test_steps_of_additive_models_do_not_meet(model, engine, engines, short_case):
    """The gradient by one step stays as it is when another step changes."""
    case = short_case(model)
    access = woken(case.open(engines[engine]))
    changed = case.data.x.copy()
    changed[:, -1] += 1.0
    moved = relative_gap(access.explain(case.data.x)[0][:, 0], access.explain(changed)[0][:, 0])
    assert (moved < BLIND) == (model in ADDITIVE)
