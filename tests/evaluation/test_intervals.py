"""Intervals against numbers worked out by hand, and their coverage."""

import dataclasses

import numpy as np
import pytest

from coretx.evaluation.intervals import student_interval
from coretx.evaluation.scores import Predictions, split_scores, wilson_interval
from coretx.records.cell_config import CellConfig
from coretx.records.results import ModelResult, Provenance
from coretx.tasks.splits import SplitCounts

CONFIG = CellConfig(
    "t", "mlp", "jax", 0, 3, 4, 1, "disjoint", "original", "float32", "cpu", "vmap", "highest", hyperparameters={}
)
MADE = Provenance("0", "unknown", "2026-01-01", "cpu", {}, {"total": 1.0})
Y = np.array([0, 0, 1, 1], np.float32)


def result(logits, y=Y, last=None, counts=None):
    logits = np.asarray(logits, np.float32)
    split = Predictions(np.zeros((len(y), 1, 1), np.float32), y, logits, last)
    scores = {"test": split_scores(logits, y)}
    last_scores = {} if last is None else {"test": split_scores(last, y)}
    return ModelResult(
        dataclasses.replace(CONFIG, members=len(logits)), MADE, "done", 1, {}, {}, scores, {"test": split},
        counts={} if counts is None else {"test": counts}, last_scores=last_scores,
    )  # fmt: skip


RIGHT, HALF = [-1, -1, 1, 1], [1, -1, 1, -1]


def test_interval_over_members_is_students():
    """Accuracies 1, 1/2, 1: mean 5/6, deviation 1/sqrt(12), and 4.3027 is the quantile of two degrees of freedom."""
    accuracy = result([RIGHT, HALF, RIGHT]).summaries("test")["accuracy"]
    assert accuracy.mean == pytest.approx(5 / 6)
    assert accuracy.std == pytest.approx(12**-0.5)
    assert accuracy.members == (pytest.approx(5 / 6 - 4.30265 / 6, abs=1e-5), 1.0)


def test_one_member_has_an_interval_over_rows_alone():
    accuracy = result([HALF]).summaries("test")["accuracy"]
    assert (accuracy.std, accuracy.members) == (None, None)
    assert accuracy.rows == wilson_interval(0.5, 4)


def test_loss_over_rows_is_students_over_the_members_mean():
    logits = np.array([[-2.0, 0.5, 1.0, -1.0], [-1.0, 0.0, 2.0, 1.0]])
    rows = (np.log1p(np.exp(logits)) - Y * logits).mean(axis=0)
    loss = result(logits).summaries("test")["loss"]
    half = 3.18245 * rows.std(ddof=1) / 2
    assert loss.rows == (
        pytest.approx(max(rows.mean() - half, 0), abs=1e-5),
        pytest.approx(rows.mean() + half, abs=1e-5),
    )


def test_sizes_of_ranking_scores_are_the_rarer_class_and_class_1():
    y = np.array([0, 0, 0, 0, 1, 1, 1], np.float32)
    found = result([[-3, -1, 2, -2, 1, 3, -1.5]], y).summaries("test")
    assert found["auc"].rows == wilson_interval(found["auc"].mean, 3)
    assert found["average_precision"].rows == wilson_interval(found["average_precision"].mean, 3)


def test_sizes_of_ranking_scores_if_class_0_is_rarer():
    """Rows of label 0 at -1 and 2, of label 1 at 4, 3, 1, 1/2 and -2; Wilson's ends by its formula, z = 1.959964.

    Area: of the 2 x 5 pairs 4 + 2 are in order, 0.6. Average precision: (1/1 + 2/2 + 3/4 + 4/5 + 5/7) / 5 = 0.8528571.
    Centre and half width are (s + z^2 / 2n) / (1 + z^2 / n) and z / (1 + z^2 / n) sqrt(s (1 - s) / n + z^2 / 4n^2):
    with s = 0.6 on n = 2 rows of the rarer class 0.5342380 and 0.4026828; with s = 0.8528571 on the n = 5 of class 1
    0.6995469 and 0.2793350.
    """
    y = np.array([0, 0, 1, 1, 1, 1, 1], np.float32)
    found = result([[-1, 2, 4, 3, 1, 0.5, -2]], y).summaries("test")
    assert found["auc"].mean == pytest.approx(0.6)
    assert found["auc"].rows == pytest.approx((0.1315552, 0.9369208), abs=1e-6)
    assert found["average_precision"].mean == pytest.approx(0.8528571, abs=1e-7)
    assert found["average_precision"].rows == pytest.approx((0.4202119, 0.9788819), abs=1e-6)


@pytest.mark.parametrize(
    ("share", "n", "ends"),
    [
        # (0.8 + 0.1920729) / 1.3841459 = 0.7167401, 1.959964 / 1.3841459 * sqrt(0.016 + 0.0096036) = 0.2265777
        (0.8, 10, (0.4901625, 0.9433178)),
        # z^2 / (n + z^2) = 3.8414589 / 13.8414589: at the edge one end is the share itself
        (0.0, 10, (0.0, 0.2775328)),
        (1.0, 10, (0.7224672, 1.0)),
        # 1 / 2 +- z / (2 sqrt(n + z^2)) = 0.979982 / 10.190263
        (0.5, 100, (0.4038315, 0.5961685)),
    ],
)
def test_wilsons_interval_by_hand(share, n, ends):
    assert wilson_interval(share, n) == pytest.approx(ends, abs=1e-6)


def test_units_are_problems_where_the_space_is_small():
    counts = SplitCounts((2, 2), (2, 2), (1, 2), 2, True)
    found = result([HALF], counts=counts).summaries("test")
    assert found["accuracy"].rows == wilson_interval(0.5, 2)
    assert found["auc"].rows == wilson_interval(found["auc"].mean, 1)
    large = result([HALF], counts=dataclasses.replace(counts, small_space=False)).summaries("test")
    assert large["accuracy"].rows == wilson_interval(0.5, 4)
    assert found["loss"].rows[1] > large["loss"].rows[1]


def test_units_of_a_small_space_are_problems_by_class():
    """3 problems of label 0 and 40 of label 1: 3 for the area, 40 for average precision, all 43 for the accuracy."""
    counts = SplitCounts((300, 400), (30, 60), (3, 40), 43, True)
    found = result([HALF], counts=counts).summaries("test")
    for name, n in (("auc", 3), ("average_precision", 40), ("accuracy", 43)):
        assert found[name].rows == wilson_interval(found[name].mean, n), name


def test_split_of_one_class_has_no_ranking_score():
    found = result([RIGHT, HALF], np.ones(4, np.float32)).summaries("test")
    assert (found["auc"].mean, found["auc"].members, found["auc"].rows) == (None, None, None)
    assert found["accuracy"].mean == 0.5


def test_last_epoch_has_intervals_of_its_own():
    last = np.array([RIGHT, HALF], np.float32)
    found = result([RIGHT, RIGHT], last=last).summaries("test", last=True)
    assert found["accuracy"].mean == 0.75
    rows = (np.logaddexp(0, last.astype(float)) - Y * last).mean(axis=0)
    assert found["loss"].rows[0] < rows.mean() < found["loss"].rows[1]


def test_student_interval_covers_the_mean_in_95_percent_of_draws():
    rng = np.random.default_rng(0)
    draws = rng.normal(0.8, 0.05, (4000, 5))
    ends = [student_interval(mean, std, 5) for mean, std in zip(draws.mean(1), draws.std(1, ddof=1), strict=True)]
    held = np.mean([low < 0.8 < high for low, high in ends])
    assert 0.94 < held < 0.96  # three standard errors are 0.0103
