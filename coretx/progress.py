"""The live display of a run: one picture on a terminal, plain lines elsewhere. The only module that imports rich."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float

from coretx.results import CellConfig, EpochRecord, ModelResult

Stream = Any
"""A text stream; no type of the standard library takes both sys.stdout and StringIO under beartype."""
MAX_LIVE_CELLS = 6
"""Cells shown at once, two lines each; a screen must not scroll under a live display."""
MAX_DIVERGED = 3
"""Diverged cells named under the live display; all are counted, and each has its own line above."""


@dataclass
class LiveCell:
    """One cell in training: when it began (seconds of the clock), its train rows, what it said last, and when."""

    config: CellConfig
    began: float
    rows: int = 0
    record: EpochRecord | None = None
    heard: float = 0.0

    @property
    def epochs(self) -> int:
        """Epochs trained so far."""
        return 0 if self.record is None else self.record.epoch + 1

    @property
    def share(self) -> float:
        """How much of the cell is trained, in [0, 1]."""
        return self.epochs / self.config.epochs

    @property
    def steps_per_second(self) -> float | None:
        """Optimizer steps a second over all members, compilation included; None where batch or rows are not known."""
        batch = self.config.hyperparameters.get("batch_size")
        if not batch or not self.rows or self.heard <= self.began:
            return None
        steps = -(-self.rows // batch) * self.epochs * self.config.members
        return steps / (self.heard - self.began)

    def left(self, now: float) -> float | None:
        """Seconds until the last epoch, None before the first."""
        if not self.share:
            return None
        return max((self.heard - self.began) * (1 / self.share - 1) - (now - self.heard), 0.0)

    def state(self, now: float) -> str:
        """Return where the cell stands: epoch, means over members, speed, time left."""
        parts = [f"epoch {self.epochs}/{self.config.epochs}", f"{duration(self.left(now))} left"]
        if self.record is not None:
            means = {key: f"{np.mean(values):.3f}" for key, values in self.record.metrics.items()}
            parts.append(f"loss {means.get('loss_train', '-')} train {means.get('loss_test', '-')} test")
            parts.append(f"accuracy {means.get('accuracy_test', '-')} test")
        if self.steps_per_second is not None:
            parts.append(f"{self.steps_per_second:,.0f} steps/s")
        return ", ".join(parts)


@dataclass(frozen=True)
class PlainLines:
    """Whole lines without escape codes, each flushed: for pipes, files and CI."""

    stream: Stream

    def open(self, progress: "Progress") -> None:
        """Show nothing: only whole lines are written."""

    def began(self, text: str) -> None:
        """Write that a cell began."""
        self.line(text)

    def line(self, text: str, *, alarming: bool = False) -> None:
        """Write the line."""
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """Nothing to take away."""


class Terminal:
    """One live display under the lines that stay. Colours follow NO_COLOR."""

    def __init__(self, stream: Stream) -> None:
        from rich.console import Console  # 0.1 s, and a pipe must do without

        self._console = Console(file=stream, force_terminal=True, highlight=False)
        self._live: Any = None

    def open(self, progress: "Progress") -> None:
        """Draw the display four times a second until `close`."""
        from rich.live import Live

        self.close()
        self._live = Live(
            console=self._console, get_renderable=lambda: picture(progress), refresh_per_second=4, transient=True
        )
        self._live.start()

    def began(self, text: str) -> None:
        """Print nothing: the live display shows the cell."""

    def line(self, text: str, *, alarming: bool = False) -> None:
        """Print the line above the display, which is brought up to date with it."""
        if self._live is not None:
            self._live.refresh()
        self._console.print(text, style="bold red" if alarming else None, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the display away and give the cursor back."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class Progress:
    """Shows a run: which cells train, what is done, what is left; several cells may train at once.

    A context manager, for one run: leaving it takes the live display away, `note` and `summary` still work then.
    `epoch` only keeps the record, so that a chunk of a thousand costs nothing; drawing happens four times a second.
    `stream` defaults to stdout. `terminal` forces the live display (True) or plain lines (False); by default the
    stream is asked.
    """

    def __init__(
        self, stream: Stream = None, terminal: bool | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        stream = sys.stdout if stream is None else stream
        if terminal is None:
            terminal = stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
        self._display = Terminal(stream) if terminal else PlainLines(stream)
        self.clock = clock
        self._began = clock()
        self.total = 0
        self.finished = 0
        self.reused = 0
        self.diverged: list[str] = []
        self._live: dict[str, LiveCell] = {}

    def __enter__(self) -> "Progress":
        """Return the progress itself; `start` opens the display."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the live display away."""
        self._display.close()

    def start(self, total_cells: int) -> None:
        """Begin a run of so many cells."""
        self.total, self._began = total_cells, self.clock()
        self._display.open(self)

    def cell_started(self, config: CellConfig, rows: int = 0) -> None:
        """Show the cell among those in training, on so many rows."""
        self._live[config.id] = LiveCell(config, self.clock(), rows)
        self._display.began(f"{self._count()} {name(config)}: training, {config.epochs} epochs")

    def epoch(self, config: CellConfig, record: EpochRecord) -> None:
        """Keep what the epoch measured, for the next picture."""
        cell = self._live.setdefault(config.id, LiveCell(config, self.clock()))
        cell.record, cell.heard = record, self.clock()

    def cell_done(self, result: ModelResult) -> None:
        """Print how the cell ended: scores and seconds, or that it diverged, which stays in sight."""
        self._live.pop(result.config.id, None)
        self.finished += 1
        diverged = result.status == "diverged"
        if diverged:
            self.diverged.append(name(result.config))
        self._display.line(f"{self._count()} {name(result.config)}: {outcome(result)}", alarming=diverged)

    def cell_reused(self, config: CellConfig, result: ModelResult | None = None) -> None:
        """Print that the cell stands on disk already and is not trained again, with its scores where given."""
        self.finished += 1
        self.reused += 1
        scores = "" if result is None else f", {scores_on_test(result)}"
        self._display.line(f"{self._count()} {name(config)}: reused{scores}")

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self._display.line(text)

    def summary(self, results: Sequence[ModelResult], paths: Sequence[Path | str]) -> None:
        """Print test accuracy and loss of every cell, a line each, then the paths written; the run is over."""
        self._display.close()
        width = max((len(name(result.config)) for result in results), default=0)
        for result in results:
            diverged = result.status == "diverged"
            self._display.line(f"{name(result.config):{width}}  {scores_on_test(result)}", alarming=diverged)
        for path in paths:
            self._display.line(f"wrote {path}")

    @property
    def cells(self) -> list[LiveCell]:
        """The cells in training, in the order in which they began."""
        return list(self._live.copy().values())

    def left(self) -> float | None:
        """Seconds until the last cell, from the pace of the cells trained so far; None while there is none."""
        trained = self.finished - self.reused + sum(cell.share for cell in self.cells)
        if not trained:
            return None
        return (self.clock() - self._began) / trained * max(self.total - self.reused - trained, 0.0)

    def _count(self) -> str:
        return f"[{self.finished}/{self.total}]"


