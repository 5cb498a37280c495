"""Two runs compared cell by cell: which cells belong together, and whether they differ on the same test rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coretx.errors import UsageError, choices
from coretx.evaluation.paired_test import Comparison, compare_recipes, compare_runs
from coretx.records.cell_config import CellConfig, flat, without
from coretx.records.results import ModelResult
from coretx.reports.tables.comparisons import row_scores
from coretx.tasks.base import Task

ALIKE = ("task", "model", "backend", "split", "negatives", "n_samples", "seed", "recipe")
"""What two cells have in common to be compared; see `paired` for when `backend` and `recipe` may differ."""
MAY_DIFFER = ("backend", "recipe", "members", "epochs", "device", "strategy", "dtype", "matmul_precision")


@dataclass(frozen=True)
class Pair:
    """A cell of either run. `runs` is the second's accuracy less the first's for these members, `recipe` for others.

    Both are None for the reason `why_not`, `recipe` also below 3 members. `members` are compared: of populations of
    unequal size, the first ones. No pair is a step of the ladder, so all are exploratory, and none is corrected.
    """

    first: ModelResult
    second: ModelResult
    members: int
    runs: Comparison | None = None
    recipe: Comparison | None = None
    why_not: str = ""


@dataclass(frozen=True)
class RunComparison:
    """The pairs in the order of the first run, and what stands alone in either run or is hidden by a newer cell."""

    pairs: tuple[Pair, ...]
    only_first: tuple[CellConfig, ...]
    only_second: tuple[CellConfig, ...]
    older: int

    @property
    def compared(self) -> int:
        """How many pairs have a test."""
        return sum(pair.runs is not None for pair in self.pairs)

    @property
    def differing(self) -> dict[str, list[tuple[str, str]]]:
        """The settings that differ within a pair, each with the values it has (first, second)."""
        found: dict[str, list[tuple[str, str]]] = {}
        for pair in self.pairs:
            first, second = _settings(pair.first.config), _settings(pair.second.config)
            for name in first.keys() | second.keys():
                values = (str(first.get(name, "none")), str(second.get(name, "none")))
                if values[0] != values[1] and values not in found.setdefault(name, []):
                    found[name].append(values)
        return {name: sorted(values) for name, values in sorted(found.items()) if values}


def compare_cells(
    first: Sequence[ModelResult], second: Sequence[ModelResult], tasks: Mapping[str, Task]
) -> RunComparison:
    """Compare the cells that two runs have in common, paired over test rows (see `coretx.evaluation.paired_test`).

    Raises UsageError where they have none, and for a task that is not among `tasks`.
    """
    keys = paired(first, second)
    left, right = _newest(first, keys), _newest(second, keys)
    common = [key for key in left if key in right]
    if not common:
        raise UsageError(
            f"the runs must have a cell in common, the same in {choices(keys)}; the first has {_places(first)}, "
            f"the second {_places(second)}: train one of them again with the settings of the other"
        )
    return RunComparison(
        pairs=tuple(_pair(left[key], right[key], tasks) for key in common),
        only_first=tuple(left[key].config for key in left if key not in right),
        only_second=tuple(right[key].config for key in right if key not in left),
        older=len(first) + len(second) - len(left) - len(right),
    )


def paired(first: Sequence[ModelResult], second: Sequence[ModelResult]) -> list[str]:
    """Return the settings by which cells belong together.

    The engine is not among them where either run has one engine and these are two; the recipe is not where either run
    has one recipe: then that is what is compared.
    """
    one_each = {}
    for name in ("backend", "recipe"):
        values = [{getattr(result.config, name) for result in run} for run in (first, second)]
        one_each[name] = all(len(found) == 1 for found in values)
    return [name for name in ALIKE if not one_each.get(name, False)]


def _newest(run: Sequence[ModelResult], keys: Sequence[str]) -> dict[tuple, ModelResult]:
    ordered = sorted(run, key=lambda result: result.provenance.date)
    newest = {_key(result, keys): result for result in ordered}
    return {key: newest[key] for key in dict.fromkeys(_key(result, keys) for result in run)}


def _key(result: ModelResult, keys: Sequence[str]) -> tuple:
    return tuple(getattr(result.config, name) for name in keys)


def _pair(first: ModelResult, second: ModelResult, tasks: Mapping[str, Task]) -> Pair:
    members = min(first.config.members, second.config.members)
    name = first.config.task
    if name not in tasks:
        raise UsageError(
            f"task {name} is not known here, it must be one of {choices(tasks)}: name its file by --plugin"
        )
    diverged = [side for side, result in (("first", first), ("second", second)) if "test" not in result.predictions]
    if diverged:
        return Pair(first, second, members, why_not=f"no scores in the {' and the '.join(diverged)}")
    one, other = first.predictions["test"], second.predictions["test"]
    if one.x.shape != other.x.shape or not ((one.x == other.x).all() and (one.y == other.y).all()):
        return Pair(first, second, members, why_not="other test rows")
    _, problem = np.unique(tasks[name].canonical_key(one.x), return_inverse=True)
    before, after = (row_scores(part.of_members(slice(members))) for part in (one, other))
    return Pair(first, second, members, compare_runs(after, before, problem), compare_recipes(after, before, problem))


def _settings(config: CellConfig) -> dict[str, Any]:
    own = {name: getattr(config, name) for name in MAY_DIFFER}
    return own | flat(without(config.hyperparameters, ["optimizer.epochs"]))


def _places(run: Sequence[ModelResult]) -> str:
    """Return what a run is about, in a few words."""
    found = [sorted({str(getattr(result.config, name)) for result in run}) for name in ("task", "backend", "split")]
    shown = [", ".join(names[:3]) + (" ..." if len(names) > 3 else "") for names in found]
    return f"{len(run)} cells ({shown[0]}; {shown[1]}; {shown[2]} splits)"
