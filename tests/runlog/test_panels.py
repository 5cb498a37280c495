from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from coretx.evaluation.scores import Curve, Predictions, split_scores
from coretx.runlog import panels


@pytest.mark.parametrize(("epochs", "plotted"), [(2, {1}), (3, {1, 2}), (4, {2, 3})])
def test_plots_are_drawn_in_the_middle_and_at_the_end(epochs, plotted):
    assert panels.plot_epochs(epochs) == plotted


def test_thinned_line_keeps_its_ends_and_invents_no_point():
    x = np.arange(5000.0)
    rows, words = panels.line_rows({"loss": Curve(x, x**2)})
    _, kept, squares = map(np.array, zip(*rows, strict=True))
    assert (len(rows), kept[0], kept[-1], words) == (400, 0, 4999, " (400 of 5000 points)")
    assert (squares == kept**2).all()
    assert (np.diff(kept) > 0).all()


def test_short_line_keeps_every_point():
    curve = Curve(np.arange(400.0), np.arange(400.0))
    assert panels.line_rows({"loss": curve}) == ([["loss", x, x] for x in range(400)], "")


def test_rows_of_many_long_lines_fit_the_table():
    lines = {str(k): Curve(np.arange(3000.0), np.arange(3000.0)) for k in range(40)}
    rows, words = panels.line_rows(lines)
    assert (len(rows), words) == (2_480, " (2480 of 120000 points)")
    assert {row[0] for row in rows} == set(lines)


def random_split(members=1, n=60, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(np.float64)
    return Predictions(np.zeros((n, 1, 1)), y, rng.normal(size=(members, n)).round(1) + y)  # rounded: with ties


def lines_of(split, kind, predictions=None):
    return panels.class_lines(kind, split_scores(split.logits, split.y), predictions)


def area(curve):
    return np.trapezoid(curve.y, curve.x)


def step_area(curve):
    return np.sum(np.abs(np.diff(curve.x)) * curve.y[1:])


def test_roc_of_class_zero_mirrors_that_of_class_one_and_both_have_the_area_of_the_scores():
    split = random_split()
    lines = lines_of(split, "roc", split)
    rates = np.linspace(0.003, 0.997, 200)  # off the vertical steps, where a rate has many values
    mirrored = np.interp(rates, 1 - lines["1"].y[::-1], 1 - lines["1"].x[::-1])
    np.testing.assert_allclose(np.interp(rates, lines["0"].x, lines["0"].y), mirrored, atol=1e-12)
    wanted = roc_auc_score(split.y, split.logits[0])
    assert [area(lines["0"]), area(lines["1"])] == pytest.approx([wanted, wanted])


def test_pr_of_class_zero_is_that_of_the_negated_logits():
    split = random_split()
    line = lines_of(split, "pr", split)["0"]
    assert step_area(line) == pytest.approx(average_precision_score(1 - split.y, -split.logits[0]))


@pytest.mark.parametrize("kind", ["roc", "pr"])
def test_without_predictions_class_one_has_the_only_line(kind):
    assert list(lines_of(random_split(), kind)) == ["1"]


def test_several_members_have_their_own_line_of_class_one_and_a_mean():
    split = random_split(members=2)
    scores = split_scores(split.logits, split.y)
    *own, mean = panels.class_lines("roc", scores, split).values()
    assert own == list(scores.roc)
    assert area(mean) == pytest.approx(scores.auc.mean(), abs=0.01)
    assert list(panels.class_lines("pr", scores, split)) == ["1 (member 0)", "1 (member 1)", "1 (mean)"]


def test_split_with_one_class_has_a_confusion_matrix_alone(make):
    scores = split_scores(np.array([[1.0, -1.0, 2.0]]), np.array([1.0, 1.0, 1.0]))
    found = panels.split_panels("mlp", "test", replace(make.result(make.config()), scores={"test": scores}))
    assert list(found) == ["mlp/test/confusion"]
    assert found["mlp/test/confusion"].rows == [["0", "0", 0], ["0", "1", 0], ["1", "0", 1], ["1", "1", 2]]
