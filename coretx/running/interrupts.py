"""Ctrl-C as a call in place of an exception, so that nothing is left half done."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def at_interrupt(react: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C call `react` and raise nothing; every later one raises KeyboardInterrupt, as without this.

    `react` is called between any two steps of the main thread, which alone hears signals; elsewhere, and where Ctrl-C
    is ignored, nothing changes.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def first(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        react()

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
