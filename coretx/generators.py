"""The global generators of Python and NumPy: nothing here draws from them, and no result may depend on them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def put_back() -> Iterator[None]:
    """Put the states of both back in the end."""
    python, numpy = random.getstate(), np.random.get_state(legacy=False)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
