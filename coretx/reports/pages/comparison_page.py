"""The comparison of two runs: cells that belong together, paired over the same test rows, and the page about them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coretx.errors import UsageError, choices
from coretx.evaluation.paired_test import Comparison, compare_recipes, compare_runs
from coretx.records.cell_config import CellConfig, flat, without
from coretx.records.results import ModelResult
from coretx.reports.pages.templating import render
from coretx.reports.tables.comparisons import QUESTIONS, Answer, answer, row_scores
from coretx.reports.tables.configurations import ordered
from coretx.tasks.base import Task

ALIKE = ("task", "model", "backend", "split", "negatives", "n_samples", "seed", "recipe")
"""The settings that two compared cells share; see `paired` for an exception for `backend` and `recipe`."""
MAY_DIFFER = ("backend", "recipe", "members", "epochs", "device", "strategy", "dtype", "matmul_precision")

Link = Callable[[ModelResult], str | None]
"""Returns the address of a cell's page as seen from the comparison, None without a page."""


@dataclass(frozen=True)
class Pair:
    """A cell of each run. `runs` is the second's accuracy less the first's for these members, `recipe` for others.

    Both are None for the reason `why_not`, `recipe` also below 3 members. `members` are compared: of populations of
    unequal size, the first ones. No pair is a step of the ladder, so all are exploratory, and none is corrected.
    """

    first: ModelResult
    second: ModelResult
    members: int
    runs: Comparison | None = None
    recipe: Comparison | None = None
    why_not: str = ""

    @property
    def answers(self) -> dict[str, Answer]:
        """The answers about these runs and about the recipe; none for a pair that was not compared."""
        if self.runs is None:
            return {}
        return {name: answer(getattr(self, question)) for question, name in QUESTIONS.items()}


@dataclass(frozen=True)
class RunComparison:
    """The pairs in the order of the first run, the cells of one run alone, and the number of older cells hidden."""

    pairs: tuple[Pair, ...]
    only_first: tuple[CellConfig, ...]
    only_second: tuple[CellConfig, ...]
    older: int

    @property
    def compared(self) -> int:
        """The number of pairs with a test."""
        return sum(pair.runs is not None for pair in self.pairs)

    @property
    def differing(self) -> dict[str, list[tuple[str, str]]]:
        """The settings that differ within a pair, each with its values (first, second)."""
        found: dict[str, set[tuple[str, str]]] = {}
        for pair in self.pairs:
            first, second = _settings(pair.first.config), _settings(pair.second.config)
            for name in first.keys() | second.keys():
                values = (str(first.get(name, "none")), str(second.get(name, "none")))
                if values[0] != values[1]:
                    found.setdefault(name, set()).add(values)
        return {name: sorted(values) for name, values in sorted(found.items())}

    @property
    def summary(self) -> list[tuple[str, str]]:
        """The number of times that each verdict is given, for either question."""
        lines = []
        for name in QUESTIONS.values():
            counts = Counter(pair.answers[name].verdict for pair in self.pairs if pair.answers)
            lines.append((name, ", ".join(f"{verdict} in {times}" for verdict, times in counts.most_common())))
        return lines


def compare_cells(
    first: Sequence[ModelResult], second: Sequence[ModelResult], tasks: Mapping[str, Task]
) -> RunComparison:
    """Compare the cells that two runs have in common, paired over test rows (see `coretx.evaluation.paired_test`).

    Raises UsageError for runs without a common cell, and for a task that is not among `tasks`.
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

    Without the engine if each run has one engine, and without the recipe if each run has one recipe: then that is the
    subject of the comparison.
    """

    def one_each(name: str) -> bool:
        return all(len({getattr(result.config, name) for result in run}) == 1 for run in (first, second))

    return [name for name in ALIKE if name not in ("backend", "recipe") or not one_each(name)]


def _newest(run: Sequence[ModelResult], keys: Sequence[str]) -> dict[tuple, ModelResult]:
    found: dict[tuple, ModelResult] = {}
    for result in run:
        key = tuple(getattr(result.config, name) for name in keys)
        if key not in found or result.provenance.date >= found[key].provenance.date:
            found[key] = result
    return found


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
    if not (np.array_equal(one.x, other.x) and np.array_equal(one.y, other.y)):
        return Pair(first, second, members, why_not="other test rows")
    _, problem = np.unique(tasks[name].canonical_key(one.x), return_inverse=True)
    before, after = (row_scores(part.of_members(slice(members))) for part in (one, other))
    return Pair(first, second, members, compare_runs(after, before, problem), compare_recipes(after, before, problem))


def _settings(config: CellConfig) -> dict[str, Any]:
    own = {name: getattr(config, name) for name in MAY_DIFFER}
    return own | flat(without(config.hyperparameters, ["optimizer.epochs"]))


def _places(run: Sequence[ModelResult]) -> str:
    """Return tasks, engines and protocols of a run in a few words."""
    found = [sorted({str(getattr(result.config, name)) for result in run}) for name in ("task", "backend", "split")]
    shown = [", ".join(names[:3]) + (" ..." if len(names) > 3 else "") for names in found]
    return f"{len(run)} cells ({shown[0]}; {shown[1]}; {shown[2]} splits)"


def render_comparison(
    found: RunComparison,
    names: tuple[str, str],
    runs: tuple[Sequence[ModelResult], Sequence[ModelResult]],
    *,
    links: tuple[Link, Link],
    titles: dict[str, str],
    task_order: Sequence[str],
    model_order: Sequence[str],
) -> str:
    """Return the page as one self-contained HTML file; `names` are the names of the two runs."""
    tasks = ordered({pair.first.config.task for pair in found.pairs}, task_order)
    models = ordered({pair.first.config.model for pair in found.pairs}, model_order)

    def place(pair: Pair) -> tuple:
        config = pair.first.config
        order = (tasks.index(config.task), models.index(config.model))
        return (*order, config.backend, config.split, config.n_samples, config.seed)

    return render(
        "comparison.html",
        found=found,
        pairs=sorted(found.pairs, key=place),
        names=names,
        runs=runs,
        links=links,
        titles=titles,
    )
