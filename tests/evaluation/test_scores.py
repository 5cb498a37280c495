"""Scores against numbers worked out by hand and against direct formulas."""

import math

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from coretx.evaluation.scores import (
    Curve,
    calibration,
    confusion_matrix,
    cross_entropy,
    mean_pr,
    mean_roc,
    split_scores,
)
from coretx.training.loop import epoch_metrics

SUMS = {
    "train/loss_sum": [[6.0, 3.0]],
    "train/correct": [[5.0, 8.0]],
    "train/count": [[10.0, 10.0]],
    "train/grad_norm_sum": [[4.0, 2.0]],
    "train/weight_norm_sum": [[8.0, 6.0]],
    "train/steps": [[2.0, 2.0]],
    "test/loss_sum": [[2.0, 1.0]],
    "test/correct": [[3.0, 4.0]],
    "test/count": [[4.0, 4.0]],
}
ATTENTION = {"count": 4.0, "sum": 2.0, "squares": 36.0, "maxabs": 5.0}


def test_confusion_sums_over_members():
    found = confusion_matrix(np.array([[1.0, -1.0], [1.0, 1.0]]), np.array([1.0, 0.0]))
    assert found.tolist() == [[1, 1], [0, 2]]


def test_logit_of_zero_is_class_0():
    scores = split_scores(np.zeros((1, 3)), np.array([1.0, 0.0, 0.0]))
    assert scores.confusion.tolist() == [[2, 0], [1, 0]]
    assert scores.accuracy[0] == 2 / 3


@pytest.mark.parametrize(
    ("logits", "auc"),
    [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], 0.0), ([1, 3, 2, 4], 0.75), ([1, 1, 1, 1], 0.5)],
    ids=["perfect", "reversed", "one-pair-of-four-wrong", "ties"],
)
def test_auc_of_a_known_ranking(logits, auc):
    y = np.array([0.0, 0.0, 1.0, 1.0])
    assert split_scores(np.array([logits], float), y).auc.tolist() == [auc]


def test_average_precision_of_a_known_ranking():
    """Ranked 1, 0, 1, 0: precision 1 at recall 1/2, then 2/3 at recall 1."""
    scores = split_scores(np.array([[4.0, 3.0, 2.0, 1.0]]), np.array([1.0, 0.0, 1.0, 0.0]))
    assert scores.average_precision[0] == pytest.approx((1 + 2 / 3) / 2)


@hypothesis.given(
    logits=hypothesis.extra.numpy.arrays(np.float64, (1, 12), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0, 3.0])),
    y=hypothesis.extra.numpy.arrays(np.float64, 12, elements=st.sampled_from([0.0, 1.0])),
)
def test_average_precision_is_that_of_scikit_learn_where_scores_tie(logits, y):
    hypothesis.assume(0 < y.sum() < 12)
    found = split_scores(logits, y).average_precision[0]
    assert found == pytest.approx(average_precision_score(y, logits[0]), rel=1e-14)


def test_curves_run_from_corner_to_corner():
    scores = split_scores(np.array([[0.3, -1.0, 2.0, 0.1]]), np.array([0.0, 0.0, 1.0, 1.0]))
    (roc,), (pr,) = scores.roc, scores.pr
    assert [(roc.x[0], roc.y[0]), (roc.x[-1], roc.y[-1])] == [(0, 0), (1, 1)]
    assert (pr.x[0], pr.x[-1]) == (0, 1)


@hypothesis.given(
    logits=hypothesis.extra.numpy.arrays(np.float64, (2, 5), elements=st.floats(-30, 30)),
    y=hypothesis.extra.numpy.arrays(np.float64, 5, elements=st.sampled_from([0.0, 1.0])),
)
def test_loss_is_the_mean_negative_log_likelihood(logits, y):
    def row(z, label):
        return -math.log(1 / (1 + math.exp(-z)) if label else 1 / (1 + math.exp(z)))

    expected = [sum(row(z, label) for z, label in zip(member, y, strict=True)) / 5 for member in logits]
    assert cross_entropy(logits, y) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_loss_of_a_huge_wrong_logit_is_finite():
    assert cross_entropy(np.array([[1e4]]), np.array([0.0])).tolist() == [1e4]


def test_chance_is_the_share_of_the_larger_class():
    assert split_scores(np.zeros((1, 4)), np.array([1.0, 0.0, 0.0, 0.0])).chance == 0.75


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_split_of_one_class_has_no_area_and_no_curve(label):
    scores = split_scores(np.array([[1.0, -1.0], [2.0, 3.0]]), np.full(2, label))
    assert np.isnan([scores.auc, scores.average_precision]).all()
    assert scores.roc == scores.pr == ()
    assert np.isfinite(scores.loss).all()


def test_epoch_metrics_divide_sums_by_counts():
    metrics = epoch_metrics({name: np.array(values) for name, values in SUMS.items()})
    assert {name: values.tolist() for name, values in metrics.items()} == {
        "loss_train": [[0.6, 0.3]],
        "accuracy_train": [[0.5, 0.8]],
        "grad_norm": [[2.0, 1.0]],
        "weight_norm": [[4.0, 3.0]],
        "loss_test": [[0.5, 0.25]],
        "accuracy_test": [[0.75, 1.0]],
    }


def test_attention_metrics_are_mean_population_std_and_largest():
    sums = {f"attention/{name}": np.array([[value]]) for name, value in ATTENTION.items()}
    metrics = epoch_metrics({name: np.array(values)[:, :1] for name, values in SUMS.items()} | sums)
    assert [float(metrics[f"attn_logits_{name}"][0, 0]) for name in ("mean", "std", "maxabs")] == [0.5, 3.0, 5.0]


def test_mean_roc_averages_true_positive_rates():
    perfect, diagonal = (Curve(np.array(x), np.array(y)) for x, y in [([0.0, 0, 1], [0.0, 1, 1]), ([0.0, 1], [0.0, 1])])
    mean = mean_roc([perfect, diagonal], points=3)
    assert (mean.x.tolist(), mean.y.tolist()) == ([0, 0, 0.5, 1], [0, 0.5, 0.75, 1])


def test_mean_pr_takes_the_precision_of_the_lower_threshold():
    curve = Curve(np.array([0.0, 0.5, 1.0]), np.array([1.0, 1.0, 0.5]))
    assert mean_pr([curve], points=5).y.tolist() == [1.0, 1.0, 1.0, 0.5, 0.5]


def test_calibration_of_four_answers_by_hand():
    """Probabilities 0.25 and 0.75 twice each; of the four answers that say 0.75, half the rows are of class 1."""
    low, high = np.log([1 / 3, 3])
    found = calibration(np.array([[low, high], [low, high]]), np.array([0.0, 1.0]), bins=2)
    assert found.count.tolist() == [2, 2]
    np.testing.assert_allclose(found.probability, [0.5, 1.5])
    assert found.positives.tolist() == [0, 2]
    assert found.error == pytest.approx(0.25)
    assert found.brier == pytest.approx(0.0625)


def test_calibration_of_certain_answers_falls_into_the_outermost_bins():
    found = calibration(np.array([[-1000.0, 1000.0]]), np.array([0.0, 1.0]))
    assert found.count.tolist() == [1, *[0] * 8, 1]
    assert (found.error, found.brier) == (0.0, 0.0)


def test_an_answer_on_the_edge_of_two_bins_is_counted_once_in_the_upper():
    found = calibration(np.array([[0.0]]), np.array([1.0]), bins=2)
    assert found.count.tolist() == [0, 1]
