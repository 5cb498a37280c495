"""W&B logs in a process of their own: what they cost is taken from no thread that trains.

A row of W&B takes 0.4 ms of Python, with another thread in between that has to wait for its turn; with 63 cells of 1000
epochs that is half a minute of an interpreter that traces, plans and scores at the same time. The helper is this
module as a program: it reads calls of logs and answers with the lines they say.
"""

import pickle
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from coretx.records.results import ModelResult, RunRecord
from coretx.runlog.base import Status
from coretx.runlog.session import Mode, Session, meant
from coretx.runlog.wandb import WandbLog
from coretx.runlog.worker_process import start_helper
from coretx.training.loop import EpochRecord

Call = tuple[Any, ...]
"""A verb of a log, the log's number, and what the verb is given."""

PAUSE = 0.5
"""Seconds for which calls are gathered before they are handed over: rows that W&B gets in one go cost it 0.6 of what
rows cost that come one by one, each of which wakes a thread and a server."""


class WandbApart:
    """The W&B logs of one program, see `WandbLog`, in a process that the first call starts; leaving it waits for them.

    Nothing else here waits: calls are handed over by a thread. What the logs say is said during the next call, in the
    thread that calls. Where the process ends early that is said, and the training goes on without W&B.
    """

    def __init__(self, mode: Mode, folder: Path, say: Callable[[str], None]) -> None:
        self._about = mode, folder
        self._say = say
        self._numbers = count()
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._wanted = meant(mode) != "disabled"

    def log(self) -> "LogApart":
        """Return another log."""
        return LogApart(self, next(self._numbers))

    def call(self, *call: Any) -> None:
        """Hand over a call, and say what was said since the last one."""
        if self._wanted and not self._threads:
            self._start()
        if self._wanted:
            self._calls.put(call)
        self._repeat()

    def __enter__(self) -> "WandbApart":
        """Return these logs."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait until all logs are closed: those that were not told to finish are, as interrupted."""
        self._calls.put(None)
        self._closing.set()
        for thread in self._threads:
            while thread.is_alive():
                thread.join(0.2)
                self._repeat()
        self._repeat()

    def _start(self) -> None:
        try:
            process = start_helper(__name__)
        except OSError as error:
            self._wanted = False
            self._lines.put(f"W&B: its process cannot be started ({error}); the run goes on without it")
            return
        self._threads = [
            threading.Thread(target=work, args=(process,), daemon=True) for work in (self._hand_over, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    def _hand_over(self, process: subprocess.Popen[bytes]) -> None:
        """Write every call to the helper, until there are no more or it is gone."""
        assert process.stdin is not None, "a pipe"
        try:
            with process.stdin as requests:
                pickle.dump(self._about, requests)
                calls: list[Call | None] = []
                while None not in calls:
                    calls = self._gathered()
                    told = [call for call in calls if call is not None]
                    requests.write(pickle.dumps(told, pickle.HIGHEST_PROTOCOL))
                    requests.flush()
        except Exception as error:  # the helper is gone, or a plugin put into a record what cannot be sent
            self._wanted = False
            self._lines.put(f"W&B: its process is not reached ({error}); the run goes on without it")

    def _gathered(self) -> list[Call | None]:
        """Return the calls of the next PAUSE, at least one; a None ends the last of them."""
        first = self._calls.get()
        self._closing.wait(PAUSE)
        return [first, *(self._calls.get() for _ in range(self._calls.qsize()))]

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Keep every line that the helper says, until it ends."""
        assert process.stdout is not None, "a pipe"
        with process.stdout as answers:
            for line in answers:
                self._lines.put(line.decode().removesuffix("\n"))
        if process.wait() != 0:
            self._wanted = False
            self._lines.put(f"W&B: its process ended with code {process.returncode}; the run goes on without it")

    def _repeat(self) -> None:
        while not self._lines.empty():
            self._say(self._lines.get())


@dataclass(frozen=True)
class LogApart:
    """One log of them, as a `RunLog`."""

    logs: WandbApart
    number: int

    def start(self, run: RunRecord) -> None:
        """Open the log."""
        self.logs.call("start", self.number, run)

    def epoch(self, prefix: str, record: EpochRecord) -> None:
        """Record one epoch of one model: all its metrics as one array, which is sent in a third of the time."""
        table = np.array(list(record.metrics.values()), dtype=np.float64)
        self.logs.call("epoch", self.number, prefix, record.epoch, tuple(record.metrics), table)

    def model_done(self, prefix: str, result: ModelResult) -> None:
        """Record the end of one model."""
        self.logs.call("model_done", self.number, prefix, lean(result))

    def finish(self, status: Status) -> None:
        """Close the log."""
        self.logs.call("finish", self.number, status)


def lean(result: ModelResult) -> ModelResult:
    """Return the result without what no log shows: weights, epochs, inputs."""
    answers = {split: replace(part, x=part.x[:, :0]) for split, part in result.predictions.items()}
    return replace(result, history={}, weights={}, explanation=None, predictions=answers)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Do what is read until that ends; then close the logs that are still open."""

    def say(line: str) -> None:
        answers.write(line.replace("\n", " ").encode() + b"\n")
        answers.flush()

    mode, folder = pickle.load(requests)
    session, logs = Session(), dict[int, WandbLog]()
    while (calls := read(requests)) is not None:
        for verb, number, given in rows_together(calls):
            if number not in logs:
                logs[number] = WandbLog(mode, folder, say, session)
            getattr(logs[number], verb)(*given)
            if verb == "finish":
                del logs[number]
    for log in logs.values():
        log.finish("interrupted")


def read(requests: BinaryIO) -> list[Call] | None:
    """Return the next calls; None where there are none, or half of them: then the one who asked is gone."""
    try:
        calls: list[Call] = pickle.load(requests)
    except (EOFError, pickle.UnpicklingError):
        return None
    return calls


def rows_together(calls: Sequence[Call]) -> Iterator[tuple[str, int, Sequence[Any]]]:
    """Yield (verb, log, arguments) of these calls in their order, epochs between two other verbs together by log.

    >>> calls = [("epoch", n, "mlp", epoch, (), np.zeros((0, 1))) for n, epoch in ((0, 4), (1, 0), (0, 5))]
    >>> [(verb, log, len(given[0])) for verb, log, given in rows_together(calls)]
    [('epochs', 0, 2), ('epochs', 1, 1)]
    """
    for are_epochs, part in groupby(calls, lambda call: call[0] == "epoch"):
        if are_epochs:
            rows: dict[int, list[tuple[str, EpochRecord]]] = {}
            for _, number, prefix, epoch, names, table in part:
                record = EpochRecord(epoch, dict(zip(names, table, strict=True)))
                rows.setdefault(number, []).append((prefix, record))
            yield from (("epochs", log, [records]) for log, records in rows.items())
        else:
            yield from ((verb, number, given) for verb, number, *given in part)
