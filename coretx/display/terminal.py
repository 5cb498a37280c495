"""The live display on a terminal. The only module that imports rich."""

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

BAR_WIDTH = 30


class Terminal:
    """A progress bar and a line for each cell in training, under the printed lines.

    `state()` returns the trained share of the run, its text, and a (name, text) for each cell. rich asks for it four
    times a second. Without colours if `color` is False or NO_COLOR is set.
    """

    def __init__(
        self, stream: Any, state: Callable[[], tuple[float, str, Sequence[tuple[str, str]]]], *, color: bool = True
    ) -> None:
        self._state = state
        console = Console(file=stream, force_terminal=True, highlight=False, no_color=None if color else True)
        self._live = Live(console=console, get_renderable=self.picture, refresh_per_second=4, transient=True)

    def start(self) -> None:
        """Draw the display until `close`."""
        self._live.start()

    def line(self, text: str, *, alarming: bool = False) -> None:
        """Bring the display up to date and print the line above it, red if alarming."""
        self._live.refresh()
        self._live.console.print(text, style="bold red" if alarming else None, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the display away and give the cursor back."""
        self._live.stop()

    def picture(self) -> Table:
        """Return the table to draw: a line for the run, then one for each cell, its name cut where it is too wide."""
        share, text, cells = self._state()
        table = Table.grid(padding=(0, 2))
        table.add_column()
        table.add_column(no_wrap=True)
        table.add_row(ProgressBar(total=1.0, completed=share, width=BAR_WIDTH), text)
        for name, measured in cells:
            table.add_row(Text(name, no_wrap=True, overflow="ellipsis"), measured)
        return table
