"""What a population tells without training: gradients, attention, intermediates, in both engines."""

import jax
import numpy as np
import pytest

from coretx.models.registry import build_models
from coretx.models.spec import InputShape
from coretx.training.backend import load_backend

LADDER = [spec.name for spec in build_models()]
ATTENTION = {
    "logreg": {},
    "mlp": {},
    "temporal": {},
    "self_attention": {"attention.weights": (1, 5, 5)},
    "singlelayer_transformer": {"attention.weights": (1, 6, 6)},
    "bahdanau_attention": {"attention.weights": (1, 1, 5)},
    "multilayer_transformer": {"blocks.0.attention.weights": (4, 6, 6), "blocks.1.attention.weights": (4, 1, 6)},
}
INTERMEDIATES = {
    "logreg": [],
    "mlp": ["hidden"],
    "temporal": ["hidden", "verdicts"],
    "self_attention": ["hidden", "attention.logits", "attention.weights", "attended", "mixed"],
    "singlelayer_transformer": ["hidden", "attention.logits", "attention.weights", "attended", "mixed"],
    "bahdanau_attention": ["hidden", "attention.logits", "attention.weights", "mixed", "attended"],
    "multilayer_transformer": [
        "hidden",
        *(
            f"blocks.{i}.{name}"
            for i in (0, 1)
            for name in ("attention.logits", "attention.weights", "attended", "output")
        ),
    ],
}


@pytest.fixture(params=LADDER)
def name(request):
    return request.param


def parameters(access):
    return {key: value for key, value in access.state().items() if key.startswith("parameters/")}


def losses(access, data, weight=None):
    """Return each member's weighted mean loss, from its logits."""
    weight = np.ones(len(data)) if weight is None else weight
    z = access.logits(data.x).astype(np.float64)
    return (weight * (np.logaddexp(0, z) - data.y * z)).sum(axis=1) / weight.sum()


def test_gradients_agree_with_finite_differences(opened, engine, name, rows):
    access, data = opened(engine, name, dtype="float64"), rows["test"]
    weight, size, rng = np.linspace(0, 2, 12), 1e-5, np.random.default_rng(0)
    gradients, state = access.gradients(data.x, data.y, weight), parameters(access)
    assert {key: value.shape for key, value in gradients.items()} == {k: (2, *s) for k, s in access.manifest.items()}
    for key, gradient in gradients.items():
        direction = rng.standard_normal(gradient.shape)
        ends = []
        for sign in (1, -1):
            access.load_state(state | {f"parameters/{key}": state[f"parameters/{key}"] + sign * size * direction})
            ends.append(losses(access, data, weight))
        expected = (gradient * direction).reshape(2, -1).sum(axis=1)
        assert (ends[0] - ends[1]) / (2 * size) == pytest.approx(expected, rel=1e-5, abs=1e-9), key


def test_attention_has_a_layer_for_each_layer(opened, engine, name, rows):
    _, found = opened(engine, name).explain(rows["test"].x)
    assert {key: value.shape for key, value in found.items()} == {k: (12, *s) for k, s in ATTENTION[name].items()}


def test_intermediates_come_in_the_order_of_the_forward_pass(opened, engine, name, rows):
    assert list(opened(engine, name).intermediates(rows["test"].x)) == INTERMEDIATES[name]


def test_forward_pass_relies_on_no_rank_promotion(opened, name, rows):
    """What broadcasts by accident broadcasts wrongly one day: https://docs.jax.dev/en/latest/rank_promotion_warning.html"""
    with jax.numpy_rank_promotion("raise"):
        assert opened(load_backend("jax"), name, members=1).logits(rows["train"].x[:7]).shape == (1, 7)


def test_rows_do_not_see_each_other(opened, engine, name, rows):
    access, x = opened(engine, name, dtype="float64"), rows["test"].x
    assert access.logits(x)[:, :3] == pytest.approx(access.logits(x[:3]), abs=1e-12)


def test_input_may_lie_in_memory_as_it_likes(opened, engine, rows):
    access, x = opened(engine, "logreg"), rows["test"].x
    assert np.array_equal(access.logits(x[::-1]), access.logits(x[::-1].copy()))


@pytest.mark.parametrize("blind", ["self_attention", "bahdanau_attention"])
def test_order_blind_model_gives_any_order_one_logit(opened, engine, blind, rows):
    access, x = opened(engine, blind, dtype="float64"), rows["test"].x
    assert access.logits(x[:, [3, 1, 4, 0, 2]]) == pytest.approx(access.logits(x), abs=1e-12)


@pytest.mark.parametrize("seeing", ["singlelayer_transformer", "multilayer_transformer", "mlp", "temporal", "logreg"])
def test_model_with_positions_tells_orders_apart(opened, engine, seeing, rows):
    access, x = opened(engine, seeing, dtype="float64"), rows["test"].x
    assert np.abs(access.logits(x[:, [4, 3, 2, 1, 0]]) - access.logits(x)).max() > 1e-3


def test_explanation_is_the_gradient_and_the_attention_of_one_member(opened, engine, name, rows):
    """The gradient agrees with finite differences along each step and feature by itself."""
    access, x, size = opened(engine, name, dtype="float64"), rows["test"].x[:3].astype(np.float64), 1e-5
    slope, weights = access.explain(x, member=1)
    for place in np.ndindex(x.shape[1:]):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[:, *place] += sign * size
            ends.append(access.logits(moved)[1])
        assert slope[:, *place] == pytest.approx((ends[0] - ends[1]) / (2 * size), rel=1e-5, abs=1e-9), place
    of_all = {layer: values for layer, values in access.intermediates(x).items() if layer.endswith("attention.weights")}
    assert list(weights) == list(of_all)
    for layer, values in weights.items():
        assert values == pytest.approx(of_all[layer][1], rel=1e-10, abs=1e-12), layer
        assert (values >= 0).all()
        assert values.sum(axis=-1) == pytest.approx(np.ones(values.shape[:-1]), abs=1e-12)
    assert np.abs(slope - access.explain(x)[0]).max() > 1e-4


@pytest.mark.parametrize("strategy", ["loop", "vmap"])
def test_explanation_does_not_depend_on_how_members_run(opened, name, rows, strategy):
    backend = load_backend("jax", "cpu")
    # In float64: in float32 an entry near 0 is rounded by parts of the terms near 1 that it is the sum of.
    trained = opened(backend, name, members=3, dtype="float64")
    (spec,) = build_models([name])
    other = backend.open(spec, InputShape(5, 2), 3, "float64", strategy)
    other.load_state(parameters(trained))
    (expected, weights), (found, own) = trained.explain(rows["test"].x, 2), other.explain(rows["test"].x, 2)
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert own.keys() == weights.keys()
