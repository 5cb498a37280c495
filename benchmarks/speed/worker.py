"""One contestant in a process of its own: `python -m benchmarks.speed.worker REQUEST`, asked over its pipes.

REQUEST is JSON. The first line of the answer tells of the start, after which every line of input is a question and
every line of output its answer; a line {"failed": sentence} says why there will be none.
"""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks.speed.comparison import difference
from benchmarks.speed.contestants import Setting, open_contestant
from benchmarks.speed.work import Work, begin, losses, plans, train
from coretx.training.backend import cores, load_backend
from coretx.training.loop import History, first_divergence

SAMPLE_SECONDS = 0.4
"""A sample repeats its chunk until the passes fill this time."""
MOST_PASSES = 40
TRIALS = 3
"""A setting is tried so often at least, and for as long as a sample."""
TRAINING, LOWER = "highest", "default"
"""Precisions of jax's products: that of the engine's training, and the one that may round float32 factors to TF32."""


class Live:
    """A contestant with its data, ready to train the same chunk again and again."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.name, self.device = request["contestant"], request["device"]
        self.work = Work(**request["work"])
        self.access, self.how = open_contestant(self.name, self.work, Setting(**request["setting"]), self.device)
        self.data = self.work.data()
        self.first: dict[str, Any] = {}
        self.passes = 1

    def start(self) -> dict[str, Any]:
        """Train the first chunk, which compiles."""
        ((history, first),) = self._passes(1)
        self.first, compiled = losses(history), self.access.seconds["compile"]
        measured = sorted(history)
        return {"first": first, "compile": compiled, "losses": self.first, "measured": measured, "how": self.how}

    def settle(self) -> dict[str, Any]:
        """Train the chunk once more and choose how many passes a sample takes."""
        ((_, seconds),) = self._passes(1)
        self.passes = min(MOST_PASSES, max(1, round(SAMPLE_SECONDS / seconds)))
        return {"passes": self.passes, "seconds": seconds, "how": self.how}

    def sample(self) -> dict[str, Any]:
        """Train the chunk, several times if it is short: mean seconds of wall and CPU, and how far losses drifted."""
        walls, drift, cpu = [], 0.0, time.process_time()
        for history, wall in self._passes(self.passes):
            walls.append(wall)
            again = losses(history)
            drift = max(drift, *(difference(again[name], self.first[name]) for name in again))
        cpu = time.process_time() - cpu
        return {"seconds": sum(walls) / len(walls), "cpu_seconds": cpu / len(walls), "drift": drift}

    def choose(self, setting: dict[str, Any], epochs: int) -> dict[str, Any]:
        """Open the contestant again with another setting, and time short chunks of it after one epoch to warm up."""
        self.access, self.how = open_contestant(self.name, self.work, Setting(**setting), self.device)
        whole, short, seconds = self.work, min(epochs, self.work.epochs), list[float]()
        self.work = replace(whole, epochs=1)
        list(self._passes(1))
        self.work = replace(whole, epochs=short)
        while len(seconds) < TRIALS or sum(seconds) < SAMPLE_SECONDS:
            seconds += [wall for _, wall in self._passes(1)]
        self.work = whole
        return {"seconds": statistics.median(seconds) / short}

    def memory(self) -> dict[str, Any]:
        """Return the most memory that this process has held: the accelerator's, if it runs on one."""
        return {"peak_bytes": peak_memory() if self.device == "cpu" or self.name != "jax" else accelerator_memory()}

    def _passes(self, passes: int) -> Iterator[tuple[History, float]]:
        """Yield histories and seconds of the chunk, trained so often from the same start.

        The clock runs from when a plan is there to when the next one is: what a chunk takes amid many.
        """
        coming = plans(self.work, len(self.data["train"]), passes + 1)
        plan = next(coming)
        for _ in range(passes):
            begin(self.access, self.work)
            start = time.perf_counter()
            history = train(self.access, self.data, plan)
            plan = next(coming)
            seconds = time.perf_counter() - start
            if first_divergence(history) is not None:
                raise FloatingPointError("a loss is not finite: nothing could be compared")
            yield history, seconds


class Peak:
    """The machine's peak: large float32 products on all cores, or on the accelerator, with all libraries there are."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.device, self.size = request["device"], request["size"]
        self.products: dict[str, Any] = {}
        if self.device == "cpu":
            self._numpy_and_torch()
        self._jax()

    def start(self) -> dict[str, Any]:
        """Make every product once, so that compiling is past."""
        for product in self.products.values():
            product()
        return {"size": self.size, "device_name": self.device_name}

    def settle(self) -> dict[str, Any]:
        """Nothing to choose."""
        return {}

    def sample(self) -> dict[str, Any]:
        """Return the operations per second of each library, the best of three products each."""
        rates = {}
        for name, product in self.products.items():
            seconds = []
            for _ in range(3):
                start = time.perf_counter()
                product()
                seconds.append(time.perf_counter() - start)
            rates[name] = 2 * self.size**3 / min(seconds)
        return {"rates": rates}

    def _numpy_and_torch(self) -> None:
        matrix = np.random.default_rng(0).standard_normal((self.size, self.size), dtype=np.float32)
        self.products["numpy"] = lambda: matrix @ matrix
        try:
            import torch
        except ImportError:
            return
        torch.set_num_threads(cores())
        tensor = torch.from_numpy(matrix)
        self.products["torch"] = lambda: tensor @ tensor

    def _jax(self) -> None:
        load_backend("jax", self.device)  # says what there is, where there is no such device
        import jax

        self.device_name = jax.devices(self.device)[0].device_kind
        values = np.random.default_rng(0).standard_normal((self.size, self.size), dtype=np.float32)
        matrix = jax.device_put(values, jax.devices(self.device)[0])
        for precision in (TRAINING,) if self.device == "cpu" else (TRAINING, LOWER):
            product = jax.jit(lambda a, precision=precision: jax.numpy.matmul(a, a, precision=precision))
            self.products[f"jax, {precision}"] = lambda product=product: product(matrix).block_until_ready()


def peak_memory() -> int:
    """Return the most bytes that were resident, from this program's start on."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: there a process inherits the figure of the one that started it.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def accelerator_memory() -> int:
    """Return the most bytes of the accelerator's memory that were in use."""
    import jax

    return jax.devices()[0].memory_stats()["peak_bytes_in_use"]


def volunteer() -> None:
    """Let the kernel end this process before any other where memory runs out."""
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text("1000")


def serve(request: dict[str, Any], questions: TextIO, answers: TextIO) -> int:
    """Start, then answer until the questions end; return the exit code."""

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        live = Peak(request) if request["contestant"] == "peak" else Live(request)
        say(live.start())
        for line in questions:
            question = json.loads(line)
            say(getattr(live, question.pop("do"))(**question))
    except Exception as error:  # whatever it is, the parent must hear of it
        say({"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"})
        return 1
    return 0


if __name__ == "__main__":
    volunteer()
    # Only answers go to the pipe: whatever a library prints goes to the errors.
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.exit(serve(json.loads(sys.argv[1]), sys.stdin, pipe))
