"""Comparisons between models of one task: `comparisons.csv`."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import combinations, pairwise

import numpy as np
from jaxtyping import Float

from coretx import targets
from coretx.evaluation.paired_test import NEEDS_MEMBERS, Comparison, compare_recipes, compare_runs, holm, verdict
from coretx.evaluation.scores import Predictions
from coretx.models.registry import build_models
from coretx.records.csv_tables import CsvTable
from coretx.reports.tables.configurations import Configuration
from coretx.tasks.base import Task


@dataclass(frozen=True)
class Answer:
    """A difference with its 95 % interval, its p-values and the verdict (see `coretx.evaluation.paired_test`).

    `p` is the p-value of no difference, and `p_holm` the same corrected over the family. `p_equal` is the corrected
    p-value of a difference of 2 points or more. A recipe with fewer than 3 members has a verdict alone.
    """

    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    p_equal: float | None
    verdict: str


@dataclass(frozen=True)
class ComparisonRow:
    """Two models on the test rows of one task; `difference` is the accuracy of `model` minus that of `against`.

    `runs_...` is the answer for these very members on other rows, `recipe_...` for other members on other rows (see
    `Answer`). Both are corrected over a family of `family` comparisons: the steps of the ladder, missing ones included.
    A pair that is no step is `exploratory`, alone in its family. `problems` counts the distinct problems of the rows.
    """

    task: str
    backend: str
    protocol: str
    negatives: str
    recipe: str
    n_samples: int
    seed: int
    members: int
    model: str
    against: str
    id: str
    against_id: str
    difference: float
    runs_low: float
    runs_high: float
    runs_p: float
    runs_p_holm: float
    runs_p_equal: float
    runs_verdict: str
    recipe_low: float | None
    recipe_high: float | None
    recipe_p: float | None
    recipe_p_holm: float | None
    recipe_p_equal: float | None
    recipe_verdict: str
    family: int
    exploratory: int
    problems: int

    def answer(self, question: str) -> Answer:
        """Return the answer to a question of QUESTIONS."""
        return Answer(**{part.name: getattr(self, f"{question}_{part.name}") for part in fields(Answer)})


COMPARISONS = CsvTable(ComparisonRow, key=("id", "against_id"))

QUESTIONS = {"runs": "these runs", "recipe": "this recipe"}
"""The two questions about every pair of models, and their names on the pages."""


def row_scores(predictions: Predictions) -> Float[np.ndarray, "member n"]:
    """Return each member's score of each row, in [0, 1]: right or wrong."""
    return targets.right(predictions.logits, predictions.y).astype(np.float64)


def ladder_steps() -> list[tuple[str, str]]:
    """Return the family of a task, fixed before anything is run: each rung but the first, with the rung before it."""
    return [(model, before) for before, model in pairwise(spec.name for spec in build_models())]


def comparison_rows(
    configuration: Configuration, task: Task, answers: Mapping[str, Predictions]
) -> list[ComparisonRow]:
    """Return a row for every two models of a task that answered the same test rows: the later against the earlier."""
    if len(answers) < 2:
        return []
    scores = {model: row_scores(part) for model, part in answers.items()}
    names, problem = np.unique(task.canonical_key(next(iter(answers.values())).x), return_inverse=True)
    ids = {model: next(iter(configuration.cells[task.name, model].values())).id for model in answers}
    pairs = [(model, against) for against, model in combinations(answers, 2)]
    compared = {pair: compare_runs(scores[pair[0]], scores[pair[1]], problem) for pair in pairs}
    recipes = {pair: compare_recipes(scores[pair[0]], scores[pair[1]], problem) for pair in pairs}
    found = {"runs": answer_all(compared), "recipe": answer_all(recipes)}
    steps = ladder_steps()
    return [
        COMPARISONS.row(
            configuration,
            task=task.name,
            model=pair[0],
            against=pair[1],
            id=ids[pair[0]],
            against_id=ids[pair[1]],
            difference=compared[pair].difference,
            **{f"{of}_{name}": value for of in QUESTIONS for name, value in vars(found[of][pair]).items()},
            family=len(steps) if pair in steps else 1,
            exploratory=int(pair not in steps),
            problems=len(names),
        )
        for pair in pairs
    ]


def answer_all(found: Mapping[tuple[str, str], Comparison | None]) -> dict[tuple[str, str], Answer]:
    """Return the answer for each pair. Steps of the ladder are corrected over the family, other pairs are not."""
    steps = ladder_steps()
    tested = [found.get(step) for step in steps]
    corrected = holm(
        [1.0 if compared is None else compared.p for compared in tested],
        [1.0 if compared is None else compared.p_equal for compared in tested],
    )
    of_step = dict(zip(steps, zip(*(values.tolist() for values in corrected), strict=True), strict=True))
    return {pair: answer(compared, *of_step.get(pair, ())) for pair, compared in found.items()}


def answer(compared: Comparison | None, p_holm: float | None = None, p_equal: float | None = None) -> Answer:
    """Return the answer of one comparison by its corrected p-values; its own p-values stand in for missing ones."""
    if compared is None:
        return Answer(None, None, None, None, None, NEEDS_MEMBERS)
    p_holm = compared.p if p_holm is None else p_holm
    p_equal = compared.p_equal if p_equal is None else p_equal
    return Answer(compared.low, compared.high, compared.p, p_holm, p_equal, verdict(compared, p_holm, p_equal))