def name(config: CellConfig) -> str:
    """Return the cell as people say it: task, model, engine, seed, n."""
    return f"{config.task} {config.model} ({config.backend}), seed {config.seed}, n {config.n_samples}"


def outcome(result: ModelResult) -> str:
    """Return the end of a cell in a few words."""
    seconds = f"{result.provenance.seconds.get('total', 0.0):.1f} s"
    if result.status == "diverged":
        return f"diverged: {result.failure} ({seconds})"
    return f"{scores_on_test(result)}, {seconds}"


def scores_on_test(result: ModelResult) -> str:
    """Return accuracy and loss on test, as mean ± std over members."""
    if "test" not in result.scores:
        return result.status
    scores = result.scores["test"]
    return f"accuracy {_number(scores.accuracy)}, loss {_number(scores.loss)}"


def duration(seconds: float | None) -> str:
    """Return seconds as a clock shows them, `-` where unknown.

    >>> duration(75.4), duration(3600), duration(None)
    ('1:15', '1:00:00', '-')
    """
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def picture(progress: Progress) -> Any:
    """Return the live display: the overall bar, the cells in training, the cells that diverged."""
    from rich.console import Group
    from rich.text import Text

    parts = [_bar(progress)]
    for cell in progress.cells[:MAX_LIVE_CELLS]:
        parts += [Text(name(cell.config), style="bold"), Text(f"  {cell.state(progress.clock())}")]
    hidden = len(progress.cells) - MAX_LIVE_CELLS
    if hidden > 0:
        parts.append(Text(f"and {hidden} more in training"))
    if progress.diverged:
        latest = "; ".join(progress.diverged[-MAX_DIVERGED:])
        parts.append(Text(f"diverged: {len(progress.diverged)} ({latest})", style="bold red"))
    return Group(*parts)


def _bar(progress: Progress) -> Any:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    done = progress.finished + sum(cell.share for cell in progress.cells)
    bar = ProgressBar(total=max(progress.total, 1), completed=done, width=30)
    grid.add_row(f"{progress.finished}/{progress.total} cells", bar, f"{duration(progress.left())} left")
    return grid


def _number(values: Float[np.ndarray, " member"]) -> str:
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{spread}"
