"""`python -m parity_tests.statistics`: do both engines end with the same test accuracy? Equivalence over many seeds.

Where a training is chaotic, two engines part after some hundred steps, however exact they are; then only the
distribution of what they end with can be compared. Two one-sided t tests (Schuirmann, "A comparison of the two
one-sided tests procedure and the power approach", 1987) on the members' paired differences.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from jaxtyping import Float
from scipy import stats

from coretx.errors import OutputError, UsageError
from coretx.evaluation.scores import predict, score
from coretx.models.spec import InputShape, ModelSpec
from coretx.records import durable, provenance
from coretx.running.plan import with_epochs
from coretx.running.plugins import load_catalogue
from coretx.tasks.base import Task
from coretx.tasks.registry import get_task
from coretx.tasks.sampling import prepare_data
from coretx.training.backend import ENGINES, Backend
from coretx.training.loop import Population, first_divergence, start, train
from parity_tests.bounds import ALPHA, MARGIN, NEAR_CHANCE, SATURATED
from parity_tests.cases import load_engines

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
    recipe: Literal["tuned", "original"] = "tuned"
    """Whose rates: those chosen on validation, or the original's, at which some models train chaotically."""
    plugin: tuple[Path, ...] = ()
    """Python files with tasks and models of your own."""
    write: Path | None = None
    """A Markdown file to put the table into, between its two marks: docs/parity.md."""
    cells: Path = Path("artifacts/_parity/statistics")
    """Folder that keeps what each engine reached, so that a run that was stopped goes on: same code, same settings."""


@dataclass(frozen=True)
class Row:
    """One model on one task: every member's test accuracy in both engines, and what TOST says of them."""

    model: str
    task: str
    jax: Float[np.ndarray, " member"]
    torch: Float[np.ndarray, " member"]

    @property
    def p_value(self) -> float:
        return tost(self.jax - self.torch, MARGIN)

    @property
    def interval(self) -> tuple[float, float]:
        """The confidence interval of the mean difference, JAX less torch, at 1 - 2 alpha: inside the margin where
        TOST says equivalent."""
        mean, error, freedom = moments(self.jax - self.torch)
        reach = float(stats.t.isf(ALPHA, freedom)) * error
        return mean - reach, mean + reach

    @property
    def kind(self) -> str:
        """`tested`, or why a test would say nothing: not finite, both at chance, or both all but perfect."""
        means = self.jax.mean(), self.torch.mean()
        if not np.isfinite(means).all():
            return "diverged"
        if max(means) < 0.5 + NEAR_CHANCE:
            return "at chance"
        return "above 0.99" if min(means) > SATURATED else "tested"

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
    mean, error, freedom = moments(differences)
    if error == 0:
        return float(abs(mean) >= margin)
    above = stats.t.sf((mean + margin) / error, freedom)
    below = stats.t.cdf((mean - margin) / error, freedom)
    return float(max(above, below))


def moments(differences: Float[np.ndarray, " member"]) -> tuple[float, float, int]:
    """Return the mean, its standard error, and the degrees of freedom."""
    members = len(differences)
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(members)), members - 1


def accuracies(backend: Backend, spec: ModelSpec, task: Task, arguments: Arguments) -> Float[np.ndarray, " member"]:
    """Return the test accuracy of every member after training; NaN for all where a loss was not finite."""
    n, seed, members = arguments.n_samples, arguments.seed, arguments.members
    data = {"train": prepare_data(n, seed, task=task)}
    population = Population(spec, seed, task.name, members)
    access = backend.open(spec, InputShape(task.sequence_length, task.feature_dim), members)
    start(access, population)
    history = train(access, population, data, lambda record: None)
    if first_divergence(history) is not None:
        return np.full(members, np.nan)
    return score(predict(access, {"test": prepare_data(n, seed + 1, task=task)}))["test"].accuracy


def kept(backend: Backend, spec: ModelSpec, task: Task, arguments: Arguments) -> Float[np.ndarray, " member"]:
    """Return the accuracies, from the folder of cells where the same code has finished them there."""
    record = {
        "model": spec.name,
        "task": task.name,
        "engine": backend.name,
        "settings": spec.hyperparameters(),
        "members": arguments.members,
        "n_samples": arguments.n_samples,
        "seed": arguments.seed,
        "code": provenance.code_of(ENGINES[backend.name], backend.versions, arguments.plugin),
    }
    digest = durable.sha256(json.dumps(record, sort_keys=True, default=asdict).encode())[:12]
    path = arguments.cells / f"{task.name}.{spec.name}.{backend.name}.{digest}.json"
    if not path.exists():
        found = accuracies(backend, spec, task, arguments)
        durable.write_text(path, json.dumps(record | {"accuracy": found.tolist()}, indent=1, default=asdict))
    return np.array(json.loads(path.read_text())["accuracy"])


def table(rows: Sequence[Row], arguments: Arguments) -> str:
    """Return the rows as Markdown: what was tested, then what stands apart."""
    head = (
        "| model | task | JAX | PyTorch | difference | its 90% interval | p (TOST) | |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    said = (
        f"Mean test accuracy of {arguments.members} members after {arguments.epochs} epochs with the "
        f"{arguments.recipe} recipe, margin {MARGIN}, alpha {ALPHA}."
    )
    return "\n".join([said, "", head, *(line(row) for row in sorted(rows, key=lambda row: row.kind != "tested"))])


def line(row: Row) -> str:
    """Return the row of the table."""
    jax, torch = row.jax.mean(), row.torch.mean()
    low, high = row.interval
    verdict = f"apart: {row.kind}" if row.kind != "tested" else "equivalent" if row.equivalent else "NOT SHOWN"
    return (
        f"| {row.model} | {row.task} | {jax:.4f} | {torch:.4f} | {jax - torch:+.4f} | {low:+.4f} to {high:+.4f} "
        f"| {row.p_value:.1e} | {verdict} |"
    )


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
        specs = catalogue.models(None if arguments.models == ("all",) else arguments.models, recipe=arguments.recipe)
        tasks = [get_task(name, catalogue.tasks) for name in arguments.tasks]
        engines, rows = load_engines(catalogue), []
        for spec in (with_epochs(spec, arguments.epochs) for spec in specs):
            for task in tasks:
                rows.append(Row(spec.name, task.name, *(kept(engines[e], spec, task, arguments) for e in ENGINES)))
                print(line(rows[-1]), flush=True)
        text = table(rows, arguments)
        if arguments.write is not None:
            put(text, arguments.write)
        return int(not all(row.equivalent for row in rows if row.kind == "tested"))
    except (UsageError, OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
