"""The tables of docs/performance.md, made from the JSON files of the runs alone."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import NONE, put_between, table
from benchmarks.speed.comparison import BOUND, Spread, against, find, rates, spread
from coretx.errors import UsageError
from coretx.records import durable

TITLES = {
    "speed": "Training on a CPU",
    "ladder": "The whole command line",
    "gpu-speed": "Training on a GPU",
    "gpu-ladder": "The whole command line on a GPU",
}
Run = Mapping[str, Any]
"""The content of a JSON file: a measurement and its machine."""


def heading(run: Run) -> str:
    """Return the machine, the versions, the date and the time of the measurement."""
    machine, versions = run["machine"], run["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("python", "jax", "torch", "numpy"))
    accelerator = "" if run["arguments"]["device"] == "cpu" else f", {run['device_name']}"
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GB{accelerator}; "
        f"{packages}; commit {run['commit']}, {run['date'][:10]}; load {run['load']:.1f} before the run, which took "
        f"{run['seconds'] / 60:.0f} min."
    )


def speed_report(run: Run) -> str:
    """Return the size of a sample, the table of rates and ratios, and the faults."""
    asked, models = run["arguments"], run["models"]
    others = [name for name in asked["contestants"] if name != "jax"]
    ratios = {
        (other, n): [ratio(model, other, n) for model in models.values()] for other in others for n in asked["members"]
    }
    head = ["model", *(f"steps/s, {n}" for n in asked["members"]), *(f"over {other}, {n}" for other, n in ratios)]
    rows = [
        [name, *(rate(model, n) for n in asked["members"]), *(median_text(column[place]) for column in ratios.values())]
        for place, (name, model) in enumerate(models.items())
    ]
    rows.append(["geometric mean", *(NONE for _ in asked["members"]), *map(geometric_mean, ratios.values())])
    moved = max((deviation(one) for column in ratios.values() for one in column if one), default=0.0)
    apart = max((one["disagreement"] for model in models.values() for one in model["contestants"]), default=0.0)
    said = (
        f"Medians of {asked['repeats']} rounds; a round's ratio differed from the median by {100 * moved:.0f} % at "
        f"most. A sample is {asked['epochs']} epochs of {asked['n_samples']} rows. Losses of contestants differed by "
        f"{apart:.1e} nats at most (allowed: {BOUND:.0e})."
    )
    return "\n\n".join([heading(run), said, table(head, rows), *trouble(run)])


def rate(model: Run, members: int) -> str:
    """Return the JAX engine's median rate."""
    result = find(model, "jax", members)
    return f"{spread(rates(model, result).values()).median:,.0f}" if result else NONE


def ratio(model: Run, other: str, members: int) -> Spread | None:
    """Return the JAX engine's rate over the other contestant's, None if one of them did not run."""
    result = find(model, "jax", members)
    return against(model, result, other) if result else None


def median_text(ratio: Spread | None) -> str:
    """Return the median, or NONE."""
    return f"{ratio.median:,.1f}" if ratio else NONE


def geometric_mean(ratios: Sequence[Spread | None]) -> str:
    """Return the geometric mean of the medians."""
    medians = [ratio.median for ratio in ratios if ratio]
    return f"{statistics.geometric_mean(medians):,.1f}" if medians else NONE


def deviation(ratio: Spread) -> float:
    """Return the largest distance of a round from the median, over the median."""
    return max(ratio.high - ratio.median, ratio.median - ratio.low) / ratio.median


def trouble(run: Run) -> list[str]:
    """Return a sentence for each contestant that could not run or did other work."""
    models = run["models"].items()
    lines = [f"{name}, {who} could not run: {why}." for name, model in models for who, why in model["not_run"].items()]
    return lines + [f"NOT THE SAME WORK: {fault}." for fault in run["faults"]]


def ladder_report(run: Run) -> str:
    """Return the command line's times, against eager's."""
    rows = []
    for one in run["runs"]:
        eager = statistics.mean(run["eager"]) * one["members"] if run["eager"] else None
        row = [str(one["members"]), one["cache"], str(one["cells"])]
        row += [seconds(one[name]) for name in ("wall", "compile", "train", "cpu")]
        rows.append([*row, seconds(eager), NONE if eager is None else f"{eager / one['wall']:.1f}"])
    head = ["members", "cache", "cells", "wall", "compiling", "training", "processor time", "eager", "eager over wall"]
    said = f"{run['arguments']['epochs']} epochs, {run['side_by_side']} cells side by side."
    if run["eager"]:
        before, after = map(seconds, run["eager"])
        said += f" Eager took {before} for one member before the runs, {after} after them."
    return "\n\n".join([heading(run), said, table(head, rows)])


def seconds(value: float | None) -> str:
    """Return seconds, or NONE."""
    return NONE if value is None else f"{value:,.{1 if value < 100 else 0}f} s"


def report(run: Run) -> str:
    """Return a run as Markdown."""
    return ladder_report(run) if run["kind"] == "ladder" else speed_report(run)


def save(run: Run, folder: Path) -> Path:
    """Write a run's JSON and return where."""
    prefix = "" if run["arguments"]["device"] == "cpu" else f"{run['arguments']['device']}-"
    path = folder / f"{prefix}{run['kind']}.json"
    durable.write_text(path, json.dumps(run, indent=1, allow_nan=False) + "\n")
    return path


def write(folder: Path, page: Path) -> None:
    """Put the tables of all runs in the folder into the page."""
    files = {title: folder / f"{name}.json" for name, title in TITLES.items()}
    runs = {title: json.loads(file.read_text()) for title, file in files.items() if file.exists()}
    if not runs:
        raise UsageError(f"--write needs results, but {folder} holds none of {', '.join(TITLES)}: measure first")
    put_between(page, "speed", "\n\n".join(f"### {title}\n\n{report(run)}" for title, run in runs.items()))
