"""W&B logs in a process of their own, so that they take no time from the threads that train.

Logging a row takes W&B about as long as an epoch of a small model takes to train.
"""

import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from coretx.records.results import ModelResult, RunRecord
from coretx.runlog.base import Status
from coretx.runlog.wandb import Mode, Session, WandbLog, resolve_mode
from coretx.training.loop import EpochRecord

Call = tuple[Any, ...]
"""A verb of a log, the log's number, and the arguments of the verb."""

PAUSE = 0.5
"""Seconds between two batches of calls: W&B logs rows that arrive together faster than rows one by one."""

PROGRAM = """
import os, sys
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # other prints must not mix with the answers
sys.path.insert(0, sys.argv[1])
from coretx.runlog.wandb_process import serve
serve(sys.stdin.buffer, answers)
"""


class WandbProcess:
    """The W&B logs of one program (see `WandbLog`) in a subprocess, which the first call starts.

    A context manager: leaving it waits until the logs are closed. Nothing else waits, since a thread sends the calls.
    Lines from the logs are said during the next call, in the calling thread. If the process ends early, a line says
    so and the run goes on without W&B.
    """

    def __init__(self, mode: Mode, folder: Path, say: Callable[[str], None]) -> None:
        self._arguments = mode, folder
        self._say = say
        self._numbers = count()
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._enabled = resolve_mode(mode) != "disabled"

    def log(self) -> "ProcessLog":
        """Return another log."""
        return ProcessLog(self, next(self._numbers))

    def call(self, *call: Any) -> None:
        """Send a call, and say the lines that came since the last one."""
        if self._enabled and not self._threads:
            self._start()
        if self._enabled:
            self._calls.put(call)
        self._say_lines()

    def __enter__(self) -> "WandbProcess":
        """Return these logs."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until all logs are closed; unfinished ones are closed as interrupted."""
        self._calls.put(None)
        self._closing.set()
        for thread in self._threads:
            while thread.is_alive():
                thread.join(0.2)
                self._say_lines()
        self._say_lines()

    def _start(self) -> None:
        try:
            process = start_process()
        except OSError as error:
            self._give_up(f"cannot be started ({error})")
            return
        for work in (self._send, self._receive):
            self._threads.append(threading.Thread(target=work, args=(process,), daemon=True))
            self._threads[-1].start()

    def _send(self, process: subprocess.Popen[bytes]) -> None:
        """Write every call to the process, in batches."""
        assert process.stdin is not None, "a pipe"
        try:
            with process.stdin as requests:
                pickle.dump(self._arguments, requests)
                for call in iter(self._calls.get, None):
                    pickle.dump(call, requests, pickle.HIGHEST_PROTOCOL)
                    if self._calls.empty():
                        requests.flush()
                        self._closing.wait(PAUSE)
        except Exception as error:  # the process is gone, or a plugin's record cannot be pickled
            self._give_up(f"is not reached ({error})")

    def _receive(self, process: subprocess.Popen[bytes]) -> None:
        """Keep every line that the process says, until it ends."""
        assert process.stdout is not None, "a pipe"
        with process.stdout as answers:
            for line in answers:
                self._lines.put(line.decode().removesuffix("\n"))
        if process.wait() != 0:
            self._give_up(f"ended with code {process.returncode}")

    def _give_up(self, reason: str) -> None:
        self._enabled = False
        self._lines.put(f"W&B: its process {reason}; the run goes on without it")

    def _say_lines(self) -> None:
        while not self._lines.empty():
            self._say(self._lines.get())


@dataclass(frozen=True)
class ProcessLog:
    """One log of a `WandbProcess`, as a `RunLog`."""

    process: WandbProcess
    number: int

    def start(self, run: RunRecord) -> None:
        """Open the log."""
        self.process.call("start", self.number, run)

    def epoch(self, prefix: str, record: EpochRecord) -> None:
        """Record one epoch of one model."""
        self.process.call("epoch", self.number, prefix, record)

    def model_done(self, prefix: str, result: ModelResult) -> None:
        """Record the end of one model."""
        self.process.call("model_done", self.number, prefix, strip_arrays(result))

    def finish(self, status: Status) -> None:
        """Close the log."""
        self.process.call("finish", self.number, status)


def strip_arrays(result: ModelResult) -> ModelResult:
    """Return the result without the arrays that no log shows: weights, history, inputs, explanation."""
    predictions = {split: replace(part, x=part.x[:, :0]) for split, part in result.predictions.items()}
    return replace(result, history={}, weights={}, explanation=None, predictions=predictions)


def start_process() -> subprocess.Popen[bytes]:
    """Return a process that runs `serve`; OSError if none can be started.

    It ends with its input, and so with this process. Ctrl-C reaches this process alone.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM, str(Path(__file__).parents[2])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Make the calls that are read, until the input ends; then close the logs that are still open."""

    def say(line: str) -> None:
        answers.write(line.replace("\n", " ").encode() + b"\n")
        answers.flush()

    mode, folder = pickle.load(requests)
    session, logs = Session(), dict[int, WandbLog]()
    with suppress(EOFError, pickle.UnpicklingError):  # the input ended, within a call if the sender was killed
        while True:
            verb, number, *arguments = pickle.load(requests)
            if number not in logs:
                logs[number] = WandbLog(mode, folder, say, session)
            getattr(logs[number], verb)(*arguments)
            if verb == "finish":
                del logs[number]
    for log in logs.values():
        log.finish("interrupted")
