"""Attention and gradient x input as tables: axes, percentages, tints."""

import numpy as np
import pytest

from coretx.evaluation.explanations import Explanation
from coretx.reports.pages.attention_tables import attention_layers, attention_tables, axes
from coretx.tasks.registry import TASKS


def explanation(task, attention, rng, rows=(5, 5)):
    """Return one of two examples, a row of each class, and of sums that are the means times the rows."""
    x = np.eye(task.feature_dim, dtype=np.float32)[rng.integers(0, task.feature_dim, (2, task.sequence_length))]
    shape = (2, task.sequence_length, task.feature_dim)
    sums = rng.normal(size=shape)
    counts = np.array(rows)
    return Explanation(
        x=x,
        y=np.array([0.0, 1.0], np.float32),
        logits=np.array([0.5, 1.5], np.float32),
        attribution=rng.normal(size=shape).astype(np.float32),
        attention={name: np.stack([weights, weights]) for name, weights in attention.items()},
        rows=counts,
        present=np.ones(shape, int),
        attribution_sums=sums,
        attribution_sizes=np.abs(sums),
        attention_sums={name: weights[None] * counts[:, None, None, None] for name, weights in attention.items()},
    )


def softmax(values):
    weights = np.exp(values)
    return weights / weights.sum(axis=-1, keepdims=True)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def equation():
    return TASKS["single_digit_sum"]


def test_each_layer_has_a_map_for_each_head_in_percent(rng):
    weights = softmax(rng.normal(size=(4, 6, 6)))
    (layer,) = attention_layers({"blocks.0.attention": weights}, list("5+3=8"), "label 1")
    assert layer.name == "Layer 1"
    assert [found.title for found in layer.maps] == [f"head {head}, label 1" for head in (1, 2, 3, 4)]
    assert list(layer.maps[0].columns) == ["CLS", *"5+3=8"]
    for head, found in zip(weights, layer.maps, strict=True):
        assert [name for name, _ in found.rows] == ["CLS", *"5+3=8"]
        shown = [[int(cell.text) for cell in row] for _, row in found.rows]
        assert np.abs(np.array(shown) - 100 * head).max() <= 0.5 + 1e-9


def test_where_one_step_alone_asks_the_heads_are_rows_of_one_map(rng):
    (layer,) = attention_layers({"blocks.1.attention": softmax(rng.normal(size=(4, 1, 6)))}, list("5+3=8"), "label 0")
    assert layer.name == "Layer 2"
    (found,) = layer.maps
    assert found.title == "CLS asks, label 0"
    assert [name for name, _ in found.rows] == ["head 1", "head 2", "head 3", "head 4"]


def test_a_read_out_over_the_steps_asks_under_that_name():
    assert axes(1, 3, ["a", "b", "c"])[0] == ["read-out"]


def test_averages_are_the_sums_over_the_rows_of_the_class(equation, rng):
    weights = softmax(rng.normal(size=(1, 5, 5)))
    found = attention_tables(explanation(equation, {"attention": weights}, rng, rows=(3, 7)), equation)
    assert found["rows"] == "3 of label 0 and 7 of label 1"
    for (layer,) in found["attention"]:
        shown = [[int(cell.text) for cell in row] for _, row in layer.maps[0].rows]
        assert np.abs(np.array(shown) - 100 * weights[0]).max() <= 0.5 + 1e-9


def test_a_class_without_rows_is_not_shown(equation, rng):
    found = attention_tables(
        explanation(equation, {"attention": softmax(rng.normal(size=(1, 5, 5)))}, rng, rows=(4, 0)), equation
    )
    assert [layer.maps[0].title for (layer,) in found["attention"]] == ["label 0"]
    assert [name for name, _ in found["sizes"].rows] == ["label 0"]


def test_a_model_without_attention_still_says_what_it_looks_at(equation, rng):
    found = attention_tables(explanation(equation, {}, rng), equation)
    assert found["attention"] == []
    assert len(found["averages"]) == 2
    assert all(example["layers"] == [] for example in found["examples"])


def test_gradient_times_input_of_an_example_is_under_its_tokens(equation, rng):
    known = explanation(equation, {}, rng)
    example = attention_tables(known, equation)["examples"][0]
    assert list(example["adds"].columns) == equation.step_names(known.x[0])
    ((name, cells),) = example["adds"].rows
    assert name == "adds"
    values = known.attribution[0].sum(axis=1)
    assert [cell.less for cell in cells] == [bool(value < 0) for value in values]
    largest = int(np.argmax(np.abs(values)))
    assert [cell.tint for cell in cells].index(100) == largest
    assert [example["right"] for example in attention_tables(known, equation)["examples"]] == [False, True]


def test_features_of_a_numeric_step_are_one_by_one_and_together(rng):
    task = TASKS["sign_of_winner"]
    known = explanation(task, {}, rng)
    known = Explanation(**{**known.__dict__, "x": np.ones_like(known.x)})
    names = [name for name, _ in attention_tables(known, task)["examples"][0]["adds"].rows]
    assert names == [*task.feature_names(), "together"]


def test_a_number_that_is_none_has_no_tint(equation, rng):
    known = explanation(equation, {}, rng)
    known.present[0] = 0
    tints = {cell.tint for _, row in attention_tables(known, equation)["averages"][0].rows for cell in row}
    assert tints == {0}


def test_maps_too_large_to_be_read_are_named_not_drawn(rng):
    (layer,) = attention_layers({"attention": softmax(rng.normal(size=(1, 30, 30)))}, ["x"] * 30, "label 1")
    assert layer.maps == []
    assert layer.left_out == "Attention: weights over 30 steps, too many for a table."


def test_where_maps_are_large_one_example_of_each_label_is_shown(equation, rng):
    for heads, shown in ((1, 4), (30, 2)):
        known = explanation(equation, {"attention": softmax(rng.normal(size=(heads, 6, 6)))}, rng)
        twice = {name: np.concatenate([known.__dict__[name]] * 2) for name in ("x", "y", "logits", "attribution")}
        twice["attention"] = {name: np.concatenate([values] * 2) for name, values in known.attention.items()}
        examples = attention_tables(Explanation(**{**known.__dict__, **twice}), equation)["examples"]
        assert [example["label"] for example in examples] == [0, 1, 0, 1][:shown]
