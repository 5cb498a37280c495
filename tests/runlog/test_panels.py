import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from coretx.evaluation.scores import Curve, Predictions, split_scores
from coretx.runlog import panels
from coretx.training.loop import EpochRecord


@pytest.mark.parametrize(("epochs", "plotted"), [(1, {0}), (2, {1}), (3, {1, 2}), (4, {2, 3}), (1001, {500, 1000})])
def test_plots_stand_in_the_middle_and_at_the_end(epochs, plotted):
    assert panels.plot_epochs(epochs) == plotted


def test_thin_keeps_short_curves_whole():
    curve = Curve(np.arange(5.0), np.arange(5.0))
    assert panels.thin(curve, 5) is curve


def test_thin_keeps_the_ends_and_invents_no_point():
    curve = Curve(np.arange(5000.0), np.arange(5000.0) ** 2)
    thinned = panels.thin(curve, 1000)
    assert (len(thinned.x), thinned.x[0], thinned.x[-1]) == (1000, 0, 4999)
    assert (thinned.y == thinned.x**2).all()
    assert (np.diff(thinned.x) > 0).all()


def random_split(members=1, n=60, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(np.float64)
    return Predictions(np.zeros((n, 1, 1)), y, rng.normal(size=(members, n)).round(1) + y)  # rounded: with ties


def area(curve):
    return np.trapezoid(curve.y, curve.x)


def step_area(curve):
    return np.sum(np.abs(np.diff(curve.x)) * curve.y[1:])


def test_roc_of_class_zero_is_that_of_class_one_mirrored():
    split = random_split()
    lines = panels.curve_lines(split_scores(split.logits, split.y), split)["roc"]
    rates = np.linspace(0.003, 0.997, 200)  # off the vertical steps, where a rate has many values
    mirrored = np.interp(rates, 1 - lines["1"].y[::-1], 1 - lines["1"].x[::-1])
    np.testing.assert_allclose(np.interp(rates, lines["0"].x, lines["0"].y), mirrored, atol=1e-12)


def test_roc_of_both_classes_has_the_area_of_the_scores():
    split = random_split()
    lines = panels.curve_lines(split_scores(split.logits, split.y), split)["roc"]
    wanted = roc_auc_score(split.y, split.logits[0])
    assert [area(lines["0"]), area(lines["1"])] == pytest.approx([wanted, wanted])


def test_pr_of_class_zero_is_that_of_the_negated_logits():
    split = random_split()
    line = panels.curve_lines(split_scores(split.logits, split.y), split)["pr"]["0"]
    assert step_area(line) == pytest.approx(average_precision_score(1 - split.y, -split.logits[0]))


def test_without_predictions_class_one_stands_alone():
    split = random_split()
    lines = panels.curve_lines(split_scores(split.logits, split.y), None)
    assert {name: list(lines[name]) for name in lines} == {"roc": ["1"], "pr": ["1"]}


def test_several_members_have_their_own_line_of_class_one_and_a_mean():
    split = random_split(members=2)
    scores = split_scores(split.logits, split.y)
    lines = panels.curve_lines(scores, split)
    *own, mean = lines["roc"].values()
    assert own == list(scores.roc)
    assert area(mean) == pytest.approx(scores.auc.mean(), abs=0.01)
    assert list(lines["pr"]) == ["1 (member 0)", "1 (member 1)", "1 (mean)"]


def test_split_with_one_class_has_no_lines():
    scores = split_scores(np.zeros((1, 4)), np.ones(4))
    assert panels.curve_lines(scores, Predictions(np.zeros((4, 1, 1)), np.ones(4), np.zeros((1, 4)))) == {
        "roc": {},
        "pr": {},
    }


def test_rows_of_many_long_lines_fit_the_table():
    lines = {str(k): Curve(np.arange(3000.0), np.arange(3000.0)) for k in range(40)}
    rows, points = panels.curve_rows(lines)
    assert (len(rows), points) == (2_480, 120_000)
    assert {row[0] for row in rows} == set(lines)


def test_confusion_rows_name_actual_before_predicted():
    scores = split_scores(np.array([[1.0, -1.0, 2.0]]), np.array([1.0, 1.0, 0.0]))
    assert panels.confusion_rows(scores) == [["0", "0", 0], ["0", "1", 1], ["1", "0", 1], ["1", "1", 1]]


def test_one_member_has_no_spread():
    assert panels.summarise({"loss": np.array([2.0])}) == ({"loss": 2.0}, {})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_metric_with_a_member_that_is_not_finite_is_left_out(value):
    assert panels.summarise({"loss": np.array([2.0, value])}) == ({}, {})


def test_history_of_one_model_leaves_the_other_alone():
    histories = panels.Histories()
    histories.add("a", EpochRecord(0, {}), {"loss": 1.0})
    histories.add("b", EpochRecord(0, {}), {"loss": 2.0})
    histories.add("a", EpochRecord(1, {}), {"loss": 3.0})
    curve = histories.curve("a", "loss")
    assert (curve.x.tolist(), curve.y.tolist()) == ([0, 1], [1, 3])
