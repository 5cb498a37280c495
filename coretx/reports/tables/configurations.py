"""Which rows of the CSV belong in one table: those of one configuration, each cell once, the newest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from coretx.reports.pages.formatting import count, counted
from coretx.reports.tables.benchmark import BenchmarkRow

Cell = Mapping[str, BenchmarkRow]
"""The rows of one cell by split."""
CHOSEN = " chosen"
"""What the recipe of a configuration ends with whose cells are points of a grid, chosen on validation."""


@dataclass(frozen=True)
class Configuration:
    """One setting of everything but task and model, with its cells by (task, model).

    `negatives` is the rule of the tasks that have one, `natural` where none has.

    `recipe` is that of the rows, or `<its name> chosen` where each cell is the point of a grid that validation chose.
    `epochs` has one value, or several where each model has its own; `older` counts the cells that a newer one of the
    same task, model and configuration hides (other hyperparameters, device or strategy: the CSV does not say which).
    """

    backend: str
    protocol: str
    recipe: str
    n_samples: int
    seed: int
    members: int
    negatives: str
    epochs: tuple[int, ...]
    cells: Mapping[tuple[str, str], Cell]
    older: int

    @property
    def label(self) -> str:
        """What a person picks it by."""
        return self.described(f"n = {count(self.n_samples)}")

    def described(self, size: str) -> str:
        """Return the label with these words for the number of rows, or without any where empty."""
        engine = {"jax": "JAX", "torch": "PyTorch"}.get(self.backend, self.backend)
        return f"{engine} · {self._without_engine(size)}"

    @property
    def setting(self) -> str:
        """The label without the engine: what a configuration has in common with that of the other engine."""
        return self._without_engine(f"n = {count(self.n_samples)}")

    def _without_engine(self, size: str) -> str:
        epochs = "\N{EN DASH}".join(count(value) for value in dict.fromkeys((self.epochs[0], self.epochs[-1])))
        parts = [
            f"{self.protocol} splits",
            *([] if self.negatives == "natural" else [f"{self.negatives} negatives"]),
            f"{self.recipe.removesuffix(CHOSEN)} recipe",
            *(["point of the grid chosen on validation"] if self.recipe.endswith(CHOSEN) else []),
            *([size] if size else []),
            f"{epochs} epoch{'' if epochs == '1' else 's'}",
            counted(self.members, "member"),
            f"seed {self.seed}",
        ]
        return " · ".join(parts)

    @property
    def rows(self) -> list[BenchmarkRow]:
        """All rows that are shown."""
        return [row for cell in self.cells.values() for row in cell.values()]


def configurations(rows: Iterable[BenchmarkRow]) -> list[Configuration]:
    """Return the configurations in rows, the most complete first: most cells, then members, then rows, then newest."""
    rows = list(rows)
    groups: dict[tuple, list[BenchmarkRow]] = {}
    for row, recipe in [*((row, row.recipe) for row in rows), *((row, _name(row) + CHOSEN) for row in chosen(rows))]:
        base = (row.backend, row.protocol, recipe, row.n_samples, row.seed, row.members)
        groups.setdefault(base, []).append(row)
    found = [
        _configuration((*base, rule), part)
        for base, group in sorted(groups.items())
        for rule, ruled in _by_negatives(group).items()
        for part in by_epochs(ruled)
    ]
    return sorted(found, key=_completeness, reverse=True)


def chosen(rows: Iterable[BenchmarkRow]) -> list[BenchmarkRow]:
    """Return the rows of the cells that validation chooses where a model was trained at several points of a grid.

    That is the lowest validation loss, of equals the first by the name of its recipe, in whatever order the rows come;
    a point that diverged or was drawn without validation has none. Test has no part in it.
    """
    grids: dict[tuple, dict[str, dict[str, dict[str, BenchmarkRow]]]] = {}
    for row in rows:
        cell = (row.backend, row.protocol, _name(row), row.n_samples, row.seed, row.members, row.negatives, row.epochs)
        points = grids.setdefault((*cell, row.task, row.model), {})
        points.setdefault(row.recipe, {}).setdefault(row.id, {})[row.split] = row
    found: list[BenchmarkRow] = []
    for points in grids.values():
        cells = [_newest(list(cells.values())) for _, cells in sorted(points.items())]
        losses = [cell["val"].loss if "val" in cell else None for cell in cells]
        scored = [(loss, place) for place, loss in enumerate(losses) if loss is not None]
        if len(points) > 1 and scored:
            found += cells[min(scored)[1]].values()
    return found


def ordered(names: Iterable[str], order: Sequence[str]) -> list[str]:
    """Return the names in the order given, unknown ones after them by name."""
    places = {name: place for place, name in enumerate(order)}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))


def _name(row: BenchmarkRow) -> str:
    """Return the name of the row's recipe, without the point of the grid."""
    return row.recipe.partition(" ")[0]


def _completeness(configuration: Configuration) -> tuple[int, int, int, str]:
    newest = max(row.date for row in configuration.rows)
    return len(configuration.cells), configuration.members, configuration.n_samples, newest


def _by_negatives(rows: Sequence[BenchmarkRow]) -> dict[str, list[BenchmarkRow]]:
    """Return the rows of each rule for negatives; those of tasks that have none stand with every rule."""
    rules = sorted({row.negatives for row in rows} - {"natural"}) or ["natural"]
    return {rule: [row for row in rows if row.negatives in (rule, "natural")] for rule in rules}


def by_epochs(rows: Sequence[BenchmarkRow]) -> list[list[BenchmarkRow]]:
    """Part rows by epochs, unless every model has one number of its own: then that is its hyperparameter."""
    parts: dict[int, list[BenchmarkRow]] = {}
    for row in rows:
        parts.setdefault(row.epochs, []).append(row)
    one_each = len({(row.model, row.epochs) for row in rows}) == len({row.model for row in rows})
    return [list(rows)] if one_each else [parts[epochs] for epochs in sorted(parts, reverse=True)]


def _configuration(base: tuple, rows: Sequence[BenchmarkRow]) -> Configuration:
    by_id: dict[tuple[str, str], dict[str, dict[str, BenchmarkRow]]] = {}
    for row in rows:
        by_id.setdefault((row.task, row.model), {}).setdefault(row.id, {})[row.split] = row
    newest = {place: _newest(list(cells.values())) for place, cells in sorted(by_id.items())}
    epochs = tuple(sorted({row.epochs for row in rows}))
    older = sum(len(cells) - 1 for cells in by_id.values())
    return Configuration(*base, epochs=epochs, cells=newest, older=older)


def _newest(cells: Sequence[Cell]) -> Cell:
    """Return the cell of the latest date, of equal dates the one whose id comes last."""
    return max(cells, key=lambda cell: max((row.date, row.id) for row in cell.values()))
