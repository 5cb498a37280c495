"""`python -m parity_tests`: compare two engines on any model and task, one's own included."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from coretx.errors import OutputError, UsageError
from coretx.models.spec import ModelSpec
from coretx.records import provenance
from coretx.records.cell_config import flat, without
from coretx.running.plugins import load_catalogue
from coretx.tasks.base import Task
from coretx.tasks.registry import get_task
from coretx.training.backend import Backend
from parity_tests import certificate, trajectory
from parity_tests.cases import ENGINES, Case, lasting, load_engines, short
from parity_tests.certificate import Certificate, Finding, Trial
from parity_tests.faults import mutants_of
from parity_tests.ladder import differs_before_training, first_difference
from parity_tests.mutants import StaleMutant, planted
from parity_tests.trajectory import runner

MUTANT_STEPS = 8
"""So many show every fault: the padded batch is the fifth of each epoch, the rate moves with the sixth."""


@dataclass(frozen=True)
class Arguments:
    """Compare the JAX and the PyTorch engine step by step, from equal weights and batches."""

    models: tuple[str, ...] = ("all",)
    """Names of models, or `all`."""
    tasks: tuple[str, ...] = ("sign_of_winner",)
    """Names of tasks."""
    dtype: Literal["float64", "float32", "both"] = "both"
    """Precision of both engines."""
    steps: int = 200
    """Optimizer steps."""
    n_samples: int = 1000
    """Rows that are trained on."""
    seed: int = 0
    """Names the streams of data, initial weights and batch order."""
    mutants: bool = True
    """Put small faults into one engine alone, of this forward pass and of training, and count those that are found."""
    plugin: tuple[Path, ...] = ()
    """Python files with tasks and models of your own (see README)."""
    out: Path = Path()
    """Folder for artifacts/_parity/."""


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, report, write the certificates; return 0 where nothing differs, 1 where something does, 2 for usage."""
    arguments = tyro.cli(Arguments, prog="python -m parity_tests", args=argv, config=(tyro.conf.FlagCreatePairsOff,))
    try:
        return compare(arguments)
    except (UsageError, OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def compare(arguments: Arguments) -> int:
    """Do what was asked and return the exit code."""
    if arguments.steps < 1:
        raise UsageError(f"--steps must be at least 1; got {arguments.steps}")
    catalogue = load_catalogue(arguments.plugin)
    specs = catalogue.models(None if arguments.models == ("all",) else arguments.models)
    tasks = [get_task(name, catalogue.tasks) for name in arguments.tasks]
    for spec in specs:
        if set(spec.engines) != set(ENGINES):
            raise UsageError(f"model {spec.name} runs in {', '.join(spec.engines)} alone: parity needs both engines")
    engines = load_engines(catalogue)
    pages = [certify(arguments, engines, spec, task) for task in tasks for spec in specs]
    return int(not all(page.granted for page in pages))


def certify(arguments: Arguments, engines: Mapping[str, Backend], spec: ModelSpec, task: Task) -> Certificate:
    """Compare one model on one task, say what came of it, and write its certificate."""
    spec = lasting(spec, arguments.steps, arguments.n_samples)
    dtypes = ("float64", "float32") if arguments.dtype == "both" else (arguments.dtype,)
    cases = [Case(spec, task, dtype, arguments.n_samples, arguments.seed) for dtype in dtypes]
    findings = [find(case, engines, arguments.steps) for case in cases]
    trials = []
    if arguments.mutants and not any(finding.sentence for finding in findings):  # a fault shows where there is none
        trials = try_mutants(spec, task, engines)
    page = Certificate(
        model=spec.name,
        task=task.name,
        steps=arguments.steps,
        findings=findings,
        trials=trials,
        settings={"rows": arguments.n_samples, "batch": spec.optimizer.batch_size, "seed": arguments.seed}
        | flat(without(spec.hyperparameters(), ("optimizer.batch_size", "optimizer.epochs"))),
        versions=versions(engines),
        command=command(arguments, spec, task),
    )
    path = certificate.write(page, arguments.out)
    for finding in findings:
        print(f"{spec.name} on {task.name}, {finding.dtype}: {told(finding, arguments.steps)}")
    if trials:
        print(f"{spec.name}: {page.killed} of {len(trials)} mutants found")
    for trial in trials:
        if trial.stale:
            print(f"{spec.name}: stale, {trial.name} in {trial.engine}: {trial.stale}")
    print(f"wrote {path}")
    return page


def command(arguments: Arguments, spec: ModelSpec, task: Task) -> str:
    """Return the command that makes this page again."""
    plugins = "".join(f" --plugin {shlex.quote(file.name)}" for file in arguments.plugin)
    return (
        f"python -m parity_tests --models {spec.name} --tasks {task.name} --dtype {arguments.dtype} --steps "
        f"{arguments.steps} --n-samples {arguments.n_samples} --seed {arguments.seed}{plugins}"
        f"{'' if arguments.mutants else ' --no-mutants'}"
    )


def versions(engines: Mapping[str, Backend]) -> dict[str, str]:
    """Return the commit and the version of every package that the comparison goes through."""
    of_engines = {name: version for engine in engines.values() for name, version in engine.versions.items()}
    return {"commit": provenance.commit()} | provenance.versions() | of_engines


def find(case: Case, engines: Mapping[str, Backend], steps: int) -> Finding:
    """Return the comparison of one case, from names of parameters to the last step."""
    jax, torch = (runner(case.open(engines[name]), case) for name in ENGINES)
    before = differs_before_training(jax, torch)
    if before is not None and before.quantity.startswith(("contract/", "initial/")):
        return Finding(case.dtype, None, before)
    verdict, _ = trajectory.compare(*engines.values(), case, steps)
    return Finding(case.dtype, verdict, before or verdict.difference)


def told(finding: Finding, steps: int) -> str:
    """Return the finding as one line for a terminal."""
    if finding.verdict is None or finding.sentence:
        return finding.sentence
    verdict = finding.verdict
    envelope = verdict.largest_envelope
    line = f"the same over {verdict.horizon} steps, largest error {verdict.largest_error:.1e}, envelope {envelope:.1e}"
    if verdict.horizon < steps:
        line += f"; from step {verdict.horizon} on its own copies part too, and nothing is asserted"
    return line


def try_mutants(spec: ModelSpec, task: Task, engines: Mapping[str, Backend]) -> list[Trial]:
    """Return what differed first under each fault that this model can show; nothing under one that is stale."""
    case = Case(short(spec), task)
    trials = []
    for mutant in mutants_of(spec, case.open(engines["torch"]).manifest):
        found, stale = None, ""
        try:
            with planted(mutant) as calls:
                found = first_difference(engines, case, MUTANT_STEPS, mutant)
            if mutant.edits and not calls.count:
                found, stale = None, "the function that it edits was never called: change the mutant"
        except StaleMutant as error:
            stale = str(error)
        trials.append(Trial(mutant.name, mutant.engine, found, stale))
    return trials


if __name__ == "__main__":
    sys.exit(main())
