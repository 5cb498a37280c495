"""The lines that a run prints, with a live display on a terminal."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from coretx.display.text import duration, outcome, score_table
from coretx.records.cell_config import CellConfig
from coretx.records.results import ModelResult
from coretx.training.loop import EpochRecord

Stream = Any
"""A text stream. No type of the standard library takes both sys.stdout and StringIO under beartype."""


class Progress:
    """Prints the events of one run and, on a terminal, shows the cells in training below them.

    A context manager: leaving it takes the live display away; `note` and `summary` still work afterwards. Several
    cells may train at once. `epoch` only keeps the record, so that a chunk of a thousand epochs is cheap.
    `stream` defaults to stdout. `terminal` forces the live display (True) or plain lines (False); by default the
    stream decides. `quiet` prints failures only. `color=False` or NO_COLOR turns colours off.
    """

    def __init__(
        self,
        stream: Stream = None,
        terminal: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        quiet: bool = False,
        color: bool = True,
    ) -> None:
        stream = sys.stdout if stream is None else stream
        if terminal is None:
            terminal = stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
        self._stream, self._quiet = stream, quiet
        self._clock, self._began = clock, clock()
        self._total = self._finished = self._reused = 0
        self._failed: list[str] = []
        self._training: dict[str, tuple[CellConfig, EpochRecord | None]] = {}
        self._terminal = None
        if terminal and not quiet:
            from coretx.display.terminal import Terminal  # late: rich takes 0.1 s, and a pipe needs none

            self._terminal = Terminal(stream, self.state, color=color)

    def __enter__(self) -> "Progress":
        """Return the progress itself; `start` opens the display."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the live display away."""
        self._close()

    def start(self, total: int) -> None:
        """Begin a run of `total` cells."""
        self._total, self._began = total, self._clock()
        if self._terminal is not None:
            self._terminal.start()

    def cell_started(self, config: CellConfig) -> None:
        """Show the cell in the live display, or print that it trains."""
        self._training[config.id] = config, None
        if self._terminal is None:
            self._cell_line(config, f"training, {config.epochs} epochs")

    def epoch(self, config: CellConfig, record: EpochRecord) -> None:
        """Keep the epoch's record for the next drawing."""
        self._training[config.id] = config, record

    def cell_done(self, result: ModelResult) -> None:
        """Print the cell's test scores and seconds, or that it diverged."""
        config, diverged = result.config, result.status == "diverged"
        self._training.pop(config.id, None)
        self._finished += 1
        if diverged:
            self._failed.append(f"{config.label} diverged")
        if result.alarm:
            self._failed.append(f"{config.label} is above its ceiling")
        self._cell_line(config, outcome(result), alarming=diverged)

    def cell_reused(self, config: CellConfig) -> None:
        """Print that the cell's stored result is used."""
        self._finished += 1
        self._reused += 1
        self._cell_line(config, "reused")

    def note(self, text: str, *, alarming: bool = False) -> None:
        """Print a line, flushed; if quiet, only an alarming one.

        Drops the line if the reader of a pipe is gone, as behind `| head -3`: the run goes on for its files.
        """
        if self._terminal is not None:
            self._terminal.line(text, alarming=alarming)
        elif alarming or not self._quiet:
            try:
                print(text, file=self._stream, flush=True)
            except BrokenPipeError:
                # Python flushes the stream again at exit, which would raise again: send the rest nowhere.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def summary(self, results: Sequence[ModelResult], paths: Sequence[Path | str]) -> None:
        """Print the table of test scores, the failures and the written paths; nothing if quiet."""
        self._close()
        if self._quiet:
            return
        if results:
            headings, *lines = score_table(results)
            self.note(headings)
            for text, result in zip(lines, results, strict=True):
                self.note(text, alarming=result.status == "diverged")
        if self._failed:
            self.note(f"failed: {len(self._failed)} ({'; '.join(self._failed)})", alarming=True)
        for path in paths:
            self.note(f"wrote {path}")

    def state(self) -> tuple[float, str, list[tuple[str, str]]]:
        """Return the trained share of the run, its text, and the name and text of each cell in training.

        The remaining time follows the mean pace so far, reused cells aside: epochs arrive a chunk at a time, so that
        the pace of the last seconds says little.
        """
        cells = list(self._training.values())
        shares = [(record.epoch + 1) / config.epochs for config, record in cells if record is not None]
        done, elapsed = self._finished + sum(shares), self._clock() - self._began
        trained = done - self._reused
        left = elapsed / trained * max(self._total - done, 0.0) if trained else None
        text = f"{self._finished}/{self._total} cells, {duration(elapsed)} elapsed, {duration(left)} left"
        return done / max(self._total, 1), text, [(cell[0].label, _measured(*cell)) for cell in cells]

    def _cell_line(self, config: CellConfig, text: str, *, alarming: bool = False) -> None:
        self.note(f"[{self._finished}/{self._total}] {config.label}: {text}", alarming=alarming)

    def _close(self) -> None:
        if self._terminal is not None:
            self._terminal.close()


def _measured(config: CellConfig, record: EpochRecord | None) -> str:
    """Return a cell's epoch, and its loss and accuracy on test as means over members."""
    if record is None:
        return f"epoch 0/{config.epochs}"
    loss, accuracy = (np.mean(record.metrics[name]) for name in ("loss_test", "accuracy_test"))
    return f"epoch {record.epoch + 1}/{config.epochs}, test loss {loss:.3f}, accuracy {accuracy:.3f}"
