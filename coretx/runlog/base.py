"""The protocol every log follows, and two logs that write nothing themselves: MemoryLog and Tee."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from coretx.records.results import ModelResult, RunRecord
from coretx.training.loop import EpochRecord

Status = Literal["done", "failed", "interrupted"]
"""How a run ended."""


@runtime_checkable
class RunLog(Protocol):
    """Where one run (one task, one seed, one n) is told; used from the parent thread alone.

    `start` comes first and `finish` last, once each. Between them the models of the run may come interleaved, each
    under its prefix (a key of `run.cells`): its epochs in ascending order, counted from 0, then its `model_done`.
    """

    def start(self, run: RunRecord) -> None:
        """Open the log for this run."""
        ...

    def epoch(self, prefix: str, record: EpochRecord) -> None:
        """Record one epoch of one model."""
        ...

    def model_done(self, prefix: str, result: ModelResult) -> None:
        """Record the final scores of one model, or that it diverged."""
        ...

    def finish(self, status: Status) -> None:
        """Close the log; harmless where it was never opened."""
        ...


@dataclass
class MemoryLog:
    """Keeps every call as (verb, arguments), in order: for tests and notebooks."""

    calls: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def start(self, run: RunRecord) -> None:
        """Keep the call."""
        self.calls.append(("start", (run,)))

    def epoch(self, prefix: str, record: EpochRecord) -> None:
        """Keep the call."""
        self.calls.append(("epoch", (prefix, record)))

    def model_done(self, prefix: str, result: ModelResult) -> None:
        """Keep the call."""
        self.calls.append(("model_done", (prefix, result)))

    def finish(self, status: Status) -> None:
        """Keep the call."""
        self.calls.append(("finish", (status,)))


@dataclass(frozen=True)
class Tee:
    """Tells every log in `logs` the same, in their order."""

    logs: Sequence[RunLog]

    def start(self, run: RunRecord) -> None:
        """Open every log."""
        for log in self.logs:
            log.start(run)

    def epoch(self, prefix: str, record: EpochRecord) -> None:
        """Record the epoch in every log."""
        for log in self.logs:
            log.epoch(prefix, record)

    def model_done(self, prefix: str, result: ModelResult) -> None:
        """Record the model's end in every log."""
        for log in self.logs:
            log.model_done(prefix, result)

    def finish(self, status: Status) -> None:
        """Close every log."""
        for log in self.logs:
            log.finish(status)
