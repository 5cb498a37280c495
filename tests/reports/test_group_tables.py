"""A cell's parts in the tables and on its page."""

import dataclasses

import numpy as np
import pytest

from coretx.evaluation.groups import GroupScore
from coretx.evaluation.lengths import LengthScore
from coretx.evaluation.scores import wilson_interval
from coretx.reports.pages.model_page import render_model_page
from coretx.reports.tables.files import Tables
from coretx.reports.tables.groups import GROUPS, LENGTHS, group_rows


@pytest.fixture
def grouped(make_result):
    groups = (
        GroupScore("number of carries", "0", 60, 50, np.array([60, 54, 57])),
        GroupScore("number of carries", "1", 40, 20, np.array([20, 20, 20])),
    )
    return dataclasses.replace(make_result(), groups=groups)


def test_a_group_has_a_row_with_its_interval_over_problems(grouped, publish_cell, tmp_path):
    for _ in range(2):  # a second time replaces them
        publish_cell(grouped)
    rows = Tables(tmp_path)[GROUPS].rows
    assert [(row.id, row.grouping, row.group, row.rows, row.keys) for row in rows] == [
        (grouped.config.id, "number of carries", "0", 60, 50),
        (grouped.config.id, "number of carries", "1", 40, 20),
    ]
    assert (rows[0].accuracy, rows[0].accuracy_std) == pytest.approx((0.95, 0.05), abs=1e-12)
    assert (rows[1].low, rows[1].high) == wilson_interval(0.5, 20)


def test_one_member_has_no_spread(make_result):
    groups = (GroupScore("size", "3", 4, 4, np.array([3])),)
    (row,) = group_rows(dataclasses.replace(make_result(members=1), groups=groups))
    assert (row.accuracy, row.accuracy_std) == (0.75, None)


def test_the_page_shows_groups_with_counts_and_intervals(grouped, task, parse):
    page = parse(render_model_page(grouped, task, claim="claim"))
    assert "By number of carries Group Rows Problems Accuracy 95 % interval" in page.text
    assert "0 60 50 95.0% ± 5.0% 85.1\N{EN DASH}98.4%" in page.text
    assert "1 40 20 50.0% ± 0.0% 29.9\N{EN DASH}70.1%" in page.text


def test_a_task_without_groups_has_no_table_and_no_rows(make_result, publish_cell, tmp_path, parse):
    page = publish_cell(make_result())
    assert "Accuracy on test by group" not in parse(page.read_text()).text
    assert not (tmp_path / "benchmarks" / "groups.csv").exists()


@pytest.fixture
def longer(make_result):
    """A cell at two lengths; its shape fits one of them."""
    scores = (
        LengthScore(7, 2, 60, 50, np.array([1.0, 0.9, 0.95]), np.array([0.1, 0.2, 0.3])),
        LengthScore(9, 2, 60, 50, None, None),
    )
    return dataclasses.replace(make_result(), lengths=scores)


def test_a_length_has_a_row_without_scores_where_it_is_not_applicable(longer, publish_cell, tmp_path):
    for _ in range(2):
        publish_cell(longer)
    applicable, not_applicable = Tables(tmp_path)[LENGTHS].rows
    low, high = wilson_interval(0.95, 50)
    assert (applicable.length, applicable.trained, applicable.rows, applicable.keys) == (7, 2, 60, 50)
    assert (applicable.accuracy, applicable.accuracy_std, applicable.loss) == pytest.approx(
        (0.95, 0.05, 0.2), abs=1e-12
    )
    assert (applicable.low, applicable.high) == pytest.approx((low, high), abs=1e-12)
    assert (not_applicable.length, not_applicable.applicable, not_applicable.accuracy, not_applicable.low) == (
        *(9, 0),
        *(None, None),
    )


def test_the_page_shows_lengths(longer, task, parse):
    text = parse(render_model_page(longer, task, claim="claim")).text
    assert "7 60 50 95.0% ± 5.0% 85.1\N{EN DASH}98.4% 0.200" in text
    assert "9 60 50 not applicable: the shape of the model fixes the length" in text
    assert "Trained on 2 steps" in text
