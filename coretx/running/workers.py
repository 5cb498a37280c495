"""Cells side by side: worker threads train, the parent hears of it in order of arrival.

Threads are enough, since an engine lets go of the interpreter's lock while it computes and compiles. A cell is a pure
function of its config, so that neither its numbers nor its files depend on what trains beside it.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
Record = TypeVar("Record")


class Stopped(Exception):
    """Raised inside a worker that is to stop at the next epoch."""


@dataclass(frozen=True)
class Event(Generic[Job, Record, Result]):
    """What a worker tells: a job `started`, a `record` of an epoch, its `result`, or the error it `failed` with."""

    kind: Literal["started", "epoch", "done", "failed"]
    job: Job
    record: Record | None = None
    result: Result | None = None
    error: BaseException | None = None


class SideBySide(Generic[Job, Record, Result]):
    """Does the jobs, begun in their order, `workers` at a time; iterate over it to hear what happens.

    `work(job, on_epoch)` runs in a thread. An error in one is told as `failed` and the other jobs go on. After `stop`,
    jobs in work fail with `Stopped` at their next epoch and no other begins; what was done before is still told. An
    iteration that was broken off, by `interrupt` too, can be taken up again.
    """

    def __init__(
        self, jobs: Sequence[Job], work: Callable[[Job, Callable[[Record], None]], Result], workers: int
    ) -> None:
        self._waiting = iter(jobs)
        self._work = work
        self._events: queue.SimpleQueue[Event[Job, Record, Result] | Literal["interrupt"] | None] = queue.SimpleQueue()
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._loop, daemon=True) for _ in range(min(workers, len(jobs)))]
        self._running = len(self._threads)
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[Event[Job, Record, Result]]:
        while self._running:
            event = self._events.get()
            if event == "interrupt":
                return
            if event is None:
                self._running -= 1
            else:
                yield event

    def stop(self) -> None:
        """Let every worker end at its next epoch."""
        self._stop.set()

    def interrupt(self) -> None:
        """Stop, and end the iteration after what was told so far; a signal's handler may call it at any moment."""
        self._events.put("interrupt")  # before any job can tell that it was stopped
        self.stop()

    def join(self) -> None:
        """Stop, and wait until no worker is at work."""
        self.stop()
        for thread in self._threads:
            thread.join()

    def _loop(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                job = next(self._waiting, None)
            if job is None:
                break
            self._do(job)
        self._events.put(None)

    def _do(self, job: Job) -> None:
        def on_epoch(record: Record) -> None:
            if self._stop.is_set():
                raise Stopped
            self._events.put(Event("epoch", job, record=record))

        self._events.put(Event("started", job))
        try:
            self._events.put(Event("done", job, result=self._work(job, on_epoch)))
        except BaseException as error:
            self._events.put(Event("failed", job, error=error))
