"""Both tests and their correction: by hand, and their error rates and power for a known truth."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm, t

from coretx.evaluation.paired_test import (
    LEAST,
    LEVEL,
    MARGIN,
    NEEDS_MEMBERS,
    Comparison,
    compare_recipes,
    compare_runs,
    holm,
    verdict,
)

# The models' level; deviations of members, of rows (shared by all models), of rows by model; the residual has 1.
ONLY_CHANCE, MEMBERS_TOO = (1.0, 0.0, 1.0, 1.0), (1.0, 0.3, 1.0, 0.5)
BOTH_NEARLY_PERFECT, MEMBERS_ABOVE_ALL = (2.5, 0.3, 1.0, 1.0), (2.0, 1.0, 1.0, 0.3)
OF_RECIPES = itertools.product(
    [compare_recipes], [ONLY_CHANCE, MEMBERS_TOO, BOTH_NEARLY_PERFECT, MEMBERS_ABOVE_ALL], [3, 5]
)
OF_RUNS = itertools.product([compare_runs], [ONLY_CHANCE], [1, 3])


def draw(rng, models, members, n, truth, gain=0.0):
    """Return which rows the members of models have right; every model after the first is better by gain."""
    level, of_member, of_row, of_both = truth
    row = rng.normal(0, of_row, n)
    return {
        str(i): (level + gain * (i > 0) + rng.normal(0, of_member, (members, 1)) + row
        + rng.normal(0, of_both, n) + rng.normal(0, 1, (members, n)) > 0).astype(float)
        for i in range(models)
    }  # fmt: skip


def p_values(compare, truth, members, n, gain=0.0, draws=250):
    rng = np.random.default_rng(0)
    pairs = [draw(rng, 2, members, n, truth, gain) for _ in range(draws)]
    return np.array([compare(pair["1"], pair["0"], np.arange(n)).p for pair in pairs])


def right(share, members, n, shift=0):
    """Return scores of members that have this share of the rows right, each its own rows."""
    rows = np.arange(n)
    return np.stack([np.roll(rows < share * n, 7 * member + shift) for member in range(members)]).astype(float)


def word(compared):
    """Return the verdict of a comparison that is alone in its family."""
    return verdict(compared, compared.p, compared.p_equal) if compared else verdict(None, 1.0, 1.0)


@pytest.mark.parametrize(("compare", "truth", "members"), [*OF_RECIPES, *OF_RUNS])
def test_false_positives_are_at_most_as_frequent_as_the_level(compare, truth, members):
    """Within three standard errors. Runs are compared for members that do not vary."""
    assert (p_values(compare, truth, members, 100) < 0.05).mean() <= 0.05 + 3 * (0.05 * 0.95 / 250) ** 0.5


def test_equal_recipes_often_differ_in_these_runs():
    """The reason for two questions."""
    assert (p_values(compare_runs, MEMBERS_ABOVE_ALL, 5, 300) < 0.05).mean() > 0.5
    assert (p_values(compare_recipes, MEMBERS_ABOVE_ALL, 5, 300) < 0.05).mean() < 0.08


def test_interval_of_recipes_covers_the_difference():
    rng = np.random.default_rng(3)
    truth = draw(rng, 2, 2000, 2000, (1.0, 0.1, 1.0, 0.5), 0.5)
    difference = truth["1"].mean() - truth["0"].mean()
    pairs = [draw(rng, 2, 5, 200, (1.0, 0.1, 1.0, 0.5), 0.5) for _ in range(300)]
    found = [compare_recipes(pair["1"], pair["0"], np.arange(200)) for pair in pairs]
    assert np.mean([compared.low < difference < compared.high for compared in found]) > 0.93


def test_interval_of_runs_covers_the_difference_of_these_members():
    """Members that vary by much are compared once on many rows, then repeatedly on 200 of them."""
    rng = np.random.default_rng(4)
    rows = draw(rng, 2, 3, 100_000, MEMBERS_ABOVE_ALL)
    difference = rows["1"].mean() - rows["0"].mean()
    parts = [rng.choice(100_000, 200, replace=False) for _ in range(300)]
    found = [compare_runs(rows["1"][:, part], rows["0"][:, part], np.arange(200)) for part in parts]
    assert 0.91 < np.mean([compared.low < difference < compared.high for compared in found]) < 0.98


def test_power_for_eight_points_is_above_90_percent():
    """With 5 members and 1000 rows, at the level of one of 6 comparisons."""
    rng = np.random.default_rng(2)
    pair = draw(rng, 2, 5, 100_000, (1.0, 0.05, 1.0, 0.5), 0.5)
    assert 0.07 < pair["1"].mean() - pair["0"].mean() < 0.1
    assert (p_values(compare_recipes, (1.0, 0.05, 1.0, 0.5), 5, 1000, gain=0.5, draws=100) < LEVEL / 6).mean() > 0.9


def test_one_member_is_compared_as_mcnemar_does():
    """3 rows that only the first has right, 12 that only the second has: z = 9 / sqrt(15)."""
    first, second = np.ones((2, 1, 2000))
    first[0, :12], second[0, 12:15] = 0, 0
    compared = compare_runs(second, first, np.arange(2000))
    assert compared.difference == pytest.approx(9 / 2000)
    assert compared.p == pytest.approx(2 * norm.sf(9 / 15**0.5), rel=0.03)


def test_runs_by_hand():
    """Means over two members: 1, 1/2, 0 and -1/2; their mean square is 3/8, on 3 degrees of freedom."""
    first, second = np.array([[1.0, 1, 1, 0], [1, 0, 1, 0]]), np.array([[0.0, 0, 1, 1], [0, 0, 1, 0]])
    compared = compare_runs(first, second, np.arange(4))
    error = (3 / 8 / 4) ** 0.5
    assert compared.difference == 0.25
    assert compared.p == pytest.approx(2 * t.sf(0.25 / error, 3))
    assert (compared.low, compared.high) == pytest.approx((0.25 - t.isf(0.025, 3) * error, 1.0))


def test_recipes_by_hand():
    """Three members on two rows: mean squares 1/6 (members), 1/6 (residual) and 3 (1 + 1/9) / 2 (rows)."""
    first = np.array([[1.0, 0], [1, 0], [1, 1]])
    compared = compare_recipes(first, np.zeros((3, 2)), np.arange(2))
    assert compared.difference == pytest.approx(2 / 3)
    variance = (1 / 6 + 3 / 2) / 6
    weighted = 0.1 * t.isf(compared.p / 2, 2) + 0.9 * t.isf(compared.p / 2, 1)
    assert weighted * variance**0.5 == pytest.approx(2 / 3)
    assert (compared.low, compared.high) == (-1.0, 1.0)


def test_equivalence_by_hand():
    """60 rows for either side of 2000: the mean square about 2 points is (60 * 0.98^2 + 60 * 1.02^2 + ...) / 2000."""
    first, second = np.ones((2, 1, 2000))
    first[0, :60], second[0, 60:120] = 0, 0
    error = ((60 * 0.98**2 + 60 * 1.02**2 + 1880 * 0.02**2) / 2000 / 2000) ** 0.5
    assert compare_runs(second, first, np.arange(2000)).p_equal == pytest.approx(t.sf(MARGIN / error, 1999), rel=1e-6)


def test_rows_without_a_difference_prove_equality_only_if_many():
    """The variance is at least as large as if 2 % of the rows differed one way: 20 equal rows prove nothing."""
    for members, compare in ((1, compare_runs), (3, compare_runs), (3, compare_recipes)):
        few, many = (compare(*np.ones((2, members, n)), np.arange(n)) for n in (20, 1000))
        assert few.p_equal == pytest.approx(t.sf(MARGIN / (0.02 * 0.98 / 20) ** 0.5, 19), rel=0.1)
        assert (word(few), word(many)) == ("unclear", "equal")
        assert (many.difference, many.p) == (0.0, 1.0)


def test_scores_may_be_shares():
    """Half of the steps of every row for a quarter: the difference is a quarter, and sure."""
    compared = compare_recipes(np.full((3, 1000), 0.5), np.full((3, 1000), 0.25), np.arange(1000))
    assert (compared.difference, word(compared)) == (0.25, "better")


def test_exchanged_models_change_only_the_sign():
    pair = draw(np.random.default_rng(4), 2, 3, 60, MEMBERS_TOO, 0.5)
    for compare in (compare_runs, compare_recipes):
        forth, back = (compare(pair[a], pair[b], np.arange(60)) for a, b in ("01", "10"))
        assert (forth.difference, forth.low, forth.p, forth.p_equal) == pytest.approx(
            (-back.difference, -back.high, back.p, back.p_equal)
        )


def test_rows_of_one_problem_count_as_one():
    """Four copies of every row are no more evidence, whatever their order."""
    pair = draw(np.random.default_rng(6), 2, 3, 40, MEMBERS_TOO, 0.7)
    copies = {name: np.tile(scores, 4) for name, scores in pair.items()}
    for compare in (compare_runs, compare_recipes):
        once = compare(pair["1"], pair["0"], np.arange(40))
        four_times = compare(copies["1"], copies["0"], np.tile(np.arange(40), 4))
        assert (four_times.difference, four_times.p) == pytest.approx((once.difference, once.p))
        assert compare(copies["1"], copies["0"], np.arange(160)).p < once.p


@pytest.mark.parametrize("members", [1, 3, 5])
def test_few_problems_prove_little_however_clear(members):
    compared = compare_runs(np.ones((members, 22)), np.zeros((members, 22)), np.arange(22) % 6)
    assert compared.difference == pytest.approx(1.0)
    assert 0.01 < compared.p < 1.0
    assert compared.low < 1.0


def test_clear_difference_on_many_rows_has_the_least_p_value():
    assert compare_recipes(np.ones((5, 1000)), np.zeros((5, 1000)), np.arange(1000)).p == LEAST


@pytest.mark.parametrize(("low", "high", "members"), [(0.499, 0.992, 2), (0.784, 0.992, 3), (0.5, 0.99, 8)])
def test_more_members_never_weaken_the_verdict(low, high, members):
    """A model far behind on 10,000 rows is worse in these runs, with one member as with any more."""
    first, second = right(low, members, 10_000), right(high, members, 10_000, shift=3)
    for some in range(1, members + 1):
        assert word(compare_runs(first[:some], second[:some], np.arange(10_000))) == "worse"
        recipe = word(compare_recipes(first[:some], second[:some], np.arange(10_000)))
        assert recipe == ("worse" if some >= 3 else NEEDS_MEMBERS)


def test_holm_by_hand():
    """Of three steps 0.01 x 3, the same step's 0.012 x 3 as well, and then two are left: 0.02 x 2, but not less."""
    p, p_equal = holm([0.3, 0.01, 1.0], [0.02, 0.012, 1.0])
    assert p.tolist() == pytest.approx([0.6, 0.03, 1.0])
    assert p_equal.tolist() == pytest.approx([0.04, 0.036, 1.0])
    assert [values.tolist() for values in holm([], [])] == [[], []]


