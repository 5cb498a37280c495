"""What is made once in a process, however many threads ask for it at the same time."""

import threading
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class once(Generic[Result]):
    """Keep a function's results by its arguments, as functools.cache does, which lets two threads make the same twice.

    The first caller makes what the others wait for; what is there already waits for nobody. `cache_clear()` forgets
    all.
    """

    def __init__(self, function: Callable[..., Result]) -> None:
        update_wrapper(self, function)
        self._function = function
        self._kept: dict[Any, Result] = {}
        self._making = threading.RLock()

    def __call__(self, *args: Any, **settings: Any) -> Result:
        """Return what there is for these arguments, or make it."""
        key = args, tuple(sorted(settings.items()))
        if key not in self._kept:
            with self._making:
                if key not in self._kept:
                    self._kept[key] = self._function(*args, **settings)
        return self._kept[key]

    def cache_clear(self) -> None:
        """Forget all results."""
        self._kept.clear()
