"""The measurement: every contestant of a model in a process of its own, sampled in turn, round by round."""

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.speed.comparison import disagreement
from benchmarks.speed.processes import CannotRun, Process
from benchmarks.speed.work import Work
from benchmarks.speed.worker import request
from coretx.training.backend import cores

Say = Callable[[str], None]


@dataclass(frozen=True)
class Measurement:
    """The models to measure, and how."""

    models: tuple[str, ...]
    members: tuple[int, ...]
    contestants: tuple[str, ...]
    repeats: int
    epochs: int
    n_samples: int
    device: str = "cpu"


@dataclass
class Entry:
    """One contestant of a model and its measurements."""

    contestant: str
    work: Work
    process: Process
    how: str = ""
    choices: dict[str, float] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The contestant and its number of members."""
        return f"{self.contestant} x {self.work.members}"

    def record(self, disagreement: float) -> dict[str, Any]:
        """Return the entry for the JSON file; `disagreement` is its largest difference of losses from another's."""
        start = self.process.started
        return {
            "contestant": self.contestant,
            "members": self.work.members,
            "how": self.how,
            "choices": self.choices,
            "compile": start["compile"],
            "measured": start["measured"],
            "samples": self.samples,
            "disagreement": disagreement,
        }


def measure_model(name: str, measurement: Measurement, say: Say) -> dict[str, Any]:
    """Return the record of one model: its contestants, and the reasons of those that could not run."""
    not_run: dict[str, str] = {}
    entries: list[Entry] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for label, begun in started(name, measurement, Path(folder)).items():
            try:
                entry = begun.result()
                stack.callback(entry.process.close)
                settled = entry.process.ask("settle")
            except CannotRun as reason:
                not_run[label] = str(reason)
                say(f"{name}, {label}: cannot run: {reason}")
                continue
            entry.how, entry.choices = settled["how"], settled["choices"]
            entries.append(entry)
            compiled = entry.process.started["compile"]
            say(f"{name}, {label}: compiled in {compiled:.1f} s, a chunk takes {settled['seconds']:.2f} s")
        rounds(entries, measurement.repeats, not_run)
        differences = disagreement([entry.process.started["losses"] for entry in entries])
    say(f"{name}: {measurement.repeats} rounds, largest difference of losses {max(differences, default=0.0):.1e}")
    return {
        "steps": Work(name, 1, measurement.epochs, measurement.n_samples).steps,
        "contestants": [entry.record(value) for entry, value in zip(entries, differences, strict=True)],
        "not_run": not_run,
    }


def started(name: str, measurement: Measurement, folder: Path) -> dict[str, Future[Entry]]:
    """Return each contestant of a model by label, started with empty caches.

    They start side by side: a program takes 1 to 18 s to compile on a GPU. Nothing is timed before all have started.
    """
    with ThreadPoolExecutor(cores()) as pool:
        return {
            f"{contestant} x {members}": pool.submit(
                begin,
                contestant,
                Work(name, members, measurement.epochs, measurement.n_samples),
                measurement.device,
                folder / f"{contestant} x {members}",
            )
            for contestant in measurement.contestants
            for members in (measurement.members if contestant == "jax" else (1,))
        }


def begin(contestant: str, work: Work, device: str, caches: Path) -> Entry:
    """Return a contestant whose process has trained its first chunk."""
    return Entry(contestant, work, Process(request(contestant, work, device), caches))


def rounds(entries: Sequence[Entry], repeats: int, not_run: dict[str, str]) -> None:
    """Sample every contestant in each round, which begins with another one each time.

    A contestant that fails enters `not_run` with the reason, and is sampled no more.
    """
    for turn in range(repeats):
        for place in range(len(entries)):
            entry = entries[(place + turn) % len(entries)]
            if entry.label not in not_run:
                try:
                    entry.samples.append({"round": turn, **entry.process.ask("sample")})
                except CannotRun as reason:
                    not_run[entry.label] = str(reason)
