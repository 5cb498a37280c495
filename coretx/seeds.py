"""Named streams of randomness: every draw is a pure function of its name, never of what was drawn before."""

import hashlib
import json
import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from coretx.errors import UsageError


def stream(seed: int, task: str = "", model: str = "", member: int = 0, purpose: str = "") -> np.random.Generator:
    """Return the generator that belongs to this name, the same in every process and on every machine.

    The name is hashed with SHA-256 and the first 128 bits seed a PCG64, so that neighbouring seeds and members
    give unrelated streams, and no stream depends on which others were opened.

    >>> stream(0, "t", purpose="data").integers(100) == stream(0, "t", purpose="data").integers(100)
    np.True_
    """
    name = json.dumps([int(seed), task, model, int(member), purpose])
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


@contextmanager
def put_back() -> Iterator[None]:
    """Put the states of both back in the end."""
    python, numpy = random.getstate(), np.random.get_state(legacy=False)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def no_draws(complaint: str) -> Iterator[None]:
    """Raise UsageError with this complaint if the code inside draws from NumPy's generator; both states are restored.

    Draws from Python's generator are not detected here: beartype makes some when it checks types.
    """
    with put_back():
        before = numpy_state()
        yield
        if numpy_state() != before:
            raise UsageError(complaint)


def numpy_state() -> bytes:
    """Return the state of NumPy's generator."""
    return pickle.dumps(np.random.get_state(legacy=False))
