"""Explanations of one member: the rows chosen, and sums by class."""

import numpy as np
import pytest

from coretx.evaluation.explanations import EXAMPLES, MOST_ROWS, examples, explain
from coretx.evaluation.scores import Predictions


@pytest.fixture
def answered(rows):
    x = np.concatenate([rows["train"].x[:1], rows["train"].x])  # the first row occurs twice
    y = np.concatenate([rows["train"].y[:1], rows["train"].y])
    return Predictions(x, y, np.arange(2 * len(y), dtype=np.float32).reshape(2, -1))


def test_examples_are_the_first_distinct_rows_of_each_class(answered):
    places = examples(answered.x, answered.y)
    assert answered.y[places].tolist() == [0, 0, 1, 1]
    assert 1 not in places  # it repeats row 0
    for label in (0, 1):
        same = [i for i in np.flatnonzero(answered.y == label) if i != 1]
        assert places[answered.y[places] == label].tolist() == same[:EXAMPLES]


def test_a_class_with_one_row_gives_one_example(answered):
    kept = np.append(np.flatnonzero(answered.y == 0), np.flatnonzero(answered.y == 1)[-1])
    assert answered.y[kept][examples(answered.x[kept], answered.y[kept])].tolist() == [0, 0, 1]


def test_sums_are_over_the_rows_of_each_class(opened, engine, answered):
    access = opened(engine, "self_attention")
    found = explain(access, answered, member=1)
    slope, attention = access.explain(answered.x, member=1)
    attribution = answered.x * slope
    for label in (0, 1):
        kept = answered.y == label
        assert found.rows[label] == kept.sum()
        assert found.present[label].tolist() == (answered.x[kept] != 0).sum(axis=0).tolist()
        assert found.attribution_sums[label] == pytest.approx(attribution[kept].sum(axis=0), abs=1e-5)
        assert found.attribution_sizes[label] == pytest.approx(np.abs(attribution[kept]).sum(axis=0), abs=1e-5)
        for layer, weights in attention.items():
            assert found.attention_sums[layer][label] == pytest.approx(weights[kept].sum(axis=0), abs=1e-5)
    chosen = examples(answered.x, answered.y)
    assert found.logits.tolist() == answered.logits[1, chosen].tolist()
    assert found.attribution == pytest.approx(attribution[chosen])


def test_long_splits_are_explained_on_evenly_spaced_rows(opened, engine):
    n = 3 * MOST_ROWS
    x = np.random.default_rng(0).standard_normal((n, 5, 2), dtype=np.float32)
    y = (np.arange(n) >= n // 2).astype(np.float32)
    found = explain(opened(engine, "logreg"), Predictions(x, y, np.zeros((2, n), np.float32)))
    assert found.rows.tolist() == [MOST_ROWS // 2, MOST_ROWS // 2]
    assert found.attention == found.attention_sums == {}
