"""What a plan is made of: cells, and the runs that they belong to."""

from dataclasses import dataclass, field

from coretx.backend import Backend
from coretx.grid import GridPoint
from coretx.models.spec import ModelSpec
from coretx.results import UNKNOWN_CODE, CellConfig, Code
from coretx.tasks.base import Task


@dataclass(frozen=True)
class Cell:
    """One population to train: a spec with its epochs settled, on a task, in an engine that has it."""

    task: Task
    spec: ModelSpec
    backend: Backend
    config: CellConfig
    point: GridPoint = field(default_factory=GridPoint)
    code: Code = UNKNOWN_CODE
    """Today's: what a stored cell is known by beside its config."""


@dataclass(frozen=True)
class TaskRun:
    """The cells of one task with one n and one seed, by log prefix: what one log and one draw of data serve."""

    task: Task
    n_samples: int
    seed: int
    cells: dict[str, Cell]

    @property
    def populations(self) -> list[dict[str, Cell]]:
        """The cells by log prefix in parts that train together: one model in one engine, at every grid point."""
        parts: dict[tuple[str, str], dict[str, Cell]] = {}
        for prefix, cell in self.cells.items():
            parts.setdefault((cell.config.model, cell.config.backend), {})[prefix] = cell
        return list(parts.values())
