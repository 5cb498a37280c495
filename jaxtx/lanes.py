"""A lane on its way through a chunk: one member, or all members where they are stacked.

A chunk goes in stretches of epochs. What a stretch leaves behind is measured in a program of its own, so that a lane
that is alone on its device can train the next stretch meanwhile: with one member, another core would stand idle.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import jax
from jaxtyping import Array, Int

from coretx.training.backend import cores
from coretx.training.threadsafe_cache import once
from jaxtx.members import Best, Carry, Path, Rows, Schedule
from jaxtx.optimizer import Adam

Sums = tuple[list[Array], list[Array]]
"""By stretch, [*member, quantity, epoch]: what was measured while it trained, and what after its epochs."""


class Chunk(NamedTuple):
    """What all lanes share: two compiled programs, and their arguments."""

    train: Callable[..., tuple[Carry, Path, Array]]
    measure: Callable[..., tuple[Best, Array]]
    stretches: Sequence[tuple[Int[Array, ""], Int[Array, ""]]]
    """First epoch and number of epochs of each."""
    adam: Adam
    data: Rows
    evaluate: dict[str, Rows]


@dataclass
class Lane:
    """What a lane is between two chunks."""

    carry: Carry
    best: Best
    measuring: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 1, "measure"))

    def run(self, chunk: Chunk, schedule: Schedule, *, beside: bool) -> Sums:
        """Train and measure every stretch, the two `beside` each other or in turn; return when all is done."""
        trained: list[Array] = []
        measured: list[Future[Array]] = []
        for first, epochs in chunk.stretches:
            if len(measured) > 1:
                jax.block_until_ready(measured[-2].result())  # two paths in memory are enough
            self.carry, path, sums = chunk.train(self.carry, schedule, chunk.adam, first, epochs, chunk.data)
            measure = partial(self.measure, chunk, path, epochs)
            trained.append(sums)
            measured.append(self.measuring.submit(measure) if beside else done(measure()))
        return jax.block_until_ready((trained, [sums.result() for sums in measured]))

    def measure(self, chunk: Chunk, path: Path, epochs: Int[Array, ""]) -> Array:
        """Measure what a stretch left behind, and keep the best of it."""
        self.best, sums = chunk.measure(self.best, path, epochs, chunk.data, chunk.evaluate)
        return sums


def run_lanes(lanes: Sequence[Lane], chunk: Chunk, schedules: Sequence[Schedule], *, beside: bool) -> list[Sums]:
    """Run every lane through the chunk: several at a time if there are several, else training `beside` measuring."""
    if len(lanes) == 1:
        return [lanes[0].run(chunk, schedules[0], beside=beside)]
    return list(threads().map(lambda lane, schedule: lane.run(chunk, schedule, beside=False), lanes, schedules))


def done(value: Array) -> Future[Array]:
    """Return a future that has come."""
    future: Future[Array] = Future()
    future.set_result(value)
    return future


@once
def threads() -> ThreadPoolExecutor:
    """Return the threads in which lanes run: as many as cores, for all populations together."""
    return ThreadPoolExecutor(cores(), "lane")
