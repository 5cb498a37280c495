"""The paired test and its correction: by hand, and how often they are wrong and right where the truth is known."""

import numpy as np
import pytest
from scipy.stats import norm

from coretx.comparisons import LEAST, LEVEL, compare_all, holm, paired_test

# What varies: the models' level, members, rows (shared by all models), rows by model; what is left has deviation 1.
ONLY_CHANCE, MEMBERS_TOO = (1.0, 0.0, 1.0, 1.0), (1.0, 0.3, 1.0, 0.5)
BOTH_NEARLY_PERFECT, MEMBERS_ABOVE_ALL = (2.5, 0.3, 1.0, 1.0), (2.0, 1.0, 1.0, 0.3)
TRUTHS = {
    "only chance": ONLY_CHANCE,
    "members too": MEMBERS_TOO,
    "nearly perfect": BOTH_NEARLY_PERFECT,
    "members above all": MEMBERS_ABOVE_ALL,
}


def draw(rng, models, members, n, truth, gain=0.0):
    """Return which rows the members of models have right; every model after the first is better by gain."""
    level, of_member, of_row, of_both = truth
    row = rng.normal(0, of_row, n)
    return {
        str(i): level + gain * (i > 0) + rng.normal(0, of_member, (members, 1)) + row
        + rng.normal(0, of_both, n) + rng.normal(0, 1, (members, n)) > 0
        for i in range(models)
    }  # fmt: skip


def p_values(truth, members, n, gain=0.0, draws=250):
    rng = np.random.default_rng(0)
    pairs = [draw(rng, 2, members, n, truth, gain) for _ in range(draws)]
    return np.array([paired_test(pair["1"], pair["0"], np.arange(n)).p for pair in pairs])


@pytest.mark.parametrize("members", [2, 5])
@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_models_that_do_not_differ_are_seldom_told_apart(truth, members):
    """At most as often as the level says, within three standard errors."""
    assert (p_values(truth, members, 100) < 0.05).mean() <= 0.05 + 3 * (0.05 * 0.95 / 250) ** 0.5


def test_one_run_each_is_told_apart_as_seldom_where_members_do_not_vary():
    assert (p_values(ONLY_CHANCE, 1, 100) < 0.05).mean() <= 0.05 + 3 * (0.05 * 0.95 / 250) ** 0.5


def test_one_run_each_says_nothing_of_other_runs():
    """Why members count: the test over the rows of one run alone tells equal models apart all the time."""
    assert (p_values(MEMBERS_ABOVE_ALL, 1, 300) < 0.05).mean() > 0.5
    assert (p_values(MEMBERS_ABOVE_ALL, 5, 300) < 0.05).mean() < 0.08


@pytest.mark.parametrize("members", [2, 5])
def test_of_seven_equal_models_hardly_ever_two_are_told_apart(members):
    """The correction holds the level over all 21 comparisons, far out in the tail of a test with few members."""
    rng, families = np.random.default_rng(1), 40
    wrong = 0
    for _ in range(families):
        found = compare_all(draw(rng, 7, members, 100, MEMBERS_TOO), np.arange(100))
        wrong += min(p for *_, p in found) < LEVEL
    assert wrong / families <= LEVEL


def test_models_that_differ_are_told_apart():
    """5 members and 1000 rows find 8 points nearly always, at the level of one of 21 comparisons."""
    rng = np.random.default_rng(2)
    pair = draw(rng, 2, 5, 100_000, (1.0, 0.05, 1.0, 0.5), 0.5)
    assert 0.07 < pair["1"].mean() - pair["0"].mean() < 0.1
    assert (p_values((1.0, 0.05, 1.0, 0.5), 5, 1000, gain=0.5, draws=100) < LEVEL / 21).mean() > 0.9


def test_interval_holds_the_difference_as_often_as_it_says():
    rng = np.random.default_rng(3)
    truth = draw(rng, 2, 2000, 2000, (1.0, 0.1, 1.0, 0.5), 0.5)
    difference = truth["1"].mean() - truth["0"].mean()
    pairs = [draw(rng, 2, 5, 200, (1.0, 0.1, 1.0, 0.5), 0.5) for _ in range(300)]
    found = [paired_test(pair["1"], pair["0"], np.arange(200)) for pair in pairs]
    assert np.mean([compared.low < difference < compared.high for compared in found]) > 0.93


def test_one_member_is_compared_as_mcnemar_does():
    """3 rows that only the first has right, 12 that only the second has: z = 9 / sqrt(15)."""
    first, second = np.ones((2, 1, 2000), bool)
    first[0, :12], second[0, 12:15] = False, False
    compared = paired_test(second, first, np.arange(2000))
    assert compared.difference == pytest.approx(9 / 2000)
    assert compared.p == pytest.approx(2 * norm.sf(9 / 15**0.5), rel=0.03)


def test_comparison_turned_round_is_the_same_with_another_sign():
    pair = draw(np.random.default_rng(4), 2, 3, 60, MEMBERS_TOO, 0.5)
    forth, back = (paired_test(pair[a], pair[b], np.arange(60)) for a, b in ("01", "10"))
    assert (forth.difference, forth.low, forth.p) == pytest.approx((-back.difference, -back.high, back.p))


def test_models_that_answer_alike_are_not_told_apart():
    right = np.random.default_rng(5).random((3, 50)) < 0.7
    compared = paired_test(right, right, np.arange(50))
    assert (compared.difference, compared.p) == (0.0, 1.0)


def test_rows_of_one_problem_count_as_one():
    """Four copies of every row are no more evidence, whatever their order."""
    pair = draw(np.random.default_rng(6), 2, 3, 40, MEMBERS_TOO, 0.7)
    once = paired_test(pair["1"], pair["0"], np.arange(40))
    copies = {name: np.tile(right, 4) for name, right in pair.items()}
    four_times = paired_test(copies["1"], copies["0"], np.tile(np.arange(40), 4))
    assert (four_times.difference, four_times.p) == pytest.approx((once.difference, once.p))
    assert paired_test(copies["1"], copies["0"], np.arange(160)).p < once.p


@pytest.mark.parametrize("members", [1, 2, 5])
def test_few_problems_tell_nothing_apart_however_clear(members):
    right = np.ones((members, 22), bool)
    compared = paired_test(right, ~right, np.arange(22) % 6)
    assert compared.difference == pytest.approx(1.0)
    assert 0.01 < compared.p < 1.0
    assert compared.low < 1.0


def test_clear_difference_on_many_rows_has_the_least_p_value():
    right = np.ones((5, 1000), bool)
    assert paired_test(right, ~right, np.arange(1000)).p == LEAST


def test_holm_by_hand():
    """0.01 x 4, 0.02 x 3, then 0.03 x 2 as it is more, then the 0.04 may not be below what came before."""
    assert holm([0.03, 0.01, 0.04, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


def test_every_pair_is_compared_once_the_later_against_the_earlier():
    right = np.ones((2, 30), bool)
    found = compare_all({"logreg": ~right, "mlp": right, "temporal": right}, np.arange(30))
    assert [(first, second) for first, second, *_ in found] == [
        ("logreg", "mlp"), ("logreg", "temporal"), ("mlp", "temporal"),
    ]  # fmt: skip
    assert [compared.difference for _, _, compared, _ in found] == [1.0, 1.0, 0.0]
    assert [p for *_, p in found] == holm([compared.p for _, _, compared, _ in found]).tolist()
