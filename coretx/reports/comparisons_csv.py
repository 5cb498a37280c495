"""The published table of comparisons between models (`comparisons.csv`): made from the cells, read by the dashboard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coretx.comparisons import LEVEL, compare_all
from coretx.reports.configurations import Configuration
from coretx.reports.csv_table import CsvTable
from coretx.results import Predictions
from coretx.tasks.base import Task


@dataclass(frozen=True)
class ComparisonRow:
    """Two models on the test rows of one task, paired over members and rows: see `coretx.comparisons`.

    `difference` is the accuracy of `model` minus that of `against`, `low` and `high` its 95 % interval, `p_holm` is `p`
    corrected for all `comparisons` of this task in this configuration; `problems` are the distinct ones of the rows.
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
    low: float
    high: float
    p: float
    p_holm: float
    comparisons: int
    problems: int
    verdict: str


COMPARISONS = CsvTable(ComparisonRow, key=("id", "against_id"))
DIFFERS, NOT_TOLD_APART = "differs", "not told apart"


def read_comparisons(path: Path) -> list[ComparisonRow]:
    """Return the rows of the file; see `CsvTable.read` for what it refuses."""
    return COMPARISONS.read(path)


def upsert_comparisons(path: Path, rows: Sequence[ComparisonRow]) -> None:
    """Put rows into the file, each in the place of the one with the same two cells."""
    COMPARISONS.upsert(path, rows)


def comparison_rows(
    configuration: Configuration, task: Task, answers: Mapping[str, Predictions]
) -> list[ComparisonRow]:
    """Return a row for every two models of a task that answered the same test rows: the later against the earlier."""
    if len(answers) < 2:
        return []
    first = next(iter(answers.values()))
    correct = {model: (part.logits > 0) == (part.y > 0.5) for model, part in answers.items()}
    names, problem = np.unique(task.canonical_key(first.x), return_inverse=True)
    ids = {model: next(iter(configuration.cells[task.name, model].values())).id for model in answers}
    found = compare_all(correct, problem)
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
            model=model,
            against=against,
            id=ids[model],
            against_id=ids[against],
            difference=compared.difference,
            low=compared.low,
            high=compared.high,
            p=compared.p,
            p_holm=corrected,
            comparisons=len(found),
            problems=len(names),
            verdict=DIFFERS if corrected < LEVEL else NOT_TOLD_APART,
        )
        for against, model, compared, corrected in found
    ]
