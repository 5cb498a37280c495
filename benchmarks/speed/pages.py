"""The JSON files of a benchmark, and the page that is made from them."""

import json
from pathlib import Path
from typing import Any

from benchmarks.speed.comparison import spread
from benchmarks.speed.contestants import MANY
from benchmarks.speed.derived import against, find
from benchmarks.speed.ladder import ladder_report
from benchmarks.speed.report import Run, speed_report
from benchmarks.speed.scaling import GROWTH_WANTED, costs, scaling_report
from coretx.errors import UsageError
from coretx.records import durable
from coretx.reports.figures import plots as figures

BEGIN, END = "<!-- speed -->", "<!-- end of speed -->"
"""Between these lines of the page stands all that is written here."""

TITLES = {
    "speed": "On a CPU, against torch",
    "scaling": "As things grow",
    "ladder": "The whole command line",
    "gpu-speed": "On a GPU",
    "gpu-scaling": "As things grow, on a GPU",
    "gpu-ladder": "The whole command line, on a GPU",
}
REPORTS = {"speed": speed_report, "quick": speed_report, "scaling": scaling_report, "ladder": ladder_report}
"""How each kind of run is told; a run on a GPU is of the same kind, in a file of its own."""


def save(run: Run, folder: Path) -> Path:
    """Write a run's JSON and return where."""
    prefix = "" if run["arguments"]["device"] == "cpu" else f"{run['arguments']['device']}-"
    path = folder / f"{prefix}{run['kind']}.json"
    durable.write_text(path, json.dumps(run, indent=1, allow_nan=False) + "\n")
    return path


def load(folder: Path) -> dict[str, Run]:
    """Return the runs that a page shows by the names of their files, those that are there."""
    paths = {name: folder / f"{name}.json" for name in TITLES}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def check(page: Path) -> None:
    """Raise UsageError for a page without the marks, before anything is measured."""
    if not page.is_file() or BEGIN not in page.read_text() or END not in page.read_text().partition(BEGIN)[2]:
        raise UsageError(f"--write needs a file with the lines {BEGIN} and {END}, which {page} is not: add them")


def write(folder: Path, page: Path) -> list[Path]:
    """Put every run of the folder between the marks of the page, with figures beside it; return what was written."""
    check(page)
    runs, parts, written = load(folder), [], [page]
    if not runs:
        raise UsageError(f"--write needs results, but {folder} holds none of {', '.join(TITLES)}: measure first")
    for name, run in runs.items():
        parts += [f"### {TITLES[name]}", REPORTS[run["kind"]](run)]
        drawn = figure(run)
        if drawn is not None:
            path = page.with_name(f"{page.stem}-{name}.svg")
            durable.write_text(path, figures.to_file(drawn[0]))
            parts.append(f"![{drawn[1]}]({path.name})")
            written.append(path)
    text = page.read_text()
    before, after = text.partition(BEGIN)[0], text.partition(BEGIN)[2].partition(END)[2]
    durable.write_text(page, "\n\n".join([before + BEGIN, *parts, END + after]))
    return written


def figure(run: Run) -> tuple[Any, str] | None:
    """Return a run's figure and what it shows in words; None where there is none."""
    if run["kind"] == "scaling":
        return figures.scaling_curves(scaling_curves(run), GROWTH_WANTED), "Time per operation as sizes grow"
    bars = speed_bars(run) if run["kind"] == "speed" else {}
    return (figures.speed_ratios(bars, "eager"), "Rates of all contestants over eager's, by model") if bars else None


def speed_bars(run: Run) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Return {contestant and members: {model: ratio to eager}}."""
    bars: dict[str, dict[str, tuple[float, float, float]]] = {}
    for contestant in run["arguments"]["contestants"]:
        for members in run["arguments"]["members"] if contestant in MANY else (1,):
            label = f"{contestant} x {members}" if contestant in MANY else contestant
            for name, model in run["models"].items():
                result = find(model, contestant, members)
                ratio = against(model, result, "eager") if result and contestant != "eager" else None
                if ratio is not None:
                    bars.setdefault(label, {})[name] = (ratio.median, ratio.low, ratio.high)
    return bars


def scaling_curves(run: Run) -> dict[str, tuple[list[float], list[float]]]:
    """Return {model and what grows: (sizes, costs)}, over the middle's; an axis without its middle is left out."""
    curves = {}
    for axis in run["axes"]:
        cost = {size["size"]: spread(costs(size).values()).median for size in axis["sizes"]}
        middle = axis["middle"]
        if middle in cost:
            label = f"{axis['work']['model']}, {axis['axis']}"
            curves[label] = ([size / middle for size in cost], [value / cost[middle] for value in cost.values()])
    return curves
