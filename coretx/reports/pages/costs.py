"""The dashboard's tables of what training took, beside the score, and of what ran where, on which commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coretx.reports.pages.formatting import DASH, count, counted, percent, seconds
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.configurations import Configuration, ordered
from coretx.reports.tables.training import CostRow


@dataclass(frozen=True)
class Value:
    """What stands in a cell, and the number to sort it by, None where there is none."""

    text: str
    number: float | int | None = None


UNKNOWN = Value(DASH)


def cost_lines(
    configuration: Configuration, costs: Mapping[str, CostRow], tasks: Sequence[str], models: Sequence[str]
) -> list[tuple[str, list[Value]]]:
    """Return each model's line: accuracy on test, parameters, steps, seconds of training and compilation, steps/s.

    Accuracy is the mean over tasks, where none is missing; the others are sums over those tasks for which they are
    known, parameters the range over tasks. `costs` are by the ids of their cells.
    """
    lines = []
    for model in models:
        cells = [cell for task in tasks if (cell := configuration.cells.get((task, model)))]
        rows = [next(iter(cell.values())) for cell in cells]
        known = [costs[row.id] for row in rows if row.id in costs]
        scored = [row.accuracy for cell in cells if (row := cell.get("test")) and row.accuracy is not None]
        mean = sum(scored) / len(scored) if scored and len(scored) == len(tasks) else None
        lines.append(
            (model, [UNKNOWN if mean is None else Value(percent(mean), mean), _parameters(rows), *_sums(known, rows)])
        )
    return lines


def _parameters(rows: Sequence[BenchmarkRow]) -> Value:
    found = sorted({row.parameters for row in rows})
    if not found:
        return UNKNOWN
    return Value("\N{EN DASH}".join(count(value) for value in dict.fromkeys((found[0], found[-1]))), found[-1])


def _sums(known: Sequence[CostRow], rows: Sequence[BenchmarkRow]) -> list[Value]:
    """Return steps, seconds in all, seconds of training, of compilation, and steps a second while training."""
    timed = [row for row in known if row.steps is not None and row.seconds_train]
    steps, trained = sum(row.steps or 0 for row in timed), sum(row.seconds_train or 0.0 for row in timed)
    speed = Value(count(round(steps / trained)), steps / trained) if trained else UNKNOWN
    return [
        Value(count(steps), steps) if steps else UNKNOWN,
        _seconds([row.seconds for row in rows]),
        _seconds([row.seconds_train for row in known]),
        _seconds([row.seconds_compile for row in known]),
        speed,
    ]


def _seconds(values: Sequence[float | None]) -> Value:
    found = [value for value in values if value is not None]
    return Value(seconds(sum(found)), sum(found)) if found else UNKNOWN


def run_lines(configuration: Configuration, costs: Mapping[str, CostRow], titles: Mapping[str, str]) -> list[list[str]]:
    """Return a line for every commit, version and device: since when, until when, what it trained and how long.

    Tasks stand in the order of `titles`, unknown ones after them by name.
    """
    groups: dict[tuple[str, str, str], dict[str, BenchmarkRow]] = {}
    for row in configuration.rows:
        name = costs[row.id].device_name if row.id in costs else ""
        device = row.device if name in ("", row.device) else f"{row.device}: {name}"
        groups.setdefault((row.commit, row.version, device), {})[row.id] = row
    lines = []
    for (commit, version, device), cells in groups.items():
        dates = sorted(row.date for row in cells.values())
        names = ordered({row.task for row in cells.values()}, tuple(titles))
        tasks = list(dict.fromkeys(titles.get(name) or name for name in names))
        took = _seconds([row.seconds for row in cells.values()]).text
        span = [date[:16].replace("T", " ") for date in (dates[0], dates[-1])]
        named = ", ".join(tasks[:3]) + (f" and {len(tasks) - 3} more" if len(tasks) > 3 else "")
        lines.append([*span, device, commit, version, counted(len(cells), "cell"), named, took])
    return sorted(lines)
