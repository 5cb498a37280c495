"""The spread over draws of data, apart from that over members."""

import dataclasses
import math

import pytest

from coretx.reports.pages.dashboard import render_dashboard
from coretx.reports.pages.model_page import render_model_page
from coretx.reports.pages.score_context import data_spread, draws_of


@pytest.fixture
def rows(make_row):
    """Three draws of data with three members each, out of order: accuracy 0.9, 0.7, 0.8."""
    return [
        make_row(id=str(seed), seed=seed, members=3, accuracy=accuracy, accuracy_std=std)
        for seed, accuracy, std in ((6, 0.8, 0.01), (0, 0.9, 0.05), (3, 0.7, 0.07))
    ]


def test_spread_over_data_is_students_over_the_means_of_the_draws(rows):
    """Deviation 0.1 over three: 4.3027 / sqrt(3) x 0.1; within a draw sqrt((1 + 25 + 49) / 3) = 5 points."""
    spread = data_spread(rows[0], draws_of(rows))
    assert spread.seeds == (0, 3, 6)
    assert (spread.mean, spread.std, spread.members_std) == pytest.approx((0.8, 0.1, 0.05))
    assert spread.interval == (pytest.approx(0.8 - 0.430265 / math.sqrt(3), abs=1e-5), 1.0)


def test_one_draw_has_no_spread(make_row):
    assert data_spread(make_row(), draws_of([make_row()])) is None
    assert data_spread(None, draws_of([make_row()])) is None


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1}, {"seed": 2}, {"task": "t"}, {"model": "m"}, {"backend": "torch"}, {"protocol": "disjoint"},
        {"negatives": "balanced"}, {"recipe": "r"}, {"n_samples": 10}, {"members": 2}, {"epochs": 7}, {"split": "val"},
        {"accuracy": None},
    ],
    ids=str,
)  # fmt: skip
def test_draws_never_mix_configurations_nor_share_a_seed(make_row, change):
    """Seeds 1 and 2 name the test and validation rows of seed 0."""
    row = make_row()
    assert data_spread(row, draws_of([row, dataclasses.replace(row, **{"seed": 3} | change)])) is None
    assert data_spread(row, draws_of([row, dataclasses.replace(row, seed=3)])) is not None


def test_newest_result_of_a_draw_counts(make_row):
    old, new = (
        make_row(seed=3, accuracy=accuracy, date=date) for accuracy, date in ((0.1, "2026-01"), (0.7, "2026-02"))
    )
    assert data_spread(new, draws_of([new, make_row(seed=0, accuracy=0.9), old])).mean == pytest.approx(0.8)


def test_one_member_has_a_spread_over_data_alone(make_row):
    spread = data_spread(make_row(), draws_of([make_row(), make_row(seed=3)]))
    assert spread.members_std is None


def test_dashboard_shows_it_apart(rows, parse):
    def render(shown):
        html = render_dashboard(
            shown, [], [], task_titles={}, task_order=[], model_order=[], has_page=lambda row: False
        )
        return parse(html).text

    assert "mlp 80.0% ± 10.0 data 55.2\N{EN DASH}100.0% members ± 5.0 seeds 0, 3, 6" in render(rows)
    assert "Other data" not in render(rows[:1])


def test_page_shows_it_apart(make_result, publish_cell, task, parse):
    first, second = make_result(seed=0), make_result(seed=3, noise=9.0)
    for result in (first, second):
        path = publish_cell(result)
    draws = [100 * result.scores["test"].accuracy.mean() for result in (first, second)]
    text = parse(path.read_text()).text
    assert f"over 2 draws of data (seeds 0, 3): {sum(draws) / 2:.1f}% ± {abs(draws[0] - draws[1]) / 2**0.5:.1f}" in text
    assert "over members within a draw ±" in text
    assert "draws of data" not in parse(render_model_page(first, task, claim="claim")).text
