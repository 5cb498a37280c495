"""Cells side by side: worker threads train, the parent hears of it in order of arrival.

Threads are enough, since an engine lets go of the interpreter's lock while it computes and compiles. A cell is a pure
function of its config, so that neither its numbers nor its files depend on what trains beside it.
"""

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from coretx.results import EpochRecord

Job = TypeVar("Job")
Result = TypeVar("Result")


class Stopped(Exception):
    """Raised inside a worker that is to stop at the next epoch."""


@dataclass(frozen=True)
class Event(Generic[Job, Result]):
    """What a worker tells: a job `started`, an epoch `record` of it, its `result`, or the error it `failed` with."""

    kind: Literal["started", "epoch", "done", "failed"]
    job: Job
    record: EpochRecord | None = None
    result: Result | None = None
    error: BaseException | None = None


def side_by_side(
    jobs: Sequence[Job], work: Callable[[Job, Callable[[EpochRecord], None]], Result], workers: int
) -> Generator[Event[Job, Result], None, None]:
    """Do the jobs, begun in their order, `workers` at a time, and yield what happens.

    `work(job, on_epoch)` runs in a thread. An error in one is yielded as `failed` and the other jobs go on. When the
    consumer leaves early (Ctrl-C, an error of its own), every worker stops at its next epoch.
    """
    events: queue.SimpleQueue[Event[Job, Result]] = queue.SimpleQueue()
    waiting = iter(jobs)
    lock, stop = threading.Lock(), threading.Event()

    def one(job: Job) -> None:
        def on_epoch(record: EpochRecord) -> None:
            if stop.is_set():
                raise Stopped
            events.put(Event("epoch", job, record=record))

        events.put(Event("started", job))
        try:
            events.put(Event("done", job, result=work(job, on_epoch)))
        except BaseException as error:
            events.put(Event("failed", job, error=error))

    def loop() -> None:
        while not stop.is_set():
            with lock:
                job = next(waiting, None)
            if job is None:
                return
            one(job)

    threads = [threading.Thread(target=loop, daemon=True) for _ in range(min(workers, len(jobs)))]
    for thread in threads:
        thread.start()
    try:
        for _ in jobs:
            event = None
            while event is None or event.kind in ("started", "epoch"):
                event = events.get()
                yield event
    finally:
        stop.set()
        for thread in threads:
            thread.join()
