"""The command line: parse, run, and turn every error of the user into one sentence and an exit code."""

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import tyro

from coretx.config import RunConfig
from coretx.display.progress import Progress
from coretx.errors import OutputError, UsageError, choices
from coretx.running.plan import make_plan
from coretx.running.plugins import Catalogue, load_catalogue
from coretx.version import __version__


@dataclass(frozen=True)
class Arguments:
    """Train a ladder of sequence models on synthetic tasks; write logs, pages and one dashboard."""

    run: Annotated[RunConfig, tyro.conf.arg(name="")] = field(default_factory=RunConfig)
    list: bool = False
    """Print the tasks and models, one line each, and exit."""
    rebuild_reports: bool = False
    """Write all pages and the dashboard again from the stored results, and exit."""
    version: bool = False
    """Print the version and exit."""


def main(
    argv: Sequence[str] | None = None,
    *,
    tasks: str | Sequence[str] | None = None,
    n_samples: int | Sequence[int] | None = None,
    models: str | Sequence[str] | None = None,
) -> int:
    """Run the program and return its exit code; the keyword arguments are defaults that flags override.

    0: all cells done. 1: some diverged. 2: usage. 3: the disk refuses. 130: interrupted.
    """
    try:
        given = {"tasks": tasks, "n_samples": n_samples, "models": models}
        default = replace(RunConfig(), **{name: several(value) for name, value in given.items() if value is not None})
        return act(parse(sys.argv[1:] if argv is None else argv, default))
    except (UsageError, OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def several(value: str | int | Sequence[Any]) -> tuple[Any, ...]:
    """Return one value or several as a tuple."""
    return (value,) if isinstance(value, str | int) else tuple(value)


def parse(argv: Sequence[str], default: RunConfig) -> Arguments:
    """Return the arguments. Exits with code 2 and tyro's message for an unknown flag or a bad value."""
    return tyro.cli(
        Arguments,
        prog="main.py",
        args=reuse_spelt_out(argv),
        default=Arguments(run=default),
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
    )


def reuse_spelt_out(argv: Sequence[str]) -> list[str]:
    """Return the arguments with `--reuse same` for `--reuse` alone, which tyro cannot express.

    >>> reuse_spelt_out(["--reuse", "--models", "mlp"]), reuse_spelt_out(["--quiet", "--reuse"])
    (['--reuse', 'same', '--models', 'mlp'], ['--quiet', '--reuse', 'same'])
    >>> reuse_spelt_out(["--reuse", "any", "--quiet"])
    ['--reuse', 'any', '--quiet']
    """
    spelt = []
    for argument, following in zip(argv, [*argv[1:], "--"], strict=True):
        spelt += [argument, "same"] if argument == "--reuse" and following.startswith("-") else [argument]
    return spelt


def act(arguments: Arguments) -> int:
    """Run the command that the arguments ask for and return the exit code."""
    if arguments.version:
        print(f"progressive-tx {__version__}")
        return 0
    if arguments.list:
        Progress(terminal=False).note(listing(load_catalogue(arguments.run.plugin)))
        return 0
    # Two late imports, since they load matplotlib and jinja2: a usage error must not wait for them.
    if arguments.rebuild_reports:
        from coretx.running.rebuild import rebuild_reports

        return rebuild_reports(arguments.run.out, load_catalogue(arguments.run.plugin), Progress(terminal=False).note)
    plan = make_plan(arguments.run)
    from coretx.running.experiment import execute

    with rare_collections():
        return execute(plan).exit_code


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let Python search for reference cycles after 100,000 new objects rather than 700.

    Traced programs are about a million objects without garbage; a search through them stops every thread for half a
    second. Results and arrays are freed by their reference counts.
    """
    before = gc.get_threshold()
    gc.set_threshold(100_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def listing(catalogue: Catalogue) -> str:
    """Return every task and model in a line each, with the engines that have them."""
    tasks = [f"  {task.name:26} {task.rule}" for task in catalogue.tasks.values()]
    models = [f"  {spec.name:26} [{choices(spec.engines)}] {spec.claim}" for spec in catalogue.models()]
    return "\n".join(["tasks (jax, torch)", *tasks, "models", *models])
