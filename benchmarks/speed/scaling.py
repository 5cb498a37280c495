"""`--scaling`: what an operation costs the JAX engine as members, rows, steps and width grow."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed.comparison import Spread, ratios, spread
from benchmarks.speed.derived import peak_rate
from benchmarks.speed.markdown import NONE, percent, ratio, table
from benchmarks.speed.operations import count
from benchmarks.speed.processes import CannotRun, Process
from benchmarks.speed.report import Run, heading, peak
from benchmarks.speed.rounds import PEAK_SIZE, SLOW_SECONDS, Entry, Measurement, Say, begin, rounds, started
from benchmarks.speed.work import Work

LARGE = "multilayer_transformer"

GROWTH_WANTED = 1.2
"""At most this is wanted: time per operation at the largest size over that in the middle."""


@dataclass(frozen=True)
class Axis:
    """What grows, on which work, over which sizes: an odd number of them, so that one is in the middle."""

    name: str
    field: str
    """The field of Work that takes the size."""
    work: Work
    sizes: tuple[int, ...]

    def works(self) -> list[Work]:
        """Return the work of each size."""
        return [replace(self.work, **{self.field: size}) for size in self.sizes]


AXES = (
    Axis("members", "members", Work("mlp", epochs=5), (1, 4, 16, 64, 256)),
    Axis("members", "members", Work(LARGE, epochs=2), (1, 4, 16, 64, 256)),
    Axis("rows", "n_samples", Work("mlp", epochs=1), (1_000, 6_000, 30_000, 180_000, 1_000_000)),
    Axis("rows", "n_samples", Work(LARGE, epochs=1), (1_000, 6_000, 30_000, 180_000, 1_000_000)),
    Axis("steps", "time", Work(LARGE, epochs=1, n_samples=256), (8, 24, 64, 192, 512)),
    Axis("width", "width", Work(LARGE, epochs=1, n_samples=256), (32, 64, 128, 256, 512)),
    Axis("members of width 256, 64 steps", "members", Work(LARGE, 1, 2, 256, time=64, width=256), (1, 2, 8)),
)


def measure_scaling(axes: Sequence[Axis], repeats: int, device: str, say: Say) -> dict[str, Any]:
    """Return seconds per operation of every size of every axis, by round."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        size = PEAK_SIZE[device]
        peak = Process({"contestant": "peak", "device": device, "size": size}, Path(folder) / "peak")
        stack.callback(peak.close)
        found = [measure_axis(axis, repeats, device, peak, Path(folder) / str(i), say) for i, axis in enumerate(axes)]
        return {"device_name": peak.started["device_name"], "peak_size": size, "axes": found}


def measure_axis(axis: Axis, repeats: int, device: str, peak: Process, folder: Path, say: Say) -> dict[str, Any]:
    """Return what was measured along one axis; a size that cannot run is told, with its reason."""
    entries: list[Entry] = []
    sizes: list[dict[str, Any]] = []
    not_run: dict[str, str] = {}
    measurement = Measurement((), (), (), repeats, 0, 0, device, restart=False)
    works = {str(size): work for size, work in zip(axis.sizes, axis.works(), strict=True)}
    begins = {size: partial(begin, size, "jax", work, measurement, folder / size) for size, work in works.items()}
    with ExitStack() as stack:
        for size, entry in started(begins, device):
            if isinstance(entry, CannotRun):
                not_run[size] = str(entry)
                say(f"{axis.name}, {axis.work.model}, {size}: cannot run: {entry}")
                continue
            stack.callback(entry.process.close)
            entries.append(entry)
            sizes.append({"size": int(size), "operations": operations(entry.work)})
            say(f"{axis.name}, {axis.work.model}, {size}: compiled in {entry.start['compile']:.1f} s")
        peaks = rounds(entries, repeats, peak, not_run)
    for size, entry in zip(sizes, entries, strict=True):
        size |= {"samples": entry.samples, "compile": entry.start["compile"], "peak_bytes": entry.peak_bytes}
    return {
        "axis": axis.name,
        "work": asdict(axis.work),
        "sizes": [size for size in sizes if size["samples"]],
        "middle": axis.sizes[len(axis.sizes) // 2],
        "largest": axis.sizes[-1],
        "peak": peaks,
        "not_run": not_run,
    }


def operations(work: Work) -> int:
    """Return the operations of all members in all epochs, evaluation included."""
    epoch = count(work.spec.architecture, work.shape).epoch(work.n_samples, work.n_samples)
    return epoch * work.members * work.epochs


def costs(size: Mapping[str, Any]) -> dict[int, float]:
    """Return the seconds per operation in each round."""
    return {sample["round"]: sample["seconds"] / size["operations"] for sample in size["samples"]}


def growth(axis: Mapping[str, Any]) -> Spread | None:
    """Return the spread of the cost at the largest size over that in the middle; None where one of them did not run."""
    by_size = {size["size"]: costs(size) for size in axis["sizes"]}
    if axis["largest"] not in by_size or axis["middle"] not in by_size:
        return None
    return ratios(by_size[axis["largest"]], by_size[axis["middle"]])


def scaling_report(run: Run) -> str:
    """Return what an operation costs along each axis, as Markdown."""
    peaks = [rates for axis in run["axes"] for rates in axis["peak"]]
    rows = [axis_row(axis, max(map(peak_rate, peaks))) for axis in run["axes"]]
    failed = [
        f"- {axis['work']['model']}, {axis['axis']} {size} could not run: {why}"
        for axis in run["axes"]
        for size, why in axis["not_run"].items()
    ]
    head = [
        "model",
        "what grows",
        "sizes",
        "ps per operation",
        "of peak",
        "largest over middle",
        f"{GROWTH_WANTED} or less",
    ]
    said = (
        "Time of a sample, evaluation included, per operation of its matrix products. The sizes of an axis are sampled "
        f"in turn, in {run['arguments']['repeats']} rounds (in every other one if a sample takes above "
        f"{SLOW_SECONDS:.0f} s); the ratio is between samples of one round."
    )
    return "\n\n".join([heading(run), peak(run, peaks), said, table(head, rows), *filter(None, ["\n".join(failed)])])


def verdict(found: Spread) -> str:
    """Return whether the largest size costs as little as wanted: in every round, in the median, or not.

    >>> verdict(Spread(1.1, 1.0, 1.3))
    'in the median'
    """
    if found.high <= GROWTH_WANTED:
        return "yes"
    return "in the median" if found.median <= GROWTH_WANTED else "NO"


def axis_row(axis: Mapping[str, Any], peak: float) -> list[str]:
    """Return an axis as a row of the table, with shares of a peak in operations per second."""
    by_size = {size["size"]: costs(size) for size in axis["sizes"]}
    shares = [spread(1 / (cost * peak) for cost in found.values()).median for found in by_size.values()]
    found = growth(axis)
    return [
        axis["work"]["model"],
        axis["axis"],
        ", ".join(f"{size:,}" for size in by_size),
        ", ".join(f"{1e12 * spread(found.values()).median:.3g}" for found in by_size.values()),
        ", ".join(percent(share) for share in shares),
        ratio(found),
        NONE if found is None else verdict(found),
    ]
