"""What the comparisons say on the dashboard: which model is best, which are tied with it, what each rung added."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coretx.reports.benchmark_csv import BenchmarkRow
from coretx.reports.comparisons_csv import DIFFERS, ComparisonRow
from coretx.reports.formatting import alike, points

Pairs = Mapping[tuple[str, str], ComparisonRow]
"""Comparisons by the ids of their cells, the later model's first."""


@dataclass(frozen=True)
class Gain:
    """What a rung added to the one before it on one task: the difference in points, its interval, the verdict."""

    points: str
    ends: str
    verdict: str
    differs: bool
    p: str


def pairs_of(comparisons: Sequence[ComparisonRow]) -> Pairs:
    """Return the comparisons by the ids of their cells."""
    return {(row.id, row.against_id): row for row in comparisons}


def marks(cells: Mapping[str, BenchmarkRow], pairs: Pairs) -> dict[str, str]:
    """Return `best` and `tied` by model, from the test rows of one task; none where the best one was not compared."""
    scored = {model: row.accuracy for model, row in cells.items() if row.accuracy is not None}
    if not scored:
        return {}
    best = max(scored, key=lambda model: alike(scored[model]))
    against = {
        model: pairs.get((cells[model].id, cells[best].id)) or pairs.get((cells[best].id, cells[model].id))
        for model in scored
        if model != best
    }
    found = {model: "tied" for model, row in against.items() if row is not None and row.verdict != DIFFERS}
    return {best: "best", **found} if any(against.values()) else {}


def gain(row: BenchmarkRow | None, before: BenchmarkRow | None, pairs: Pairs) -> Gain | None:
    """Return what a cell added to that of the rung before it; None where they were not compared."""
    compared = None if row is None or before is None else pairs.get((row.id, before.id))
    if compared is None:
        return None
    p = f"p {'< 0.000001' if compared.p_holm < 1e-6 else f'= {compared.p_holm:.2g}'}"
    return Gain(
        points=points(compared.difference),
        ends=f"{points(compared.low)} to {points(compared.high)}",
        verdict=compared.verdict,
        differs=compared.verdict == DIFFERS,
        p=f"{p}, corrected for {compared.comparisons} comparisons",
    )
