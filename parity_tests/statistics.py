"""`python -m parity_tests.statistics`: do both engines end with the same test accuracy? Equivalence over many seeds.

Where a training is chaotic, two engines part after some hundred steps, however exact they are; then only the
distribution of what they end with can be compared. Two one-sided t tests (Schuirmann, "A comparison of the two
one-sided tests procedure and the power approach", 1987) on the members' paired differences.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Float
from scipy import stats

from coretx import durable
from coretx.backend import Backend
from coretx.data import Dataset, prepare_data
from coretx.errors import OutputError, UsageError
from coretx.models.spec import InputShape, ModelSpec
from coretx.plan import with_epochs
from coretx.plugins import load_catalogue
from coretx.tasks.base import Task
from coretx.tasks.registry import get_task
from coretx.training import Population, predict, score, start, train
from parity_tests.bounds import ALPHA, MARGIN, NEAR_CHANCE, SATURATED
from parity_tests.cases import ENGINES, load_engines

BEGIN, END = "<!-- statistics -->", "<!-- end of statistics -->"
"""Between these lines of docs/parity.md stands the table."""


@dataclass(frozen=True)
class Arguments:
    """Test whether both engines reach equivalent test accuracies (TOST), and print the table."""

    models: tuple[str, ...] = ("all",)
    """Names of models, or `all`."""
    tasks: tuple[str, ...] = ("sign_of_winner", "has_all_tokens", "single_digit_sum")
    """Names of tasks."""
    members: int = 20
    """Trainings on each side, paired: member i has the same initial weights and batches in both engines."""
    epochs: int = 150
    n_samples: int = 1000
    seed: int = 0
    plugin: tuple[Path, ...] = ()
    """Python files with tasks and models of your own."""
    write: Path | None = None
    """A Markdown file to put the table into, between its two marks: docs/parity.md."""


@dataclass(frozen=True)
class Row:
    """One model on one task: mean accuracies, their mean difference, and what TOST says of it."""

    model: str
    task: str
    jax: float
    torch: float
    p_value: float

    @property
    def kind(self) -> str:
        """`tested`, or why a test would say nothing: both at chance, or both all but perfect."""
        if max(self.jax, self.torch) < 0.5 + NEAR_CHANCE:
            return "at chance"
        return "above 0.99" if min(self.jax, self.torch) > SATURATED else "tested"

    @property
    def equivalent(self) -> bool:
        return self.p_value < ALPHA


def tost(differences: Float[np.ndarray, " member"], margin: float) -> float:
    """Return the p value of the hypothesis that the mean difference lies outside (-margin, margin).

    The larger of the two one-sided p values. Without any spread it is 0 inside the margin and 1 outside.

    >>> tost(np.array([0.001, -0.002, 0.0, 0.001]), 0.02) < 0.05
    True
    >>> tost(np.array([0.03, 0.02, 0.025, 0.03]), 0.02) < 0.05
    False
    """
    mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))
    if error == 0:
        return float(abs(mean) >= margin)
    freedom = len(differences) - 1
    above = stats.t.sf((mean + margin) / error, freedom)
    below = stats.t.cdf((mean - margin) / error, freedom)
    return float(max(above, below))


def accuracies(
    backend: Backend, spec: ModelSpec, task: Task, data: dict[str, Dataset], members: int, seed: int
) -> Float[np.ndarray, " member"]:
    """Return the test accuracy of every member after training."""
    population = Population(spec, seed, task.name, members)
    access = backend.open(spec, InputShape(task.sequence_length, task.feature_dim), members)
    start(access, population)
    train(access, population, data, lambda record: None)
    return score(predict(access, data))["test"].accuracy


def compared_cell(engines: dict[str, Backend], spec: ModelSpec, task: Task, arguments: Arguments) -> Row:
    """Return one model on one task, in both engines."""
    n, seed = arguments.n_samples, arguments.seed
    data = {"train": prepare_data(n, seed, task=task), "test": prepare_data(n, seed + 1, task=task)}
    found = {name: accuracies(engines[name], spec, task, data, arguments.members, seed) for name in ENGINES}
    p_value = tost(found["jax"] - found["torch"], MARGIN)
    return Row(spec.name, task.name, float(found["jax"].mean()), float(found["torch"].mean()), p_value)


def table(rows: Sequence[Row], members: int, epochs: int) -> str:
    """Return the rows as Markdown: what was tested, then what stands apart."""
    head = "| model | task | JAX | PyTorch | difference | p (TOST) | |\n|---|---|---|---|---|---|---|"
    lines = [
        f"| {r.model} | {r.task} | {r.jax:.4f} | {r.torch:.4f} | {r.jax - r.torch:+.4f} | {r.p_value:.1e} "
        f"| {('equivalent' if r.equivalent else 'NOT SHOWN') if r.kind == 'tested' else 'apart: ' + r.kind} |"
        for r in sorted(rows, key=lambda r: r.kind != "tested")
    ]
    said = f"Mean test accuracy of {members} members after {epochs} epochs, margin {MARGIN}, alpha {ALPHA}."
    return "\n".join([said, "", head, *lines])


def put(text: str, path: Path) -> None:
    """Put the text between the marks of a file; UsageError where it has none."""
    page = path.read_text()
    if BEGIN not in page or END not in page:
        raise UsageError(f"--write needs a file with the lines {BEGIN} and {END}, which {path} has not: add them")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    durable.write_text(path, f"{before}{BEGIN}\n{text}\n{END}{after}")


def main(argv: Sequence[str] | None = None) -> int:
    """Test every model on every task; return 0 where all that was tested is equivalent, 1 where not, 2 for usage."""
    arguments = tyro.cli(Arguments, prog="python -m parity_tests.statistics", args=argv)
    try:
        if arguments.members < 2:
            raise UsageError(f"--members must be at least 2, to have a spread; got {arguments.members}")
        catalogue = load_catalogue(arguments.plugin)
        specs = catalogue.models(None if arguments.models == ("all",) else arguments.models)
        tasks = [get_task(name, catalogue.tasks) for name in arguments.tasks]
        engines, rows = load_engines(catalogue), []
        for task in tasks:
            for spec in specs:
                rows.append(compared_cell(engines, with_epochs(spec, arguments.epochs), task, arguments))
                print(table(rows[-1:], arguments.members, arguments.epochs).splitlines()[-1], flush=True)
        text = table(rows, arguments.members, arguments.epochs)
        if arguments.write is not None:
            put(text, arguments.write)
        return int(not all(row.equivalent for row in rows if row.kind == "tested"))
    except (UsageError, OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
