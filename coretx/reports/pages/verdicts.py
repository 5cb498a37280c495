"""What the comparisons say on the pages: a difference, and what is known of it for these runs and for this recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coretx.evaluation.paired_test import BETTER, WORSE
from coretx.reports.pages.formatting import points
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.comparisons import QUESTIONS, Answer, ComparisonRow

Pairs = Mapping[tuple[str, str], ComparisonRow]
"""Comparisons by the ids of their cells, the later model's first."""


@dataclass(frozen=True)
class Said:
    """What is known of one question: its name, the verdict, the interval in points, and the p-value in words.

    `sign` is `more` or `less` for a model that is better or worse, else `even`.
    """

    question: str
    verdict: str
    ends: str
    p: str
    sign: str


@dataclass(frozen=True)
class Gain:
    """What a model added to another on one task: the difference in points, and what is known of it.

    `family` says over how many steps of the ladder the verdicts are corrected, or that they are exploratory.
    """

    points: str
    said: tuple[Said, ...]
    family: str


def pairs_of(comparisons: Sequence[ComparisonRow]) -> Pairs:
    """Return the comparisons by the ids of their cells."""
    return {(row.id, row.against_id): row for row in comparisons}


def gain(row: BenchmarkRow | None, before: BenchmarkRow | None, pairs: Pairs) -> Gain | None:
    """Return what a cell added to that of the rung before it; None where they were not compared."""
    compared = None if row is None or before is None else pairs.get((row.id, before.id))
    if compared is None:
        return None
    return Gain(
        points=points(compared.difference),
        said=tuple(said(name, compared.answer(question)) for question, name in QUESTIONS.items()),
        family="exploratory" if compared.exploratory else f"one of {compared.family} steps",
    )


def said(question: str, answer: Answer) -> Said:
    """Return an answer in words."""
    ends = p = ""
    if answer.low is not None and answer.high is not None and answer.p_holm is not None:
        ends = f"{points(answer.low)} to {points(answer.high)}"
        p = "p < 0.000001" if answer.p_holm < 1e-6 else f"p = {answer.p_holm:.2g}"
    signs = {BETTER: "more", WORSE: "less"}
    return Said(question, answer.verdict, ends, p, signs.get(answer.verdict.partition(",")[0], "even"))
