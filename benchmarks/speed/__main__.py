"""`python -m benchmarks.speed`: measure the JAX engine against eager torch."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from benchmarks.speed import machine, report
from benchmarks.speed.comparison import faults
from benchmarks.speed.ladder import LADDER_EPOCHS, Ladder, measure_ladder
from benchmarks.speed.processes import ROOT, CannotRun, engine
from benchmarks.speed.rounds import Measurement, measure_model
from benchmarks.speed.work import CHUNK_EPOCHS
from benchmarks.speed.worker import CONTESTANTS
from coretx.errors import OutputError, UsageError, choices
from coretx.models.registry import build_models
from coretx.training.backend import cores

GPU_MEMBERS = (1, 4, 16, 64, 256, 1024)
QUIET = 0.25
"""A machine is quiet if its load per core is below this."""


@dataclass(frozen=True)
class Arguments:
    """Measure member-steps per second of every contestant on the same work."""

    quick: bool = False
    """1 and 8 members, JAX and eager torch alone, 3 rounds: under 3 minutes."""
    ladder: bool = False
    """Instead: main.py on all tasks from nothing, with 1 and with 5 members, and again with a filled cache."""
    device: Literal["cpu", "gpu"] = "cpu"
    """The device of the JAX engine; torch stays on the CPU."""
    models: tuple[str, ...] = ("all",)
    """Names of models, or `all`."""
    members: tuple[int, ...] = ()
    """Numbers of members; by default 1 8 32, with --quick 1 8, with --ladder 1 5, on a gpu 1 to 1024."""
    contestants: tuple[str, ...] = ()
    """The contestants; by default jax eager tuned, with --quick and on a gpu jax eager."""
    repeats: int | None = None
    """Rounds; by default 5, with --quick 3."""
    epochs: int | None = None
    """Epochs of a sample (by default 25), or of --ladder's cells (1000)."""
    n_samples: int = 1000
    """Rows of each split."""
    out: Path = ROOT / "artifacts" / "speed"
    """Folder for the JSON files; the published ones are in benchmarks/published/speed."""
    write: Path | None = None
    """Instead: put the tables of all runs in --out into this page, docs/performance.md."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, save, print; return 0, 1 if a contestant did other work than the rest, or 2 for a bad request."""
    config = (tyro.conf.FlagCreatePairsOff,)
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.speed", args=argv, config=config)
    try:
        check(arguments)
        if arguments.write is None:
            return int(bool(run(arguments)))
        report.write(arguments.out, arguments.write)
        return 0
    except (UsageError, OutputError, CannotRun) as error:
        print(f"error: {error}", file=sys.stderr)
        return getattr(error, "exit_code", UsageError.exit_code)


def check(arguments: Arguments) -> None:
    """Raise UsageError for a bad request, before anything is measured."""
    model_names(arguments)
    for contestant in arguments.contestants:
        if contestant not in CONTESTANTS:
            raise UsageError(f"unknown contestant {contestant!r}; choose from: {choices(CONTESTANTS)}")
    for name in ("quick", "contestants", "repeats"):
        if arguments.ladder and getattr(arguments, name) != getattr(Arguments, name):
            raise UsageError(f"--ladder does not take --{name}: leave it out")
    given = [("repeats", arguments.repeats), ("epochs", arguments.epochs), *(("members", n) for n in arguments.members)]
    for flag, value in given:
        if value is not None and value < 1:
            raise UsageError(f"--{flag} must be at least 1; got {value}")


def model_names(arguments: Arguments) -> tuple[str, ...]:
    """Return the names of the models to measure."""
    specs = build_models(None if arguments.models == ("all",) else arguments.models)
    return tuple(spec.name for spec in specs)


def run(arguments: Arguments) -> list[str]:
    """Measure, save and print; return the faults."""
    begun, result = time.perf_counter(), machine.describe() | engine(arguments.device)
    if result["load"] > QUIET * cores():
        say(f"the machine is not quiet: its load of {result['load']:.1f} will show in the figures")
    result |= (ladder_run if arguments.ladder else speed_run)(arguments)
    result |= {"seconds": time.perf_counter() - begun}
    path = report.save(result, arguments.out)
    say(f"\n{report.report(result)}\n\nwrote {path}")
    return result.get("faults", [])


def speed_run(arguments: Arguments) -> dict[str, Any]:
    """Return the record of the main measurement."""
    on_gpu, quick = arguments.device == "gpu", arguments.quick
    measurement = Measurement(
        model_names(arguments),
        members=arguments.members or ((1, 8) if quick else GPU_MEMBERS if on_gpu else (1, 8, 32)),
        contestants=arguments.contestants or (("jax", "eager") if quick or on_gpu else tuple(CONTESTANTS)),
        repeats=arguments.repeats or (3 if quick else 5),
        epochs=arguments.epochs or CHUNK_EPOCHS,
        n_samples=arguments.n_samples,
        device=arguments.device,
    )
    models = {name: measure_model(name, measurement, say) for name in measurement.models}
    wrong = [fault for name, model in models.items() for fault in faults(name, model["contestants"])]
    kind = "quick" if quick else "speed"
    return {"kind": kind, "arguments": asdict(measurement), "models": models, "faults": wrong}


def ladder_run(arguments: Arguments) -> dict[str, Any]:
    """Return the record of `--ladder`."""
    ladder = Ladder(
        model_names(arguments),
        members=arguments.members or Ladder.members,
        epochs=arguments.epochs or LADDER_EPOCHS,
        n_samples=arguments.n_samples,
        device=arguments.device,
    )
    return {"kind": "ladder", "arguments": asdict(ladder), **measure_ladder(ladder, say)}


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
