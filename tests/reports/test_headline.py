"""What a score amounts to, where it stands on its line, and the examples at the top of a page."""

import dataclasses

import numpy as np
import pytest

from coretx.evaluation.ceilings import Ceiling
from coretx.evaluation.intervals import Summary
from coretx.reports.pages.model_page import question, scale, side_used_up, verdict
from coretx.tasks.splits import SplitCounts


def accuracy(mean, members=None, rows=None):
    return Summary(mean=mean, std=None, members=members, rows=rows)


@pytest.mark.parametrize(
    ("known", "best", "word"),
    [
        (accuracy(0.52, rows=(0.48, 0.56)), 1.0, "Chance is not excluded"),
        (accuracy(0.52, members=(0.51, 0.53), rows=(0.48, 0.56)), 1.0, "Chance is not excluded"),
        (accuracy(0.40, rows=(0.37, 0.43)), 1.0, "Below chance"),
        (accuracy(0.80, rows=(0.78, 0.82)), 1.0, "Above chance, below its ceiling"),
        (accuracy(0.80, rows=(0.78, 0.82)), 0.81, "At its ceiling"),
        (accuracy(0.80, members=(0.7, 0.9), rows=(0.78, 0.82)), 0.89, "At its ceiling"),
        (accuracy(0.80, rows=(0.78, 0.82)), None, "Above chance"),
    ],
)
def test_a_score_is_judged_by_the_outermost_ends_of_its_intervals(known, best, word):
    ceiling = None if best is None else Ceiling(best, "exact")
    assert verdict(known, 0.5, ceiling).word == word


def test_below_chance_the_split_is_named_where_its_sides_are_used_up():
    known, why = accuracy(0.365, members=(0.36, 0.37), rows=(0.28, 0.47)), "its interval ends below 50.0%"
    assert verdict(known, 0.5, None).why == why
    found = verdict(known, 0.5, None, used_up=True)
    assert found.word == "Below chance"
    assert (
        found.why
        == f"{why}: the splits are disjoint parts of a small space, so what is more frequent in train is rarer in test"
    )


@pytest.mark.parametrize(
    ("split", "rows", "used_up"), [("disjoint", 48, True), ("disjoint", 100, False), ("original", 48, False)]
)
def test_a_disjoint_side_is_used_up_where_train_has_fewer_rows_than_asked(make_result, split, rows, used_up):
    counts = SplitCounts((rows, rows), (rows, rows), (rows, rows), 2 * rows, small_space=True)
    result = dataclasses.replace(make_result(split=split, n_samples=200), counts={"train": counts})
    assert side_used_up(result) == used_up


def test_how_far_below_its_ceiling_is_said_in_points():
    assert verdict(accuracy(0.8, rows=(0.78, 0.82)), 0.5, Ceiling(0.925, "exact")).why == "12.5 points short of 92.5%"


def test_where_chance_and_ceiling_are_both_inside_both_are_said():
    why = verdict(accuracy(0.55, rows=(0.4, 0.7)), 0.5, Ceiling(0.6, "exact")).why
    assert why == "its interval includes 50.0%, and its ceiling of 60.0% too"


def test_without_an_interval_there_is_no_verdict():
    assert verdict(accuracy(None), 0.5, None) is None
    assert verdict(accuracy(0.7), 0.5, None) is None
    assert scale(accuracy(0.7), 0.5, None) is None


def test_the_line_ends_at_one_and_begins_below_all_that_is_on_it():
    found = scale(accuracy(0.75, rows=(0.7, 0.8)), 0.5, Ceiling(0.9, "exact"))
    assert found["begin"] == "40%"
    places = [found[name] for name in ("chance", "low", "mean", "ceiling")]
    assert places == pytest.approx([100 / 6, 50, 100 * 0.35 / 0.6, 100 * 0.5 / 0.6], abs=0.01)
    assert found["low"] + found["width"] == pytest.approx(100 * 0.4 / 0.6, abs=0.01)


def test_an_example_of_each_class_is_shown_class_1_first(make_result, task):
    result = make_result()
    test = result.predictions["test"]
    found = question(result, task)
    assert found == [(label, task.render(test.x[np.flatnonzero(test.y == label)[0]])) for label in (1, 0)]


def test_a_class_that_test_lacks_has_no_example(make_result, task):
    result = make_result()
    test = result.predictions["test"]
    ones = test.y == 1
    part = dataclasses.replace(test, x=test.x[ones], y=test.y[ones], logits=test.logits[:, ones])
    assert [label for label, _ in question(dataclasses.replace(result, predictions={"test": part}), task)] == [1]
