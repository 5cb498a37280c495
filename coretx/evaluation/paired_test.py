"""Paired tests of two models of one task: for these runs and for this recipe, corrected over a family."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import brentq
from scipy.special import stdtrit

LEVEL = 0.05
"""The chance, over a family of comparisons, that any of its verdicts is wrong."""

MARGIN = 0.02
"""Differences below 2 points are too small to matter: models this close are equal."""

FEWEST_MEMBERS = 3
"""Fewer members give no verdict on a recipe: the variance of two has one degree of freedom."""

LEAST = 1e-12
"""Smaller p-values are reported as this: no approximation holds so far out."""

BETTER, WORSE, EQUAL, UNCLEAR = "better", "worse", "equal", "unclear"
NEEDS_MEMBERS = f"needs {FEWEST_MEMBERS} members"
UNDER_MARGIN = ", under 2 points"
"""Added to `better` and `worse` if the difference is proved to be below MARGIN."""

Part = tuple[float, int]
"""A part of the variance of a mean difference, with its degrees of freedom."""


@dataclass(frozen=True)
class Comparison:
    """The mean score of one model less that of another, with its 95 % interval.

    `p` is that of no difference, two-sided; `p_equal` that of a difference of MARGIN or more, by two one-sided tests
    (Schuirmann, "A comparison of the two one-sided tests procedure and the power approach", 1987).
    """

    difference: float
    low: float
    high: float
    p: float
    p_equal: float


def compare_runs(
    first: Float[np.ndarray, "member n"], second: Float[np.ndarray, "member n"], problem: Int[np.ndarray, " n"]
) -> Comparison:
    """Compare the scores in [0, 1] of two models, row by row, for these very members on other rows.

    The sample is the members' mean difference of each row; rows of one problem count as one, weighted by their
    number. The mean square is taken about the difference that the null hypothesis names, here 0: for one member the
    statistic is that of McNemar, "Note on the sampling error of the difference between correlated proportions", 1947,
    and a few rows that all agree give no p-value of 0.

    >>> first, second = np.ones((1, 6)), np.array([[1.0, 1, 0, 0, 0, 0]])
    >>> compared = compare_runs(first, second, np.arange(6))
    >>> round(compared.difference, 3), round(compared.p, 3)
    (0.667, 0.102)
    """
    between = by_problem(first, second, problem).mean(axis=0)
    return _compare(float(between.mean()), lambda null: runs_parts(between[None], null))


def compare_recipes(
    first: Float[np.ndarray, "member n"], second: Float[np.ndarray, "member n"], problem: Int[np.ndarray, " n"]
) -> Comparison | None:
    """Compare the scores in [0, 1] of two models, member by member and row by row, for other members on other rows.

    None below FEWEST_MEMBERS. Both members and rows are a sample, and every member answers every row: the differences
    are crossed random effects, as in a reader study with many readers and cases (Dorfman, Berbaum and Metz, "Receiver
    operating characteristic rating analysis", 1992). The quantile is that of Cochran, "Approximate significance levels
    of the Behrens-Fisher test", 1964: the mean of Student's quantiles for the two parts of the variance, weighted by
    the parts. The critical distance is at least Student's for either part alone: a second source of variance must not
    make it smaller. (Without this rule 5.4 % of families of three members are wrong; with the degrees of freedom of
    Hillis, 2007, more.)

    Members are assumed normal: a failure of one run in twenty is missing from five runs 77 % of the time.
    """
    if len(first) < FEWEST_MEMBERS:
        return None
    differences = by_problem(first, second, problem)
    return _compare(float(differences.mean()), lambda null: recipe_parts(differences, null))


def by_problem(
    first: Float[np.ndarray, "member n"], second: Float[np.ndarray, "member n"], problem: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "member problem"]:
    """Return each member's difference on each problem, weighted by its rows so that their mean is that over rows."""
    names, unit = np.unique(problem, return_inverse=True)
    differences = np.asarray(first, np.float64) - second
    return np.stack([np.bincount(unit, row, len(names)) for row in differences]) * (len(names) / len(unit))


def runs_parts(differences: Float[np.ndarray, "member problem"], null: float) -> tuple[Part, ...]:
    """Return the variance of the mean difference where members are fixed, if the true difference is `null`.

    A row's variance is at least |null| (1 - |null|), as if a share |null| of rows differed, all in one direction. So a
    few rows without any difference do not prove equality.
    """
    rows = differences.shape[1]
    floor = abs(null) * (1 - abs(null))
    return ((max(float(np.square(differences.mean(axis=0) - null).mean()), floor) / rows, max(rows - 1, 1)),)


def recipe_parts(differences: Float[np.ndarray, "member problem"], null: float) -> tuple[Part, ...]:
    """Return the parts of members and of rows in the variance of the mean difference, if the true one is `null`.

    From the mean squares of members, of rows and of the residual: the members' part is max(MS_members, MS_residual),
    the rows' part MS_rows - MS_residual, at least the floor of `runs_parts`; both are divided by members times rows.
    """
    members, rows = differences.shape
    each, between, mean = differences.mean(axis=1), differences.mean(axis=0), differences.mean()
    left = float(np.square(differences - each[:, None] - between + mean).sum()) / ((members - 1) * max(rows - 1, 1))
    of_members = max(rows * float(np.square(each - mean).sum()) / (members - 1), left)
    floor = members * abs(null) * (1 - abs(null))
    of_rows = max(members * float(np.square(between - null).mean()) - left, floor)
    return (of_members / (members * rows), members - 1), (of_rows / (members * rows), max(rows - 1, 1))


def quantile(parts: Sequence[Part], tail: float) -> float:
    """Return the distance from the null hypothesis, in its own units, that is exceeded with this one-sided chance."""
    variance = sum(part for part, _ in parts)
    students = [(part, -float(stdtrit(df, tail))) for part, df in parts]
    weighted = sum(part * student for part, student in students) / math.sqrt(variance or 1.0)
    return max(weighted, *(math.sqrt(part) * student for part, student in students))


def _compare(mean: float, parts: Callable[[float], tuple[Part, ...]]) -> Comparison:
    half = quantile(parts(0.0), 0.025)
    above, below = _tail(mean + MARGIN, parts(-MARGIN)), _tail(MARGIN - mean, parts(MARGIN))
    p = min(2 * _tail(abs(mean), parts(0.0)), 1.0)
    return Comparison(mean, max(mean - half, -1.0), min(mean + half, 1.0), max(p, LEAST), max(above, below, LEAST))


def _tail(distance: float, parts: Sequence[Part]) -> float:
    """Return the one-sided p-value of an estimate this far above the null hypothesis; 0 below LEAST / 2."""
    if distance <= 0:
        return 1 - _tail(-distance, parts) if distance else 0.5
    if distance >= quantile(parts, LEAST / 2):
        return 0.0
    root = brentq(lambda log: quantile(parts, 10.0**log) - distance, math.log10(LEAST / 2), math.log10(0.5), xtol=1e-9)
    return 10.0 ** cast(float, root)


def holm(p: Sequence[float], p_equal: Sequence[float]) -> tuple[Float[np.ndarray, " step"], Float[np.ndarray, " step"]]:
    """Return both p-values of each step of a family, corrected so that at most LEVEL of families have a wrong verdict.

    Holm, "A simple sequentially rejective multiple test procedure", 1979, over both tests of every step: the smallest
    is multiplied by the number of hypotheses that can all be true, then the next, and so on. A step cannot have no
    difference and one of MARGIN or more. So at most one hypothesis can be true for each step that still has one not
    rejected (Shaffer, "Modified sequentially rejective multiple test procedures", 1986). A step that was not run has 1.

    >>> [values.round(3).tolist() for values in holm([0.001, 0.4, 1.0], [0.9, 0.01, 1.0])]
    [[0.003, 1.0, 1.0], [1.0, 0.03, 1.0]]
    """
    steps = len(p)
    values = np.array([*p, *p_equal], np.float64)
    corrected, left, largest = np.empty_like(values), np.full(steps, 2), 0.0
    for test in np.argsort(values, kind="stable"):
        largest = max(largest, float(values[test]) * np.count_nonzero(left))
        corrected[test] = min(largest, 1.0)
        left[test % steps] -= 1
    return corrected[:steps], corrected[steps:]


def verdict(compared: Comparison | None, p: float, p_equal: float) -> str:
    """Return the verdict on a comparison by its corrected p-values: one word, some with `under 2 points`.

    >>> verdict(Comparison(0.01, 0.004, 0.016, 0.001, 0.001), 0.006, 0.006)
    'better, under 2 points'
    """
    if compared is None:
        return NEEDS_MEMBERS
    close = p_equal < LEVEL
    if p < LEVEL:
        inside = close and max(abs(compared.low), abs(compared.high)) < MARGIN
        return (BETTER if compared.difference > 0 else WORSE) + UNDER_MARGIN * inside
    return EQUAL if close else UNCLEAR
