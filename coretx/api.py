"""A run and its results, for notebooks and other Python code.

    from coretx import RunConfig, load_results, run

    results = run(RunConfig(tasks=("has_all_tokens",), models=("logreg", "mlp"), members=3))
    results.where(model="mlp")[0].history["accuracy_test"].mean(axis=0)
    load_results("some/folder").where(task="has_all_tokens")

Both return `Results`, which print as a table, in a notebook too. Each function of `coretx.reports.figures.plots`
returns a matplotlib figure of their numbers.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import overload

from coretx import seeds
from coretx.config import RunConfig
from coretx.display.text import aligned
from coretx.errors import UsageError, choices
from coretx.records.results import ModelResult
from coretx.records.store import cell_path, load_result

HEADINGS = ("task", "model", "backend", "split", "recipe", "n", "members", "test accuracy", "test loss", "status")
FILTERS = ("task", "model", "backend", "split", "recipe", "n_samples", "members", "seed")


class Results(Sequence[ModelResult]):
    """The results of several cells, in a fixed order; prints as a table."""

    def __init__(self, results: Sequence[ModelResult]) -> None:
        self._results = tuple(results)

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, place: int) -> ModelResult: ...
    @overload
    def __getitem__(self, place: slice) -> "Results": ...
    def __getitem__(self, place: int | slice) -> "ModelResult | Results":
        return Results(self._results[place]) if isinstance(place, slice) else self._results[place]

    def where(self, **wanted: object) -> "Results":
        """Return the results whose configuration has these values, as in where(task="two_digit_sum", members=5).

        Raises UsageError for a name other than task, model, backend, split, recipe, n_samples, members and seed.
        """
        if unknown := [name for name in wanted if name not in FILTERS]:
            raise UsageError(f"results can be filtered by {choices(FILTERS)}; got {choices(unknown)}")
        return Results([result for result in self if wanted.items() <= vars(result.config).items()])

    def __repr__(self) -> str:
        return "\n".join(aligned([HEADINGS, *map(row, self)]))

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{name}</th>' for name in HEADINGS)
        body = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row(result))}</tr>" for result in self)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def row(result: ModelResult) -> tuple[str, ...]:
    """Return a result's line of the table."""
    config = result.config
    place = (config.task, config.model, config.backend, config.split, config.recipe)
    score = result.summary("test")
    return (*place, str(config.n_samples), str(config.members), score["accuracy"], score["loss"], result.status)


def run(config: RunConfig) -> Results:
    """Train the cells of `config`, as the command line does, and return their results in the order of the plan.

    Random states, threads and settings of the engines are restored at the end. Logs, pages and dashboard are written
    below `config.out`. Reused cells are loaded from there; after Ctrl-C the finished cells are returned. Raises
    UsageError for a bad request and OutputError where the disk refuses.
    """
    with seeds.put_back():  # importing rich draws a number
        from coretx.running.experiment import execute  # late: it imports matplotlib and jinja2
        from coretx.running.plan import make_plan

        plan = make_plan(config)
        outcome = execute(plan)
    found = {result.config.id: result for result in outcome.results}
    found |= {cell.id: kept for cell in outcome.reused if (kept := load_result(cell_path(config.out, cell)))}
    return Results([found[cell.config.id] for cell in plan.cells if cell.config.id in found])


def load_results(out: str | Path = ".") -> Results:
    """Return every whole result below `out`, by task, model, backend and date.

    Raises UsageError if there is no result, and if a cell is broken: its absence would go unnoticed.
    """
    paths = sorted(Path(out).glob("artifacts/*/cells/*.json"))
    if not paths:
        raise UsageError(f"no results below {out}: looked for artifacts/*/cells/*.json; name the folder given to --out")
    loaded = {path: load_result(path) for path in paths}
    if broken := [str(path) for path, result in loaded.items() if result is None]:
        named = ", ".join(broken[:3]) + (f" and {len(broken) - 3} more" if len(broken) > 3 else "")
        raise UsageError(f"changed since they were written, or of another version: {named}; delete or train again")
    results = filter(None, loaded.values())
    return Results(sorted(results, key=lambda r: (r.config.task, r.config.model, r.config.backend, r.provenance.date)))
