"""Configurations: the rows of `benchmarking.csv` that belong in one table of a page, each cell once, the newest."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from coretx.reports.tables.benchmark import BenchmarkRow

RowsBySplit = Mapping[str, BenchmarkRow]
"""The rows of one cell."""
CHOSEN = " chosen"
"""The end of the recipe of a configuration whose cells are points of a grid that validation chose."""
ENGINE_TITLES = {"jax": "JAX", "torch": "PyTorch"}
"""The names of engines on the pages, in their order; another engine keeps its own name."""

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Configuration:
    """One setting of everything but task and model, with its cells by (task, model).

    `negatives` is the rule of the tasks that have one, else `natural`. `recipe` is the recipe of the rows, or
    `<name> chosen` if each cell is the point of a grid that validation chose. `epochs` has several values if each model
    has its own. `older` counts the cells that a newer cell of the same place hides: they differ in hyperparameters,
    device or strategy, which the table does not show.
    """

    backend: str
    protocol: str
    recipe: str
    n_samples: int
    seed: int
    members: int
    negatives: str
    epochs: tuple[int, ...]
    cells: Mapping[tuple[str, str], RowsBySplit]
    older: int

    @property
    def label(self) -> str:
        """The engine and the setting."""
        return f"{engine_title(self.backend)} · {self.setting}"

    @property
    def setting(self) -> str:
        """The label without the engine: a configuration of another engine may have the same."""
        return self.setting_with(f"n = {self.n_samples:,}")

    def setting_with(self, size: str) -> str:
        """Return the setting with these words for the number of rows, or without it if they are empty."""
        epochs = "\N{EN DASH}".join(f"{value:,}" for value in dict.fromkeys((self.epochs[0], self.epochs[-1])))
        parts = [
            f"{self.protocol} splits",
            "" if self.negatives == "natural" else f"{self.negatives} negatives",
            f"{self.recipe.removesuffix(CHOSEN)} recipe",
            "point of the grid chosen on validation" if self.recipe.endswith(CHOSEN) else "",
            size,
            f"{epochs} epoch{'s' * (epochs != '1')}",
            f"{self.members:,} member{'s' * (self.members != 1)}",
            f"seed {self.seed}",
        ]
        return " · ".join(part for part in parts if part)

    @property
    def rows(self) -> list[BenchmarkRow]:
        """All rows that are shown."""
        return [row for cell in self.cells.values() for row in cell.values()]


def engine_title(name: str) -> str:
    """Return the name of an engine on the pages."""
    return ENGINE_TITLES.get(name, name)


def configurations(rows: Iterable[BenchmarkRow]) -> list[Configuration]:
    """Return the configurations in rows, the most complete first: most cells, then members, then rows, then newest."""
    rows = list(rows)
    named = [*((row, row.recipe) for row in rows), *((row, _name(row) + CHOSEN) for row in chosen(rows))]
    groups = grouped(named, lambda pair: (pair[0].backend, pair[0].protocol, pair[1], *_numbers(pair[0])))
    found = [
        _configuration((*base, rule), part)
        for base, group in sorted(groups.items())
        for rule, ruled in _by_negatives([row for row, _ in group]).items()
        for part in by_epochs(ruled)
    ]
    return sorted(found, key=_completeness, reverse=True)


def chosen(rows: Iterable[BenchmarkRow]) -> list[BenchmarkRow]:
    """Return the rows of the cells that validation chooses if a model was trained at several points of a grid.

    The cell with the lowest validation loss is chosen, of equals the first by the name of its recipe, in any order of
    rows. A point that diverged or has no validation split is never chosen. The test split has no part in it.
    """

    def grid_of(row: BenchmarkRow) -> tuple:
        return row.backend, row.protocol, _name(row), *_numbers(row), row.negatives, row.epochs, row.task, row.model

    found: list[BenchmarkRow] = []
    for grid in grouped(rows, grid_of).values():
        points = grouped(grid, lambda row: row.recipe)
        cells = [_newest(part) for _, part in sorted(points.items())]
        losses = [cell["val"].loss if "val" in cell else None for cell in cells]
        scored = [(loss, place) for place, loss in enumerate(losses) if loss is not None]
        if len(points) > 1 and scored:
            found += cells[min(scored)[1]].values()
    return found


def ordered(names: Iterable[str], order: Sequence[str]) -> list[str]:
    """Return the names in the order given, unknown ones after them by name."""
    places = {name: place for place, name in enumerate(order)}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))


def grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Return the items by their keys, in the order in which they come."""
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def by_epochs(rows: Sequence[BenchmarkRow]) -> list[list[BenchmarkRow]]:
    """Part rows by epochs, unless every model has one number of its own: then that is its hyperparameter."""
    parts = grouped(rows, lambda row: row.epochs)
    one_each = len({(row.model, row.epochs) for row in rows}) == len({row.model for row in rows})
    return [list(rows)] if one_each else [parts[epochs] for epochs in sorted(parts, reverse=True)]


def _name(row: BenchmarkRow) -> str:
    """Return the name of the row's recipe, without the point of the grid."""
    return row.recipe.partition(" ")[0]


def _numbers(row: BenchmarkRow) -> tuple[int, int, int]:
    return row.n_samples, row.seed, row.members


def _completeness(configuration: Configuration) -> tuple[int, int, int, str]:
    newest = max(row.date for row in configuration.rows)
    return len(configuration.cells), configuration.members, configuration.n_samples, newest


def _by_negatives(rows: Sequence[BenchmarkRow]) -> dict[str, list[BenchmarkRow]]:
    """Return the rows of each rule for negatives; the rows of tasks without a rule belong to every rule."""
    rules = sorted({row.negatives for row in rows} - {"natural"}) or ["natural"]
    return {rule: [row for row in rows if row.negatives in (rule, "natural")] for rule in rules}


def _configuration(base: tuple, rows: Sequence[BenchmarkRow]) -> Configuration:
    places = grouped(rows, lambda row: (row.task, row.model))
    cells = {place: _newest(own) for place, own in sorted(places.items())}
    epochs = tuple(sorted({row.epochs for row in rows}))
    older = sum(len({row.id for row in own}) - 1 for own in places.values())
    return Configuration(*base, epochs=epochs, cells=cells, older=older)


def _newest(rows: Sequence[BenchmarkRow]) -> RowsBySplit:
    """Return the rows of the cell of the latest date, of equal dates the one whose id comes last."""
    newest = max((row.date, row.id) for row in rows)[1]
    return {row.split: row for row in rows if row.id == newest}
