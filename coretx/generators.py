"""The global generators of Python and NumPy: nothing here draws from them, and no result may depend on them."""

import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from coretx.errors import UsageError


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
