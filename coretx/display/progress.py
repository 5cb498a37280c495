"""What a run says while it goes on: one picture on a terminal, plain lines elsewhere, failures alone where quiet."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from coretx.display.live import Board, LiveCell, name, outcome, scores_on_test, table
from coretx.display.terminal import Terminal
from coretx.records.cell_config import CellConfig
from coretx.records.results import ModelResult
from coretx.training.loop import EpochRecord

Stream = Any
"""A text stream; no type of the standard library takes both sys.stdout and StringIO under beartype."""


@dataclass(frozen=True)
class PlainLines:
    """Whole lines without escape codes, each flushed: for pipes, files and CI. Quiet: those that alarm alone.

    Where nobody reads any more, as behind `| head -3`, the lines are dropped: a run is made for its files, and goes on.
    """

    stream: Stream
    quiet: bool = False

    def open(self, board: Board) -> None:
        """Show nothing: only whole lines are written."""

    def began(self, text: str) -> None:
        """Write that a cell began."""
        self.line(text)

    def line(self, text: str, *, alarming: bool = False) -> None:
        """Write the line."""
        if alarming or not self.quiet:
            try:
                print(text, file=self.stream, flush=True)
            except BrokenPipeError:
                # What is left in the stream would be an error again when Python ends: all of it goes nowhere.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def close(self) -> None:
        """Nothing to take away."""


class Progress:
    """Shows a run: which cells train, what is done, what is left; several cells may train at once.

    A context manager, for one run: leaving it takes the live display away, `note` and `summary` still work then.
    `epoch` only keeps the record, so that a chunk of a thousand costs nothing; drawing happens four times a second.
    `stream` defaults to stdout. `terminal` forces the live display (True) or plain lines (False); by default the
    stream is asked. `quiet` says nothing but what failed; `color` is for the live display, where NO_COLOR is not set.
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
        self._quiet, live = quiet, terminal and not quiet
        self._display = Terminal(stream, color=color) if live else PlainLines(stream, quiet)
        self.board = Board(clock, began=clock())

    def __enter__(self) -> "Progress":
        """Return the progress itself; `start` opens the display."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the live display away."""
        self._display.close()

    def start(self, total_cells: int, planned: Sequence[CellConfig] = ()) -> None:
        """Begin a run of so many cells; those planned are shown as a grid of tasks by models."""
        self.board.total, self.board.planned, self.board.began = total_cells, planned, self.board.clock()
        self._display.open(self.board)

    def cell_started(self, config: CellConfig, rows: int = 0) -> None:
        """Show the cell among those in training, on so many rows."""
        self.board.training[config.id] = LiveCell(config, self.board.clock(), rows)
        self._display.began(f"{self._count()} {name(config)}: training, {config.epochs} epochs")

    def epoch(self, config: CellConfig, record: EpochRecord) -> None:
        """Keep what the epoch measured, for the next picture."""
        now = self.board.clock()
        self.board.training.setdefault(config.id, LiveCell(config, now)).hear(record, now)

    def cell_done(self, result: ModelResult) -> None:
        """Print how the cell ended: scores and seconds, or that it diverged, which stays in sight."""
        self.board.end(result)
        diverged = result.status == "diverged"
        self._display.line(f"{self._count()} {name(result.config)}: {outcome(result)}", alarming=diverged)

    def cell_reused(self, config: CellConfig, result: ModelResult | None = None) -> None:
        """Print that the cell stands on disk already and is not trained again, with its scores where given."""
        self.board.reuse(config)
        scores = "" if result is None else f", {scores_on_test(result)}"
        self._display.line(f"{self._count()} {name(config)}: reused{scores}")

    def note(self, text: str, *, alarming: bool = False) -> None:
        """Print a line that stays."""
        self._display.line(text, alarming=alarming)

    def summary(self, results: Sequence[ModelResult], paths: Sequence[Path | str]) -> None:
        """Print a table of every cell's scores on test, what failed, then the paths written; the run is over.

        Nothing where quiet: what failed has its line already.
        """
        self._display.close()
        if self._quiet:
            return
        if results:
            head, *lines = table(results)
            self._display.line(head)
            for text, result in zip(lines, results, strict=True):
                self._display.line(text, alarming=result.status == "diverged")
        if self.board.failed:
            self._display.line(f"failed: {len(self.board.failed)} ({'; '.join(self.board.failed)})", alarming=True)
        for path in paths:
            self._display.line(f"wrote {path}")

    def _count(self) -> str:
        return f"[{self.board.finished}/{self.board.total}]"
