"""The parent's side of a contestant: its process, started and asked."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 900
"""A contestant that gives no answer for this long is killed."""


class CannotRun(Exception):
    """A contestant failed; the message says why."""


class Process:
    """One contestant's process; `started` is its first answer."""

    def __init__(self, request: Mapping[str, Any], caches: Path) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed in close()
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

    def ask(self, what: str, **details: Any) -> dict[str, Any]:
        """Return the answer to a question. Raises CannotRun if none comes."""
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
        killed = " (killed: too long, or out of memory)" if code == -9 else ""
        return f"ended with code {code}{killed}: {last_line(self._errors.read().decode(errors='replace'))}"


def engine(device: str) -> dict[str, Any]:
    """Return the JAX device's name and how many cells of one member train at once. Raises CannotRun without it."""
    code = (
        f"import json; from coretx.training.backend import load_backend; engine = load_backend('jax', {device!r}); "
        "print(json.dumps({'device_name': engine.device_name, 'side_by_side': engine.max_concurrent_populations(1)}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotRun(last_line(done.stderr))
    return json.loads(last_line(done.stdout))


def last_line(text: str) -> str:
    """Return the last line, empty for an empty text."""
    return "".join(text.strip().splitlines()[-1:])


def environment(folder: Path) -> dict[str, str]:
    """Return a process's environment: every cache of compiled programs in this folder, memory taken as needed."""
    return {
        **os.environ,
        "XDG_CACHE_HOME": str(folder),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        # Several contestants share an accelerator: none may take most of its memory at its start, as jax would.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
