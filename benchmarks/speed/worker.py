"""One contestant in a process of its own: `python -m benchmarks.speed.worker REQUEST`, asked over its pipes.

REQUEST is JSON. The first line of output is the answer to the start. Then each line of input is a question, `settle` or
`sample`, and each line of output its answer. A line {"failed": sentence} says why no answer will come.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any, TextIO

from benchmarks.speed.comparison import Losses, difference
from benchmarks.speed.work import Work, plans, train
from coretx.training.backend import cores, load_backend
from coretx.training.loop import History, first_divergence, start

CONTESTANTS: Mapping[str, str] = {
    "jax": "this project's JAX engine, on all cores",
    "eager": "the torch engine of commit 14133d0, a frozen copy: one thread, AdamW as torch chooses it",
    "tuned": "the same with the fastest AdamW and number of threads, tried for each model before the rounds",
}
OPTIMIZERS = ("default", "foreach", "fused")
"""The three implementations of torch.optim.AdamW."""
SAMPLE_SECONDS = 0.4
"""A sample repeats its chunk until the passes fill this time."""
MOST_PASSES = 40
TRIALS, TRIAL_EPOCHS = 3, 5
"""A setting of `tuned` is tried in chunks of so many epochs: this often at least, and for as long as a sample."""


def request(contestant: str, work: Work, device: str) -> dict[str, Any]:
    """Return the request of a process."""
    return {"contestant": contestant, "work": asdict(work), "device": device}


class Contestant:
    """A contestant with its data, ready to train the same chunk again and again."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.name, self.device, self.work = request["contestant"], request["device"], Work(**request["work"])
        self.data = self.work.data()
        self.first: Losses = {}
        self.passes = 1
        self._open(OPTIMIZERS[0], 1)

    def start(self) -> dict[str, Any]:
        """Train the first chunk, which compiles."""
        ((history, _),) = self._train(self.work, 1)
        self.first = losses(history)
        return {"compile": self.access.seconds["compile"], "losses": self.first, "measured": sorted(history)}

    def settle(self) -> dict[str, Any]:
        """Choose the setting of `tuned`, and how many passes a sample takes; return the seconds of a chunk."""
        choices = {}
        if self.name == "tuned":
            settings = list(product(OPTIMIZERS, sorted({1, cores()})))
            seconds = {setting: self._epoch_seconds(*setting) for setting in settings}
            choices = {described(*setting): value for setting, value in seconds.items()}
            self._open(*min(settings, key=seconds.__getitem__))
            list(self._train(replace(self.work, epochs=1), 1))
        ((_, wall),) = self._train(self.work, 1)
        self.passes = min(MOST_PASSES, max(1, round(SAMPLE_SECONDS / wall)))
        return {"seconds": wall, "how": self.how, "choices": choices}

    def sample(self) -> dict[str, Any]:
        """Train the chunk in every pass; return the mean seconds, and how far a loss moved since the first chunk."""
        samples = [
            (difference(losses(history), self.first), wall) for history, wall in self._train(self.work, self.passes)
        ]
        drifts, walls = zip(*samples, strict=True)
        return {"seconds": statistics.fmean(walls), "drift": max(drifts)}

    def _epoch_seconds(self, optimizer: str, threads: int) -> float:
        """Open the contestant again with this setting; return the seconds of an epoch, in short chunks."""
        self._open(optimizer, threads)
        list(self._train(replace(self.work, epochs=1), 1))
        short, walls = replace(self.work, epochs=min(TRIAL_EPOCHS, self.work.epochs)), list[float]()
        while len(walls) < TRIALS or sum(walls) < SAMPLE_SECONDS:
            walls += [wall for _, wall in self._train(short, 1)]
        return statistics.median(walls) / short.epochs

    def _open(self, optimizer: str, threads: int) -> None:
        """Open the population, torch's with this AdamW; only the contestant's own libraries are imported."""
        if self.name == "jax":
            engine = load_backend("jax", self.device)
            self.access: Any = engine.open(self.work.spec, self.work.shape, self.work.members)
            self.how = engine.strategy(self.work.spec, self.work.members)
            return
        load_backend("torch", "cpu")  # says how to install torch where it is missing
        import torch

        from benchmarks.speed.frozen_torch import FrozenTorch

        torch.set_num_threads(threads)
        self.access = FrozenTorch(self.work.spec, self.work.shape, optimizer)
        self.how = described(optimizer, threads)

    def _train(self, work: Work, passes: int) -> Iterator[tuple[History, float]]:
        """Yield the history and the seconds of each pass over the chunk, always from the same start.

        The clock runs from one ready plan to the next, as in the middle of a long training.
        """
        coming = plans(work, len(self.data["train"]), passes + 1)
        plan = next(coming)
        for _ in range(passes):
            start(self.access, work.population)
            begun = time.perf_counter()
            history = train(self.access, self.data, plan)
            plan = next(coming)
            seconds = time.perf_counter() - begun
            if first_divergence(history) is not None:
                raise FloatingPointError("a loss is not finite: nothing could be compared")
            yield history, seconds


def described(optimizer: str, threads: int) -> str:
    """Return a setting of torch in words."""
    return f"{optimizer} AdamW, {threads} thread{'s' * (threads > 1)}"


def losses(history: History) -> Losses:
    """Return both losses as nested lists [member][epoch]."""
    return {name: history[name].tolist() for name in ("loss_train", "loss_test")}


def serve(request: dict[str, Any], questions: TextIO, answers: TextIO) -> int:
    """Start, then answer until the questions end; return the exit code."""

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        contestant = Contestant(request)
        say(contestant.start())
        for line in questions:
            question = json.loads(line)
            say(getattr(contestant, question.pop("do"))(**question))
    except Exception as error:  # the parent must hear of any error
        say({"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"})
        return 1
    return 0


if __name__ == "__main__":
    if (score := Path("/proc/self/oom_score_adj")).exists():
        score.write_text("1000")  # if memory runs out, this process ends before any other
    # Only answers go to the pipe; prints of libraries go to the errors.
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.exit(serve(json.loads(sys.argv[1]), sys.stdin, pipe))
