"""`python -m benchmarks.speed`: measure the engines against each other and against what else torch offers."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from benchmarks.speed import machine, pages
from benchmarks.speed.comparison import faults
from benchmarks.speed.contestants import CONTESTANTS
from benchmarks.speed.derived import LADDER_EPOCHS
from benchmarks.speed.ladder import Ladder, measure_ladder
from benchmarks.speed.processes import ROOT, CannotRun
from benchmarks.speed.rounds import Measurement, measure
from benchmarks.speed.scaling import AXES, measure_scaling
from benchmarks.speed.work import CHUNK_EPOCHS
from coretx.errors import OutputError, UsageError, choices
from coretx.models.registry import build_models
from coretx.training.backend import cores

GPU_MEMBERS = (1, 4, 16, 64, 256, 1024)
QUIET = 0.25
"""The load of a quiet machine, per core, is below this."""


@dataclass(frozen=True)
class Arguments:
    """Measure member-steps per second of every contestant on the same work, as ratios with their spread."""

    quick: bool = False
    """Two numbers of members, JAX and eager torch alone, 3 rounds: under 3 minutes."""
    compile: bool = False
    """Have torch.compile compete, with its cold start, which takes minutes."""
    scaling: bool = False
    """Instead: time per operation as members, rows, steps and width grow."""
    ladder: bool = False
    """Instead: main.py on all tasks from nothing, with 1 and with 5 members."""
    device: Literal["cpu", "gpu"] = "cpu"
    """What the JAX engine runs on; torch stays on the CPU."""
    models: tuple[str, ...] = ("all",)
    """Names of models, or `all`."""
    members: tuple[int, ...] = ()
    """Numbers of members; 1 8 32 where none is given, 1 8 with --quick, 1 5 with --ladder, 1 to 1024 on a gpu."""
    contestants: tuple[str, ...] = ()
    """Who competes: jax, eager, tuned, ensemble, original where none is given, jax eager with --quick and on a gpu."""
    repeats: int | None = None
    """Rounds; 5 where not given, 3 with --quick and --scaling."""
    epochs: int | None = None
    """Epochs of a sample (25 where not given), or of --ladder's cells (1000)."""
    n_samples: int = 1000
    """Rows of each split."""
    out: Path = ROOT / "benchmarks" / "speed" / "results"
    """Folder for the JSON files."""
    write: Path | None = None
    """A Markdown file to put the tables of all runs in --out into, between its two marks: docs/performance.md."""
    from_results: bool = False
    """Measure nothing: only --write."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, save, show; return 0, or 1 where a contestant did other work than the rest, or 2 for usage."""
    config = (tyro.conf.FlagCreatePairsOff,)
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.speed", args=argv, config=config)
    try:
        check(arguments)
        found = [] if arguments.from_results else run(arguments)
        if arguments.write is not None:
            for path in pages.write(arguments.out, arguments.write):
                say(f"wrote {path}")
        return int(bool(found))
    except (UsageError, OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except CannotRun as reason:
        print(f"error: {reason}", file=sys.stderr)
        return UsageError.exit_code


def check(arguments: Arguments) -> None:
    """Raise UsageError for what cannot be, before anything is measured."""
    build_models(names(arguments))
    for contestant in arguments.contestants:
        if contestant not in CONTESTANTS:
            raise UsageError(f"unknown contestant {contestant!r}; choose from: {choices(CONTESTANTS)}")
    if arguments.scaling and arguments.ladder:
        raise UsageError("--scaling and --ladder are runs of their own: give one of them")
    check_kind(arguments)
    if arguments.quick and arguments.write is not None:
        raise UsageError("--write publishes whole runs: leave out --quick")
    if arguments.from_results and arguments.write is None:
        raise UsageError("--from-results needs --write with the page to write")
    given = [("repeats", arguments.repeats), ("epochs", arguments.epochs), *(("members", n) for n in arguments.members)]
    for flag, value in given:
        if value is not None and value < 1:
            raise UsageError(f"--{flag} must be at least 1; got {value}")
    if arguments.write is not None:
        pages.check(arguments.write)


TAKEN = {
    "--scaling": ("repeats", "device"),
    "--ladder": ("models", "members", "epochs", "n_samples", "device"),
}
"""What the runs of a kind of their own can be told; the main one takes everything."""


def check_kind(arguments: Arguments) -> None:
    """Raise UsageError for what this kind of run does not take, and for other work in place of what is published."""
    kind = "--scaling" if arguments.scaling else "--ladder" if arguments.ladder else ""
    told = [name for name in CHANGING if getattr(arguments, name) != getattr(Arguments, name)]
    for name in told if kind else ():
        if name not in TAKEN[kind]:
            raise UsageError(f"{kind} does not take --{name.replace('_', '-')}: leave it out")
    other = [name for name in told if name in ("models", "contestants", "epochs", "n_samples")]
    if other and not arguments.quick and arguments.out == Arguments.out:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in other)
        raise UsageError(f"{flags}: this is not what the published results are of: give another folder with --out")


