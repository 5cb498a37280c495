"""Measure how members of a population run fastest on one device: a program each, or one for all stacked.

    python -m benchmarks.strategies [--device cpu] [--members 2 8 32]

writes jaxtx/strategies.json, from which the JAX engine takes its choice. Both ways train the same chunks, in turns. The
figure is microseconds for a step of a member, the drawing of its batches included, by two clocks: the wall clock, and
on a CPU the time of all cores, which counts when populations train side by side. Stacking must be a tenth faster by the
cores' clock and no slower by the wall clock: a program each is compiled once for any number of members, and then every
member comes out bit for bit as it would alone.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tyro

from coretx.models.registry import build_models
from coretx.models.spec import InputShape, ModelSpec
from coretx.tasks.registry import TASKS, get_task
from coretx.tasks.sampling import Dataset, prepare_data
from coretx.training.backend import Backend, cores, load_backend
from coretx.training.batches import LONGEST_CHUNK
from coretx.training.loop import Population, start, train_chunk

RESULT = Path(__file__).parents[1] / "jaxtx" / "strategies.json"
TASK = "single_digit_sum"
EPOCHS = LONGEST_CHUNK
REPEATS = 3
SECONDS = 3.0
"""A cell is measured for at least this long, in more repeats: a chunk of the small rungs takes 10 ms, and varies."""
GAIN = 1.1
"""Stacking must be this many times as fast."""

Times = Mapping[str, float]
"""Microseconds a member's step by clock: `wall`, and on a CPU `cores`."""


@dataclass(frozen=True)
class Cell:
    """A model with a number of members, and for each way a function that trains a chunk and returns its times."""

    name: str
    members: int
    ways: Mapping[str, Callable[[], Times]]


def main(device: str = "cpu", members: tuple[int, ...] = (2, 8, 32)) -> None:
    """Measure loop and vmap for every rung of the ladder; other kinds of device in the file stay as they are."""
    backend = load_backend("jax", device)
    task = get_task(TASK, TASKS)
    data = {"train": prepare_data(1000, 0, task=task), "test": prepare_data(1000, 1, task=task)}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    cells = (open_cell(backend, spec, size, data) for spec in build_models() for size in members)
    for cell in prepared(cells):
        times = measured(cell.ways)
        taken = better(times["loop"], times["vmap"])
        found.setdefault(cell.name, {})[str(cell.members)] = {"strategy": taken, **times}
        figures = "; ".join(
            f"{clock}: loop {us:8.1f}, vmap {times['vmap'][clock]:8.1f}" for clock, us in times["loop"].items()
        )
        print(f"{cell.name:24} {cell.members:4} members, us a step, {figures}: {taken}")
    write(backend.device, backend.device_name, found)


def open_cell(backend: Backend, spec: ModelSpec, members: int, data: Mapping[str, Dataset]) -> Cell:
    """Return the model with this number of members, opened in both ways, with initial weights."""
    task = get_task(TASK, TASKS)
    shape, population = InputShape(task.sequence_length, task.feature_dim), Population(spec, 0, task.name, members)
    clocks = {"wall": time.perf_counter} | ({"cores": time.process_time} if backend.device == "cpu" else {})
    ways = {}
    for strategy in ("loop", "vmap"):
        access = backend.open(spec, shape, members, strategy=strategy)
        start(access, population)
        ways[strategy] = partial(timed, access, population, data, clocks)
    return Cell(type(spec.architecture).__name__, members, ways)


def prepared(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells after the first chunk of each way, which compiles: side by side, 1 to 18 s each on a GPU."""
    opened = list(cells)  # in one thread: cells share programs, and two threads could each build their own
    # The last rungs are the largest: begun first, none of them compiles alone at the end.
    ways = [way for cell in reversed(opened) for way in cell.ways.values()]
    with ThreadPoolExecutor(cores()) as pool:
        for first in [pool.submit(way) for way in ways]:
            first.result()
    return opened


def measured(ways: Mapping[str, Callable[[], Times]]) -> dict[str, Times]:
    """Return the median times of each way, the ways taking turns."""
    samples: dict[str, list[Times]] = {strategy: [] for strategy in ways}
    rounds, begun = 0, time.perf_counter()
    while rounds < REPEATS or time.perf_counter() - begun < SECONDS:
        rounds += 1
        for strategy, way in ways.items():
            samples[strategy].append(way())
    return {
        strategy: {clock: round(statistics.median(one[clock] for one in times), 1) for clock in times[0]}
        for strategy, times in samples.items()
    }


def better(loop: Times, vmap: Times) -> str:
    """Return `vmap` if it is much faster by the cores' clock (if any) and no slower by the wall clock; else `loop`.

    >>> better({"wall": 20.0, "cores": 40.0}, {"wall": 22.0, "cores": 22.0})
    'loop'
    """
    counts = "cores" if "cores" in loop else "wall"
    return "vmap" if loop[counts] > GAIN * vmap[counts] and loop["wall"] >= vmap["wall"] else "loop"


def timed(
    access, population: Population, data: Mapping[str, Dataset], clocks: Mapping[str, Callable[[], float]]
) -> Times:
    """Return microseconds by each clock for a step of a member: drawing its batches, evaluation and copies included."""
    begun = {name: clock() for name, clock in clocks.items()}
    train_chunk(access, population, data["train"], {"test": data["test"]}, range(EPOCHS))
    steps = -(-len(data["train"]) // population.spec.optimizer.batch_size) * EPOCHS
    return {name: (clock() - begun[name]) / (steps * population.members) * 1e6 for name, clock in clocks.items()}


def write(device: str, device_name: str, found: dict) -> None:
    """Write the measurements on this kind of device into the file."""
    record = json.loads(RESULT.read_text()) if RESULT.exists() else {"measured": {}, "where": {}}
    record["measured"][device] = found
    record.setdefault("where", {})[device] = {
        "device": device_name,
        "cores": cores(),
        "machine": platform.machine(),
        "jax": version("jax"),
        "unit": "microseconds a member's step, by clock",
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(f"wrote {RESULT.name}")


if __name__ == "__main__":
    tyro.cli(main)
