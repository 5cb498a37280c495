"""Measure how members of a population run fastest on one device: a program each, or one for all stacked.

    python -m benchmarks.strategies [--device cpu] [--members 2 8 32]

writes jaxtx/strategies.json, from which the JAX engine takes its choice. Both ways train the same chunks, in turns. On
a CPU what counts is the time of all cores, since populations train side by side there; elsewhere it is the clock's.
Stacking must be a tenth faster to be taken: a program each is compiled once for any number of members, and every
member then comes out bit for bit as it would alone.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import tyro

from coretx.backend import load_backend
from coretx.data import LONGEST_CHUNK, Dataset, prepare_data
from coretx.models.registry import build_models
from coretx.models.spec import InputShape, ModelSpec
from coretx.tasks.registry import TASKS, get_task
from coretx.training import Population, start, train_chunk

RESULT = Path(__file__).parents[1] / "jaxtx" / "strategies.json"
TASK = "single_digit_sum"
EPOCHS = LONGEST_CHUNK
REPEATS = 3
GAIN = 1.1
"""How much faster stacking must be."""


def main(device: str = "cpu", members: tuple[int, ...] = (2, 8, 32)) -> None:
    """Measure loop and vmap for every rung of the ladder; other kinds of device in the file stay as they are."""
    backend = load_backend("jax", device)
    task = get_task(TASK, TASKS)
    shape = InputShape(task.sequence_length, task.feature_dim)
    data = {"train": prepare_data(1000, 0, task=task), "test": prepare_data(1000, 1, task=task)}
    clock = time.process_time if backend.device == "cpu" else time.perf_counter

    def chunk(spec: ModelSpec, size: int, strategy: str) -> Callable[[], float]:
        """Return a function that trains a chunk and tells the microseconds of a member's step."""
        access = backend.open(spec, shape, size, strategy=strategy)
        population = Population(spec, 0, task.name, size)
        start(access, population)
        return lambda: timed(access, population, data, clock)

    found: dict[str, dict[str, dict[str, float | str]]] = {}
    for spec in build_models():
        name = type(spec.architecture).__name__
        for size in members:
            ways = {strategy: chunk(spec, size, strategy) for strategy in ("loop", "vmap")}
            for run in ways.values():
                run()  # compiles
            samples = {strategy: [] for strategy in ways}
            for _ in range(REPEATS):
                for strategy, run in ways.items():
                    samples[strategy].append(run())
            best = {strategy: round(min(values), 1) for strategy, values in samples.items()}
            taken = "vmap" if best["loop"] > GAIN * best["vmap"] else "loop"
            found.setdefault(name, {})[str(size)] = {"strategy": taken, **best}
            print(f"{name:24} {size:4} members: loop {best['loop']:8.1f}, vmap {best['vmap']:8.1f} us a step: {taken}")
    write(backend.device, backend.device_name, found)


def timed(access, population: Population, data: dict[str, Dataset], clock: Callable[[], float]) -> float:
    """Return microseconds of `clock` for one step of one member, evaluation and copies included."""
    begun = clock()
    train_chunk(access, population, data["train"], {"test": data["test"]}, range(EPOCHS))
    steps = -(-len(data["train"]) // population.spec.optimizer.batch_size) * EPOCHS
    return (clock() - begun) / (steps * population.members) * 1e6


def write(device: str, device_name: str, found: dict) -> None:
    """Put what was measured on this kind of device into the file."""
    record = json.loads(RESULT.read_text()) if RESULT.exists() else {"measured": {}, "where": {}}
    record["measured"][device] = found
    record.setdefault("where", {})[device] = {
        "device": device_name,
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "jax": version("jax"),
        "unit": "microseconds of processor time a member's step" if device == "cpu" else "microseconds a member's step",
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(f"wrote {RESULT.name}")


if __name__ == "__main__":
    tyro.cli(main)