CHANGING = ("quick", "compile", "models", "members", "contestants", "repeats", "epochs", "n_samples")
"""What changes the work of a run."""


def names(arguments: Arguments) -> tuple[str, ...] | None:
    """Return the names of the models that are asked for, None for all."""
    return None if arguments.models == ("all",) else arguments.models


def run(arguments: Arguments) -> list[str]:
    """Do the measurement that is asked for, save and print it; return its faults."""
    begun, what = time.perf_counter(), machine.describe()
    if what["load"] > QUIET * cores():
        say(f"the machine is not quiet: its load is {what['load']:.1f}, and what else it does will show in the figures")
    models = tuple(spec.name for spec in build_models(names(arguments)))
    if arguments.ladder:
        kind, (asked, found) = "ladder", ladder_run(arguments, models)
    elif arguments.scaling:
        kind, (asked, found) = "scaling", scaling_run(arguments)
    else:
        kind = "quick" if arguments.quick else "speed"
        asked, found = speed_run(arguments, models)
    result = what | {"kind": kind, "arguments": asked, **found, "seconds": time.perf_counter() - begun}
    path = pages.save(result, arguments.out)
    say(f"\n{pages.REPORTS[kind](result)}\n\nwrote {path}")
    return result.get("faults", [])


def speed_run(arguments: Arguments, models: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the main measurement was asked and what it found."""
    on_gpu, quick = arguments.device == "gpu", arguments.quick
    few = ("jax", "eager")
    contestants = arguments.contestants or (few if quick or on_gpu else (*few, "tuned", "ensemble", "original"))
    if arguments.compile:
        contestants = tuple(dict.fromkeys((*contestants, "compiled")))
    measurement = Measurement(
        models,
        members=arguments.members or ((1, 8) if quick else GPU_MEMBERS if on_gpu else (1, 8, 32)),
        contestants=contestants,
        repeats=arguments.repeats or (3 if quick else 5),
        epochs=arguments.epochs or CHUNK_EPOCHS,
        n_samples=arguments.n_samples,
        device=arguments.device,
        restart=not (quick or on_gpu),
    )
    found = measure(measurement, say)
    wrong = [fault for name, model in found["models"].items() for fault in faults(name, model["contestants"])]
    return asdict(measurement), found | {"faults": wrong}


def scaling_run(arguments: Arguments) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what `--scaling` was asked and what it found."""
    repeats = arguments.repeats or 3
    asked = {"repeats": repeats, "device": arguments.device}
    return asked, measure_scaling(AXES, repeats, arguments.device, say)


def ladder_run(arguments: Arguments, models: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what `--ladder` was asked and what it found."""
    ladder = Ladder(
        models,
        members=arguments.members or (1, 5),
        epochs=arguments.epochs or LADDER_EPOCHS,
        n_samples=arguments.n_samples,
        device=arguments.device,
    )
    return asdict(ladder), measure_ladder(ladder, say)


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