def test_steps_that_were_not_run_count_as_well():
    alone, among = holm([0.01], [0.9])[0], holm([0.01, 1.0, 1.0, 1.0, 1.0, 1.0], [0.9, 1.0, 1.0, 1.0, 1.0, 1.0])[0]
    assert (alone[0], among[0]) == pytest.approx((0.01, 0.06))


@pytest.mark.parametrize(
    ("difference", "low", "high", "p", "p_equal", "said"),
    [
        (0.30, 0.2, 0.4, 0.001, 1.0, "better"),
        (-0.30, -0.4, -0.2, 0.001, 1.0, "worse"),
        (0.01, 0.002, 0.018, 0.001, 0.01, "better, under 2 points"),
        (-0.01, -0.018, -0.002, 0.001, 0.01, "worse, under 2 points"),
        (0.01, 0.002, 0.021, 0.001, 0.04, "better"),
        (0.01, 0.002, 0.018, 0.001, 0.06, "better"),
        (0.00, -0.01, 0.01, 0.8, 0.01, "equal"),
        (0.00, -0.3, 0.3, 0.8, 0.4, "unclear"),
    ],
)
def test_verdict_by_hand(difference, low, high, p, p_equal, said):
    assert verdict(Comparison(difference, low, high, p, p_equal), p, p_equal) == said


def test_below_three_members_a_recipe_is_not_judged():
    assert compare_recipes(np.ones((2, 9)), np.zeros((2, 9)), np.arange(9)) is None
    assert verdict(None, 1.0, 1.0) == "needs 3 members"
