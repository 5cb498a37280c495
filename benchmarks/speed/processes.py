"""The parent's side of a contestant: its process, started and asked."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.speed.contestants import Setting
from benchmarks.speed.work import Work

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 900
"""A contestant that answers nothing for so long is ended."""


class CannotRun(Exception):
    """A contestant failed; the message says why."""


class Process:
    """One contestant's process. `started` is its first answer, with `cold`: seconds from its start to that answer."""

    def __init__(self, request: Mapping[str, Any], caches: Path) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed in close()
        begun = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.speed.worker", json.dumps(request)],
            cwd=ROOT,
            env=environment(caches),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.started = self._answer()
        self.started["cold"] = time.perf_counter() - begun

    def ask(self, what: str, **details: Any) -> dict[str, Any]:
        """Return the answer to a question. Raises CannotRun where there is none."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, **details}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer says why
        return self._answer()

    def close(self) -> None:
        """End the process and wait until it is gone."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        timer = threading.Timer(LIMIT_SECONDS, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        answer = json.loads(line) if line else {"failed": self._end()}
        if "failed" in answer:
            self.close()
            raise CannotRun(answer["failed"])
        return answer

    def _end(self) -> str:
        """Return how the process ended without an answer."""
        code = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
        killed = " (killed: too long, or out of memory)" if code == -9 else ""
        return f"ended with code {code}{killed}{': ' if last else ''}{''.join(last)}"


def request(contestant: str, work: Work, setting: Setting, device: str) -> dict[str, Any]:
    """Return what a process is told at its start."""
    return {"contestant": contestant, "work": asdict(work), "setting": asdict(setting), "device": device}


def environment(folder: Path) -> dict[str, str]:
    """Return a process's environment: every cache of compiled programs in this folder, memory taken as needed."""
    return {
        **os.environ,
        "XDG_CACHE_HOME": str(folder),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        # Several contestants share an accelerator: none may take most of its memory at its start, as jax would.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
