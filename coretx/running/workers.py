"""A pool of worker threads that train cells, and the events that the parent thread reads from it.

Threads suffice: an engine releases the interpreter's lock while it computes and compiles. A cell is a pure function
of its config, so neither its numbers nor its files depend on the cells that train beside it.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
Record = TypeVar("Record")


class Stopped(Exception):
    """Raised in a worker at the first epoch after `stop`."""


@dataclass(frozen=True)
class Event(Generic[Job, Record, Result]):
    """A job `started`, measured an epoch's `record`, is `done` with a `result`, or `failed` with an error."""

    kind: Literal["started", "epoch", "done", "failed"]
    job: Job
    record: Record | None = None
    result: Result | None = None
    error: BaseException | None = None


class WorkerPool(Generic[Job, Record, Result]):
    """Works on the jobs, started in their order, at most `workers` at a time; iterate over it to read the events.

    `work(job, on_epoch)` runs in a thread. If it raises, the job has `failed` and the other jobs go on. After `stop`
    no job starts, and each running job fails with `Stopped` at its next epoch. An iteration that ended early can be
    resumed, after `interrupt` too. `join` the pool at the end: it shuts the threads down.
    """

    def __init__(
        self, jobs: Sequence[Job], work: Callable[[Job, Callable[[Record], None]], Result], workers: int
    ) -> None:
        self._work = work
        self._events: queue.SimpleQueue[Event[Job, Record, Result] | Literal["interrupt", "ended"]] = (
            queue.SimpleQueue()
        )
        self._stop = threading.Event()
        self._left = len(jobs)
        self._executor = ThreadPoolExecutor(workers)
        for job in jobs:
            self._executor.submit(self._run, job)

    def __iter__(self) -> Iterator[Event[Job, Record, Result]]:
        while self._left:
            event = self._events.get()
            if event == "interrupt":
                return
            if event == "ended":
                self._left -= 1
            else:
                yield event

    def stop(self) -> None:
        """Stop every job at its next epoch."""
        self._stop.set()

    def interrupt(self) -> None:
        """Stop, and end the iteration after the events so far; a signal handler may call it at any moment."""
        self._events.put("interrupt")  # before any job can report that it was stopped
        self.stop()

    def join(self) -> None:
        """Stop, and wait until every thread has ended."""
        self.stop()
        self._executor.shutdown()

    def _run(self, job: Job) -> None:
        def on_epoch(record: Record) -> None:
            if self._stop.is_set():
                raise Stopped
            self._events.put(Event("epoch", job, record=record))

        if not self._stop.is_set():
            self._events.put(Event("started", job))
            try:
                self._events.put(Event("done", job, result=self._work(job, on_epoch)))
            except BaseException as error:
                self._events.put(Event("failed", job, error=error))
        self._events.put("ended")
