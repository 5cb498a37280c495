"""The published table of comparisons between models (`comparisons.csv`): made from the cells, read by the dashboard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

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
    """What is known of a difference: its 95 % interval, both p-values, the verdict.

    See `coretx.evaluation.paired_test`.

    `p` is that of no difference, `p_holm` the same and `p_equal` that of a difference of 2 points or more, both
    corrected over the family. Of a recipe with fewer than 3 members the verdict alone is known.
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

    `runs_...` is what is known of these very members on other rows, `recipe_...` of other members on other rows: see
    `Answer`. Both are corrected over a family of `family` comparisons: the steps of the ladder, of which a missing one
    counts too. A pair that is no step is `exploratory`, alone in its family. `problems` are the distinct ones of the
    rows.
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
        """Return what is known of these `runs`, or of the `recipe`."""
        names = ("low", "high", "p", "p_holm", "p_equal", "verdict")
        return Answer(**{name: getattr(self, f"{question}_{name}") for name in names})


COMPARISONS = CsvTable(ComparisonRow, key=("id", "against_id"))

QUESTIONS = {"runs": "these runs", "recipe": "this recipe"}
"""What is asked of every two models, and how it is called."""


def read_comparisons(path: Path) -> list[ComparisonRow]:
    """Return the rows of the file; see `CsvTable.read` for what it refuses."""
    return COMPARISONS.read(path)


def upsert_comparisons(path: Path, rows: Sequence[ComparisonRow]) -> None:
    """Put rows into the file, each in the place of the one with the same two cells."""
    COMPARISONS.upsert(path, rows)


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
    found = {pair: compare_runs(scores[pair[0]], scores[pair[1]], problem) for pair in pairs}
    runs = answer_all(found)
    recipes = answer_all({pair: compare_recipes(scores[pair[0]], scores[pair[1]], problem) for pair in pairs})
    steps = ladder_steps()
    return [
        ComparisonRow(
            task=task.name,
            backend=configuration.backend,
            protocol=configuration.protocol,
            negatives=configuration.negatives,
            recipe=configuration.recipe,
            n_samples=configuration.n_samples,
            seed=configuration.seed,
            members=configuration.members,
            model=pair[0],
            against=pair[1],
            id=ids[pair[0]],
            against_id=ids[pair[1]],
            difference=found[pair].difference,
            **{f"runs_{name}": value for name, value in vars(runs[pair]).items()},
            **{f"recipe_{name}": value for name, value in vars(recipes[pair]).items()},
            family=len(steps) if pair in steps else 1,
            exploratory=int(pair not in steps),
            problems=len(names),
        )
        for pair in pairs
    ]


def answer_all(found: Mapping[tuple[str, str], Comparison | None]) -> dict[tuple[str, str], Answer]:
    """Return what is known of each pair, corrected over the steps of the ladder; other pairs are not corrected."""
    steps = ladder_steps()
    tested = [found.get(step) for step in steps]
    corrected = holm(
        [1.0 if compared is None else compared.p for compared in tested],
        [1.0 if compared is None else compared.p_equal for compared in tested],
    )
    of_step = dict(zip(steps, zip(*(values.tolist() for values in corrected), strict=True), strict=True))
    return {pair: answer(compared, *of_step.get(pair, (None, None))) for pair, compared in found.items()}


def answer(compared: Comparison | None, p_holm: float | None = None, p_equal: float | None = None) -> Answer:
    """Return what is known of one comparison by its corrected p-values, or by its own where there are none."""
    if compared is None:
        return Answer(None, None, None, None, None, NEEDS_MEMBERS)
    p_holm = compared.p if p_holm is None else p_holm
    p_equal = compared.p_equal if p_equal is None else p_equal
    return Answer(compared.low, compared.high, compared.p, p_holm, p_equal, verdict(compared, p_holm, p_equal))
