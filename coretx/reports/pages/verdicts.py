"""Comparisons of two models on a page: the gain of a rung over the rung before, and how its answers read."""

from collections.abc import Mapping, Sequence

from coretx.evaluation.paired_test import BETTER, WORSE
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.comparisons import ComparisonRow

Pairs = Mapping[tuple[str, str], ComparisonRow]
"""Comparisons by the ids of their cells, the later model's first."""


def pairs_of(comparisons: Sequence[ComparisonRow]) -> Pairs:
    """Return the comparisons by the ids of their cells."""
    return {(row.id, row.against_id): row for row in comparisons}


def gain(row: BenchmarkRow | None, before: BenchmarkRow | None, pairs: Pairs) -> ComparisonRow | None:
    """Return the comparison of a cell with the cell of the rung before it; None if they were not compared."""
    return None if row is None or before is None else pairs.get((row.id, before.id))


def sign(verdict: str) -> str:
    """Return `more` for a model that is better, `less` for a worse one, else `even`.

    >>> sign("better, under 2 points"), sign("unclear")
    ('more', 'even')
    """
    return {BETTER: "more", WORSE: "less"}.get(verdict.partition(",")[0], "even")


def p_value(p: float) -> str:
    """Return a p-value in words.

    >>> p_value(0.0123), p_value(0.0)
    ('p = 0.012', 'p < 0.000001')
    """
    return "p < 0.000001" if p < 1e-6 else f"p = {p:.2g}"
