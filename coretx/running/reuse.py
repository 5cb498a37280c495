"""What `--reuse` keeps: whole results of today's code, on today's rows; and a line for whatever it does not keep."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from coretx.config import RunConfig
from coretx.records.cell_config import CellConfig, flat
from coretx.records.results import ModelResult
from coretx.records.store import cell_path, load_result
from coretx.running.plan import Cell
from coretx.tasks.sampling import Dataset


@dataclass(frozen=True)
class Kept:
    """What is kept of a population's cells: all results, in the order of the cells, or none.

    `score_again`: their weights are kept, but their scores come from other code and are computed again.
    """

    kept: tuple[ModelResult, ...] = ()
    score_again: bool = False


def look(cells: Sequence[Cell], data: Mapping[str, Dataset], config: RunConfig, say: Callable[[str], None]) -> Kept:
    """Return what may be kept of the stored results of cells that train together, on these rows.

    All must be whole, done and of the same settings; unless `--reuse any` keeps what is there, their weights must be
    of today's code and rows, and where their scores are not, all are scored again. A line says what is not kept.
    """
    if config.reuse == "no":
        return Kept()
    paths = [cell_path(config.out, cell.config) for cell in cells]
    results = [load_result(path) for path in paths]
    strict = config.reuse == "same"
    whys = [
        why_not(cell, result, data, strict) if result is not None else "its files are broken or of another version"
        for cell, result in zip(cells, results, strict=True)
    ]
    stored = [(cell, why) for cell, path, why in zip(cells, paths, whys, strict=True) if path.exists()]
    kept = tuple(result for result, why in zip(results, whys, strict=True) if result is not None and not why)
    if len(kept) < len(cells):
        for cell, why in stored:
            say(f"{cell.config.label}: trained again: {why or OTHERS}")
        return Kept()
    other = [cell for cell, result in zip(cells, kept, strict=True) if result.provenance.code != cell.code]
    for cell in other if strict else ():
        say(f"{cell.config.label}: scored again: {SCORES}")
    return Kept(kept, score_again=strict and bool(other))


OTHERS = "it trains together with other points of its grid, and not all of them can be kept"
SCORES = "the code or library versions that decide scores have changed"


def why_not(cell: Cell, result: ModelResult, data: Mapping[str, Dataset], strict: bool) -> str:
    """Return why a stored result cannot stand for the cell, empty where it can."""
    if result.status != "done":
        return "it diverged"
    if not same_settings(result.config, cell.config):
        return "a default value has changed, which its id does not show"
    if strict and result.provenance.code.weights != cell.code.weights:
        return "the code or library versions that decide its weights have changed (--reuse any keeps the result)"
    if strict and not same_rows(result, data):
        return "its task now gives other rows or labels (--reuse any keeps the result)"
    return ""


def same_settings(stored: CellConfig, asked: CellConfig) -> bool:
    """Return whether all that the stored record tells is as asked: a field that came later has its default there."""
    then, now = flat(stored.as_dict()), flat(asked.as_dict())
    return all(now.get(field) == value for field, value in then.items() if field != "at_default")


def same_rows(result: ModelResult, data: Mapping[str, Dataset]) -> bool:
    """Return whether the rows that were drawn today are those that the stored result answered."""
    answered = result.predictions
    return answered.keys() == data.keys() and all(
        answered[split].x.tobytes() == rows.x.tobytes() and answered[split].y.tobytes() == rows.y.tobytes()
        for split, rows in data.items()
    )
