"""The protocol that every log follows, and a log that passes each call on to several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from coretx.records.results import ModelResult, RunRecord
from coretx.training.loop import EpochRecord

Status = Literal["done", "failed", "interrupted"]
"""How a run ended."""


@runtime_checkable
class RunLog(Protocol):
    """A log of one run (one task, one seed, one n); only the parent thread calls it.

    `start` comes first and `finish` last, once each. In between the models of the run may interleave, each under its
    prefix (a key of `run.cells`): its epochs in ascending order, counted from 0, then its `model_done`.
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
        """Close the log; does nothing if it was never opened."""
        ...


@dataclass(frozen=True)
class Tee:
    """Passes each call on to every log in `logs`, in their order."""

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
