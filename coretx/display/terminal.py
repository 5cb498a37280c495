"""The live picture of a run on a terminal. The only module that imports rich."""

from typing import Any

from coretx.display.live import Board, duration, name

MAX_LIVE_CELLS = 6
"""Cells shown at once, two lines each; a screen must not scroll under a live display."""
MAX_FAILED = 3
"""Failures named under the live display; all are counted, and each has its own line above."""
MAX_TASKS = 12
"""Lines of the grid: of more tasks, those that are done leave first."""


class Terminal:
    """One live display under the lines that stay. Without colours where told, or where NO_COLOR is set."""

    def __init__(self, stream: Any, *, color: bool = True) -> None:
        from rich.console import Console  # 0.1 s, and a pipe must do without

        self._console = Console(file=stream, force_terminal=True, highlight=False, no_color=None if color else True)
        self._live: Any = None

    def open(self, board: Board) -> None:
        """Draw the display four times a second until `close`."""
        from rich.live import Live

        self.close()
        self._live = Live(
            console=self._console,
            get_renderable=lambda: picture(board, self._console.width),
            refresh_per_second=4,
            transient=True,
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


def picture(board: Board, width: int = 80) -> Any:
    """Return the display for so many columns: the overall bar, tasks by models, the cells in training, what failed."""
    from rich.console import Group
    from rich.text import Text

    parts = [_bar(board)]
    if len(board.planned) > 1:
        parts.append(_grid(board, width))
        if len(board.grid) > MAX_TASKS:
            parts.append(Text(f"and {len(board.grid) - MAX_TASKS} more tasks", style="dim"))
    for cell in board.cells[:MAX_LIVE_CELLS]:
        spark = Text(f"  {cell.spark}" if cell.spark else "", style="cyan")
        state = cell.state(board.clock(), width - 2)
        parts += [Text(name(cell.config), style="bold").append_text(spark), Text(f"  {state}")]
    hidden = len(board.cells) - MAX_LIVE_CELLS
    if hidden > 0:
        parts.append(Text(f"and {hidden} more in training"))
    if board.failed:
        latest = "; ".join(board.failed[-MAX_FAILED:])
        parts.append(Text(f"failed: {len(board.failed)} ({latest})", style="bold red"))
    return Group(*parts)


def _bar(board: Board) -> Any:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    done = board.finished + sum(cell.share for cell in board.cells)
    bar = ProgressBar(total=max(board.total, 1), completed=done, width=30)
    grid.add_row(f"{board.finished}/{board.total} cells", bar, f"{duration(board.left())} left")
    return grid


def _grid(board: Board, width: int) -> Any:
    """Return tasks by models: what waits, trains, is done, failed."""
    from rich.table import Table
    from rich.text import Text

    grid = board.grid
    models = list(dict.fromkeys(model for cells in grid.values() for model in cells))
    tasks = min(max(map(len, grid)), 24 if width > 100 else 20)
    room = max((width - tasks) // len(models) - 1, 6)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True, overflow="ellipsis", width=tasks)
    for model in models:
        table.add_column(
            Text(model, overflow="ellipsis"),
            no_wrap=True,
            overflow="ellipsis",
            justify="right",
            width=min(max(len(model), 7), room),
        )
    for task in _in_sight(board):
        stands = [board.stand(grid[task][model]) if model in grid[task] else "" for model in models]
        table.add_row(Text(task), *(Text(stand, style=_style(stand)) for stand in stands))
    return table


def _in_sight(board: Board) -> list[str]:
    """Return at most MAX_TASKS tasks in the order of the plan; those with nothing left to do leave first."""
    tasks = list(board.grid)
    done = [task for task in tasks if all(c.id in board.ended for cells in board.grid[task].values() for c in cells)]
    out = {*done[: max(len(tasks) - MAX_TASKS, 0)]}
    return [task for task in tasks if task not in out][:MAX_TASKS]


def _style(stand: str) -> str:
    if stand.endswith("failed"):
        return "bold red"
    if stand.endswith("%"):
        return "cyan"
    return "dim" if stand in ("·", "reused") else ""
