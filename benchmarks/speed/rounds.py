"""The measurement: every contestant of a model in a process of its own, sampled in turn, round by round."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed.comparison import disagreement
from benchmarks.speed.processes import CannotRun, Process
from benchmarks.speed.work import Work
from benchmarks.speed.worker import Setting, request
from coretx.training.backend import cores

Say = Callable[[str], None]

OPTIMIZERS = ("default", "foreach", "fused")
"""The three implementations of torch.optim.AdamW."""
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

    def record(self, apart: float) -> dict[str, Any]:
        """Return the entry for the JSON file; `apart` is its largest difference of losses from another's."""
        start = self.process.started
        return {
            "contestant": self.contestant,
            "members": self.work.members,
            "how": self.how,
            "choices": self.choices,
            "compile": start["compile"],
            "measured": start["measured"],
            "samples": self.samples,
            "disagreement": apart,
        }


def measure_model(name: str, measurement: Measurement, say: Say) -> dict[str, Any]:
    """Return the record of one model: its contestants, and why others could not run."""
    not_run: dict[str, str] = {}
    entries: list[Entry] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for label, begun in started(name, measurement, Path(folder)).items():
            try:
                entry = begun()
                stack.callback(entry.process.close)
                seconds = settle(entry)
            except CannotRun as reason:
                not_run[label] = str(reason)
                say(f"{name}, {label}: cannot run: {reason}")
                continue
            entries.append(entry)
            say(f"{name}, {label}: compiled in {entry.process.started['compile']:.1f} s, a chunk takes {seconds:.2f} s")
        rounds(entries, measurement.repeats, not_run)
        apart = disagreement([entry.process.started["losses"] for entry in entries])
    say(f"{name}: {measurement.repeats} rounds, largest difference of losses {max(apart, default=0.0):.1e}")
    return {
        "steps": Work(name, 1, measurement.epochs, measurement.n_samples).steps,
        "contestants": [entry.record(value) for entry, value in zip(entries, apart, strict=True)],
        "not_run": not_run,
    }


def started(name: str, measurement: Measurement, folder: Path) -> Mapping[str, Callable[[], Entry]]:
    """Return, by label, functions that give each contestant of a model started, with empty caches.

    On a GPU all of them start side by side: a program takes 1 to 18 s to compile there. On a CPU each starts when it is
    asked for, since it would take the cores from the others while they settle.
    """
    begins = {}
    for contestant in measurement.contestants:
        for members in measurement.members if contestant == "jax" else (1,):
            work, label = Work(name, members, measurement.epochs, measurement.n_samples), f"{contestant} x {members}"
            begins[label] = partial(begin, contestant, work, measurement.device, folder / label)
    if measurement.device == "cpu":
        return begins
    with ThreadPoolExecutor(cores()) as pool:
        return {label: pool.submit(start).result for label, start in begins.items()}


def begin(contestant: str, work: Work, device: str, caches: Path) -> Entry:
    """Return a contestant whose process has trained its first chunk."""
    return Entry(contestant, work, Process(request(contestant, work, device), caches))


def settle(entry: Entry) -> float:
    """Choose the setting of `tuned`, and the passes of a sample; return the seconds of a chunk."""
    if entry.contestant == "tuned":
        options = {str(one): one for one in (Setting(name, n) for name in OPTIMIZERS for n in sorted({1, cores()}))}
        entry.choices = {said: choose(entry.process, option) for said, option in options.items()}
        choose(entry.process, options[min(entry.choices, key=entry.choices.__getitem__)])
    settled = entry.process.ask("settle")
    entry.how = settled["how"]
    return settled["seconds"]


def choose(process: Process, setting: Setting) -> float:
    """Return the seconds of an epoch in this setting, which the contestant then keeps."""
    return process.ask("choose", setting=asdict(setting), epochs=CHOOSING_EPOCHS)["seconds"]


def rounds(entries: Sequence[Entry], repeats: int, not_run: dict[str, str]) -> None:
    """Sample every contestant in each round. A contestant that fails is told in not_run, and sampled no more."""
    for turn in range(repeats):
        for entry in rotated(entries, turn):
            if entry.label not in not_run:
                try:
                    entry.samples.append({"round": turn, **entry.process.ask("sample")})
                except CannotRun as reason:
                    not_run[entry.label] = str(reason)


def rotated(entries: Sequence[Entry], by: int) -> Iterator[Entry]:
    """Yield the entries, beginning with another one in each round."""
    for place in range(len(entries)):
        yield entries[(place + by) % len(entries)]
