"""What is made once in a process, however many threads ask for it at the same time."""

import threading
from collections.abc import Callable
from functools import cache, update_wrapper
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class once(Generic[Result]):
    """Keep a function's results by its arguments, as functools.cache does, which lets two threads make the same twice.

    The first caller makes what the others wait for. `cache_clear()` forgets all.
    """

    def __init__(self, function: Callable[..., Result]) -> None:
        update_wrapper(self, function)
        self._kept = cache(function)
        self._making = threading.RLock()
        self.cache_clear = self._kept.cache_clear

    def __call__(self, *args: Any, **settings: Any) -> Result:
        """Return what there is for these arguments, or make it."""
        with self._making:
            return self._kept(*args, **settings)
