"""Stored results that `--reuse` keeps: whole ones of today's code and rows. A line says why one is not kept."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from coretx.config import RunConfig
from coretx.records.cell_config import CellConfig, flat
from coretx.records.results import ModelResult
from coretx.records.store import cell_path, load_result
from coretx.running.plan import Cell
from coretx.tasks.sampling import Dataset


class Reused(NamedTuple):
    """The kept results of a population, one a cell or empty; `score_again` if other code gave their scores."""

    results: Sequence[ModelResult] = ()
    score_again: bool = False


def find_reusable(
    cells: Sequence[Cell], rows: Mapping[str, Dataset], config: RunConfig, say: Callable[[str], None]
) -> Reused:
    """Return the stored results of cells that train together, as far as they may be kept, on these scored rows.

    All must be whole, done and of the same settings. Unless `--reuse any` keeps results of any code, their weights must
    be of today's code and rows; if other code gave one's scores, all are scored again.
    """
    if config.reuse == "no":
        return Reused()
    strict, kept, refused = config.reuse == "same", [], []
    for cell in cells:
        path = cell_path(config.out, cell.config)
        result = load_result(path)
        reason = "its files are broken or of another version" if result is None else refusal(cell, result, rows, strict)
        if result is not None and not reason:
            kept.append(result)
        if path.exists():
            refused.append((cell, reason))
    if len(kept) < len(cells):
        others = "it trains together with other points of its grid, and not all of them can be kept"
        for cell, reason in refused:
            say(f"{cell.config.label}: trained again: {reason or others}")
        return Reused()
    changed = [cell for cell, result in zip(cells, kept, strict=True) if strict and result.provenance.code != cell.code]
    for cell in changed:
        say(f"{cell.config.label}: scored again: the code or library versions that decide scores have changed")
    return Reused(kept, bool(changed))


def refusal(cell: Cell, result: ModelResult, rows: Mapping[str, Dataset], strict: bool) -> str:
    """Return why a stored result cannot be kept for the cell; empty where it can."""
    if result.status != "done":
        return "it diverged"
    if not same_settings(result.config, cell.config):
        return "a default value has changed, which its id does not show"
    if strict and result.provenance.code.weights != cell.code.weights:
        return "the code or library versions that decide its weights have changed (--reuse any keeps the result)"
    if strict and not same_rows(result, rows):
        return "its task now gives other rows or labels (--reuse any keeps the result)"
    return ""


def same_settings(stored: CellConfig, asked: CellConfig) -> bool:
    """Return whether all stored settings are as asked; a field that came later may be missing among them."""
    then, now = flat(stored.as_dict()), flat(asked.as_dict())
    return all(now.get(field) == value for field, value in then.items() if field != "at_default")


def same_rows(result: ModelResult, rows: Mapping[str, Dataset]) -> bool:
    """Return whether the stored result answered these very rows and labels."""
    answered = result.predictions
    return answered.keys() == rows.keys() and all(
        answered[split].x.tobytes() == own.x.tobytes() and answered[split].y.tobytes() == own.y.tobytes()
        for split, own in rows.items()
    )
