"""The measurement: every contestant of a model in a process of its own, sampled in turn, round by round."""

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed.comparison import disagreement
from benchmarks.speed.contestants import MANY, OPTIMIZERS, Setting
from benchmarks.speed.operations import count
from benchmarks.speed.processes import CannotRun, Process, request
from benchmarks.speed.work import Work
from coretx.training.backend import cores

Say = Callable[[str], None]
Begin = Callable[[], "Entry"]
"""Starts a contestant: `begin` with its arguments."""

PEAK_SIZE = {"cpu": 2048, "gpu": 8192}
"""Rows of the square matrices whose product is the machine's peak."""
SLOW_SECONDS = 15.0
"""A contestant whose sample takes longer is sampled in every other round."""
CHOOSING_EPOCHS = 5


@dataclass(frozen=True)
class Measurement:
    """What to measure."""

    models: tuple[str, ...]
    members: tuple[int, ...]
    contestants: tuple[str, ...]
    repeats: int
    epochs: int
    n_samples: int
    device: str = "cpu"
    restart: bool = True
    """Start the JAX contestants a second time, from the cache that the first start has filled."""

    def entries(self) -> list[tuple[str, int]]:
        """Return (contestant, members) of each process of a model: who takes members one by one has one member."""
        return [
            (name, members)
            for name in self.contestants
            for members in (self.members if name in MANY else (1,))
            if name != "ensemble" or members > 1
        ]


@dataclass
class Entry:
    """One contestant of a model and what was measured of it."""

    label: str
    contestant: str
    work: Work
    process: Process
    start: dict[str, Any]
    how: str = ""
    choices: dict[str, float] = field(default_factory=dict)
    settled: float = 0.0
    passes: int = 1
    samples: list[dict[str, Any]] = field(default_factory=list)
    peak_bytes: int = 0

    def takes_part(self, turn: int) -> bool:
        """Tell whether the contestant is sampled in this round."""
        return turn % 2 == 0 or self.settled * self.passes <= SLOW_SECONDS

    def record(self, apart: float) -> dict[str, Any]:
        """Return the entry for the JSON file."""
        return {
            "contestant": self.contestant,
            "members": self.work.members,
            "how": self.how,
            "choices": self.choices,
            "start": {name: value for name, value in self.start.items() if name != "losses"},
            "settled_seconds": self.settled,
            "passes": self.passes,
            "samples": self.samples,
            "peak_bytes": self.peak_bytes,
            "disagreement": apart,
        }


