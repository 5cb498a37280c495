"""Named streams of randomness: every draw depends on its name alone, never on earlier draws."""

import hashlib
import json
import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from coretx.errors import UsageError


def stream(seed: int, task: str = "", model: str = "", member: int = 0, purpose: str = "") -> np.random.Generator:
    """Return the generator of this name, the same in every process and on every machine.

    The first 128 bits of the name's SHA-256 seed a PCG64: neighbouring seeds and members give unrelated streams, and no
    stream depends on another.

    >>> stream(0, "t", purpose="data").integers(100) == stream(0, "t", purpose="data").integers(100)
    np.True_
    """
    name = json.dumps([int(seed), task, model, int(member), purpose])
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


@contextmanager
def put_back() -> Iterator[None]:
    """Restore the states of Python's and NumPy's global generators at the end."""
    python, numpy = random.getstate(), np.random.get_state(legacy=False)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def no_draws(complaint: str) -> Iterator[None]:
    """Raise UsageError with this complaint if the code inside draws from NumPy's global generator; restore both states.

    Draws from Python's generator are not detected here: beartype makes some when it checks types.
    """
    with put_back():
        before = pickle.dumps(np.random.get_state(legacy=False))
        yield
        if pickle.dumps(np.random.get_state(legacy=False)) != before:
            raise UsageError(complaint)
