"""Whether two models of one task differ: a test paired over members and rows, and Holm's correction for many tests."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import cast

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import brentq
from scipy.special import stdtrit

LEVEL = 0.05
"""The chance, over all comparisons of a task, that models which do not differ are told apart."""

LEAST = 1e-12
"""Smaller p-values are given as this: no approximation holds so far out."""


@dataclass(frozen=True)
class Comparison:
    """How much more often one model is right than another, with its 95 % interval and its p-value, two-sided."""

    difference: float
    low: float
    high: float
    p: float


def paired_test(
    first: Bool[np.ndarray, "member n"], second: Bool[np.ndarray, "member n"], problem: Int[np.ndarray, " n"]
) -> Comparison:
    """Compare which rows two models have right, member by member and row by row, for other members on other rows.

    Both members and rows are a sample, and every member answers every row: the differences are analysed as crossed
    random effects, as in a reader study with many readers and cases (Dorfman, Berbaum and Metz, "Receiver operating
    characteristic rating analysis", 1992). From the mean squares between members, between rows and of what is left, the
    variance of the mean difference has a part of the members, max(MS_members, MS_left), and one of the rows,
    max(MS_rows - MS_left, 0), both over members times rows. The quantile is that of Cochran, "Approximate significance
    levels of the Behrens-Fisher test", 1964: the mean of Student's, with members - 1 and rows - 1 degrees of freedom,
    weighted by these parts. (Hillis' degrees of freedom, 2007, have more power, but with two or three members and as
    small a level as Holm's they tell apart far too often.)

    Rows of one problem count as one, weighted by their number. The mean square between rows is taken about 0, as the
    null hypothesis has it: for one member the statistic is that of McNemar, "Note on the sampling error of the
    difference between correlated proportions", 1947, and a few rows that all agree give no p-value of 0. One member
    knows nothing of others: the test is then about these two runs. And what goes wrong once in twenty runs is not seen
    in five.

    >>> first, second = np.ones((1, 6), bool), np.array([[True, True, False, False, False, False]])
    >>> compared = paired_test(first, second, np.arange(6))
    >>> round(compared.difference, 3), round(compared.p, 3)
    (0.667, 0.102)
    """
    members, n = first.shape
    names, unit = np.unique(problem, return_inverse=True)
    units = len(names)
    differences = first.astype(np.float64) - second  # [member, n]
    by_unit = np.stack([np.bincount(unit, row, units) for row in differences]) * (units / n)  # [member, unit]
    each, between, mean = by_unit.mean(axis=1), by_unit.mean(axis=0), float(by_unit.mean())
    of_members, of_rows = 0.0, float(members * np.square(between).mean())
    if members > 1 and units > 1:
        left = float(np.square(by_unit - each[:, None] - between + mean).sum() / ((members - 1) * (units - 1)))
        of_members = max(float(units * np.square(each - mean).sum() / (members - 1)), left)
        of_rows = max(of_rows - left, 0.0)
    parts = ((of_members, members - 1), (of_rows, max(units - 1, 1)))
    variance = of_members + of_rows
    if variance == 0:
        return Comparison(mean, mean, mean, 1.0)
    error = math.sqrt(variance / (members * units))

    def quantile(p: float) -> float:
        return -sum(part * float(stdtrit(df, p / 2)) for part, df in parts if part) / variance

    half = quantile(0.05) * error
    return Comparison(mean, max(mean - half, -1.0), min(mean + half, 1.0), _p_value(quantile, abs(mean) / error))


def _p_value(quantile: Callable[[float], float], statistic: float) -> float:
    """Return the p whose quantile the statistic is, at least LEAST."""
    if statistic >= quantile(LEAST):
        return LEAST
    root = brentq(lambda log_p: quantile(10.0**log_p) - statistic, math.log10(LEAST), 0.0, xtol=1e-6)
    return 10.0 ** cast(float, root)


def holm(p: Sequence[float]) -> Float[np.ndarray, " comparison"]:
    """Return each p-value corrected for the number of comparisons: at most LEVEL are told apart.

    Holm, "A simple sequentially rejective multiple test procedure", 1979. The chance of telling apart any two that do
    not differ is held, whatever the comparisons have in common.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(steps, 1.0)
    return corrected


def compare_all(
    correct: Mapping[str, Bool[np.ndarray, "member n"]], problem: Int[np.ndarray, " n"]
) -> list[tuple[str, str, Comparison, float]]:
    """Return every pair of models with its comparison, of the second against the first, and its corrected p-value."""
    pairs = list(combinations(correct, 2))
    found = [paired_test(correct[second], correct[first], problem) for first, second in pairs]
    corrected = holm([comparison.p for comparison in found])
    return [(*pair, comparison, float(p)) for pair, comparison, p in zip(pairs, found, corrected, strict=True)]