def measure(measurement: Measurement, say: Say) -> dict[str, Any]:
    """Return everything measured, by model."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        device = measurement.device
        size = PEAK_SIZE[device]
        peak = Process({"contestant": "peak", "device": device, "size": size}, Path(folder) / "peak")
        stack.callback(peak.close)
        models = {name: measure_model(name, measurement, peak, Path(folder), say) for name in measurement.models}
        return {"device_name": peak.started["device_name"], "peak_size": size, "models": models}


def measure_model(name: str, measurement: Measurement, peak: Process, folder: Path, say: Say) -> dict[str, Any]:
    """Return what was measured of one model: its contestants, the peak of each round, and who could not run."""
    entries: list[Entry] = []
    not_run: dict[str, str] = {}
    begins: dict[str, Begin] = {}
    on_cpu: set[str] = set()
    for contestant, members in measurement.entries():
        work, label = Work(name, members, measurement.epochs, measurement.n_samples), f"{contestant} x {members}"
        if contestant != "jax":
            on_cpu.add(label)
        begins[label] = partial(begin, label, contestant, work, measurement, folder / f"{name} {label}")
    with ExitStack() as stack:
        for label, entry in started(begins, measurement.device, alone=on_cpu):
            if isinstance(entry, CannotRun):
                not_run[label] = str(entry)
                say(f"{name}, {label}: cannot run: {entry}")
                continue
            stack.callback(entry.process.close)
            entries.append(entry)
            say(f"{name}, {label}: started in {entry.start['cold']:.1f} s, a chunk takes {entry.settled:.2f} s")
        peaks = rounds(entries, measurement.repeats, peak, not_run)
        apart = disagreement([entry.start["losses"] for entry in entries])
    work = Work(name, 1, measurement.epochs, measurement.n_samples)
    say(f"{name}: {measurement.repeats} rounds, largest difference of losses {max(apart, default=0.0):.1e}")
    return {
        "operations": asdict(count(work.spec.architecture, work.shape)),
        "steps": work.steps,
        "peak": peaks,
        "contestants": [entry.record(value) for entry, value in zip(entries, apart, strict=True)],
        "not_run": not_run,
    }


def started(
    begins: dict[str, Begin], device: str, alone: Collection[str] = ()
) -> Iterator[tuple[str, Entry | CannotRun]]:
    """Yield each contestant by its label, settled, or why it cannot run.

    On a CPU one contestant starts after the other has settled. Elsewhere all have started before the first one settles,
    since what settles is timed and must have the device to itself; but who starts `alone` does so when it is its turn.
    """
    for label, ready in side_by_side(begins, device, alone).items():
        try:
            entry = ready()
            settle(entry)
        except CannotRun as reason:
            yield label, reason
        else:
            yield label, entry


def side_by_side(begins: dict[str, Begin], device: str, alone: Collection[str]) -> dict[str, Begin]:
    """Return the functions as they are on a CPU; elsewhere start all but those alone, and give what has started.

    A program for a GPU takes 1 to 18 s to compile, and its machine has many cores. On a CPU the contestants
    would take the cores from each other while their first chunks are timed.
    """
    if device == "cpu":
        return begins
    with ThreadPoolExecutor(cores()) as pool:
        begun = {label: pool.submit(begin).result for label, begin in begins.items() if label not in alone}
    return begins | begun


def begin(label: str, contestant: str, work: Work, measurement: Measurement, caches: Path) -> Entry:
    """Start a contestant with empty caches, and a second time from what they hold then where that is measured."""
    first = Setting("fused") if contestant in ("compiled", "ensemble") else Setting()
    process = Process(request(contestant, work, first, measurement.device), caches)
    start = process.started
    if contestant == "jax" and measurement.restart:
        try:
            again = Process(request(contestant, work, first, measurement.device), caches)
        except CannotRun:
            process.close()
            raise
        again.close()
        start["cached"] = again.started["cold"]
        start["cached_compile"] = again.started["compile"]
    return Entry(label, contestant, work, process, start)


def settle(entry: Entry) -> None:
    """Choose a contestant's setting where there is a choice, and its passes. Raises CannotRun, its process ended."""
    options = settings(entry.contestant)
    entry.choices = {str(option): choose(entry.process, option) for option in options}
    if options:
        choose(entry.process, min(options, key=lambda option: entry.choices[str(option)]))
    settled = entry.process.ask("settle")
    entry.how, entry.settled, entry.passes = settled["how"], settled["seconds"], settled["passes"]


def settings(contestant: str) -> list[Setting]:
    """Return the settings that a contestant is tried in; none where there is nothing to choose."""
    threads = sorted({1, cores()})
    if contestant == "tuned":
        return [Setting(optimizer, n) for optimizer in OPTIMIZERS for n in threads]
    return [Setting("fused", n) for n in threads] if contestant == "ensemble" else []


def choose(process: Process, setting: Setting) -> float:
    """Return the seconds of an epoch in this setting, which the contestant then keeps."""
    return process.ask("choose", setting=asdict(setting), epochs=CHOOSING_EPOCHS)["seconds"]


def rounds(entries: Sequence[Entry], repeats: int, peak: Process, not_run: dict[str, str]) -> list[dict[str, float]]:
    """Sample the peak and every contestant in each round, each round beginning with another one; return the peaks.

    A contestant that fails is told in not_run, by its label, and sampled no more.
    """
    peaks = []
    for turn in range(repeats):
        peaks.append(peak.ask("sample")["rates"])
        for entry in rotated(entries, turn):
            if entry.label in not_run or not entry.takes_part(turn):
                continue
            try:
                entry.samples.append({"round": turn, **entry.process.ask("sample")})
                entry.peak_bytes = entry.process.ask("memory")["peak_bytes"]
            except CannotRun as reason:
                not_run[entry.label] = str(reason)
    return peaks


def rotated(entries: Sequence[Entry], by: int) -> Iterable[Entry]:
    """Return the entries, begun with another one in each round."""
    first = by % max(len(entries), 1)
    return [*entries[first:], *entries[:first]]
