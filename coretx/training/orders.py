"""The batch orders of many members, drawn in helping processes where the machine has the cores.

An order is a permutation of a stream of its own, 20 to 40 us: with 64 members a chunk takes as long to draw as a GPU
needs to train it, and threads that draw would keep the interpreter from those that log. A helper is this module as a
program: it reads a line that says what to draw and answers with the numbers alone.
"""

import json
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float, Int

from coretx.training.backend import cores
from coretx.training.batches import batch_order, batch_weights
from coretx.training.threadsafe_cache import once
from coretx.training.worker_process import start_helper

MANY = 2**20
"""Row numbers in a chunk from which helpers are asked: what is fewer is drawn here in 20 ms."""
CORES_PER_HELPER = 4
"""A helper has work for a fourth of the time, and a machine with few cores needs them for training."""
MOST_HELPERS = 8


def batch_orders(
    n: int, batch_size: int, epochs: range, *, seed: int, task: str, model: str, members: int
) -> tuple[Int[np.ndarray, "member epoch step batch"], Float[np.ndarray, "member epoch step batch"]]:
    """Return the rows and the weights of every batch of these epochs, for members 0, 1, ...: see `batch_order`."""
    stream = {"n": n, "batch_size": batch_size, "seed": int(seed), "task": task, "model": model}
    weights = batch_weights(n, batch_size)
    count = min(cores() // CORES_PER_HELPER, MOST_HELPERS)
    if count < 2 or members < 2 or members * len(epochs) * n < MANY:
        rows = draw(range(members), epochs, stream)
    else:
        parts = [range(part[0], part[-1] + 1) for part in np.array_split(range(members), min(count, members))]
        rows = np.empty((members, len(epochs), *weights.shape), np.int32)
        list(helpers(count).map(lambda part: ask(part, epochs, stream, rows[part.start : part.stop]), parts))
    return rows, np.tile(weights, (members, len(epochs), 1, 1))


def draw(members: range, epochs: range, stream: dict[str, Any]) -> Int[np.ndarray, "member epoch step batch"]:
    """Return the rows of these members."""
    return np.stack([batch_order(epochs=epochs, member=member, **stream)[0] for member in members])


def ask(
    members: range, epochs: range, stream: dict[str, Any], rows: Int[np.ndarray, "member epoch step batch"]
) -> None:
    """Let this thread's helper draw the rows of these members; draw them here where it is gone or draws others.

    Its first order is compared with the one drawn here: what has come between, or other code, would show there.
    """
    request = {"members": [members.start, members.stop], "epochs": [epochs.start, epochs.stop], "stream": stream}
    try:
        helper = own_helper()
        assert helper.stdin is not None, "a pipe"
        assert helper.stdout is not None, "a pipe"
        helper.stdin.write(json.dumps(request).encode() + b"\n")
        helper.stdin.flush()
        answer = helper.stdout.read(rows.nbytes)
    except OSError:
        answer = b""
    if len(answer) == rows.nbytes:
        rows[:] = np.frombuffer(answer, rows.dtype).reshape(rows.shape)
        first, _ = batch_order(epochs=epochs[:1], member=members[0], **stream)
        if np.array_equal(rows[0, :1], first):
            return
    dismiss_helper()
    rows[:] = draw(members, epochs, stream)


@once
def helpers(count: int) -> ThreadPoolExecutor:
    """Return as many threads, each with a helper of its own, for all populations together."""
    return ThreadPoolExecutor(count, "orders")


OWN = threading.local()
"""The helper of each thread."""


def own_helper() -> subprocess.Popen[bytes]:
    """Return this thread's helper, started at the first call."""
    if not hasattr(OWN, "helper"):
        OWN.helper = start_helper(__name__)
    return OWN.helper


def dismiss_helper() -> None:
    """End this thread's helper, if it has one; the next call starts another."""
    if hasattr(OWN, "helper"):
        OWN.helper.kill()
        OWN.helper.communicate()
        del OWN.helper


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests, a line each, until there are no more."""
    for line in requests:
        request = json.loads(line)
        answers.write(draw(range(*request["members"]), range(*request["epochs"]), request["stream"]).tobytes())
        answers.flush()
