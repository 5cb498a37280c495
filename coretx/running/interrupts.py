"""Ctrl-C as a call instead of an exception, so that no file is left half written."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def at_interrupt(react: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C call `react`; every later one raises KeyboardInterrupt as usual.

    `react` runs between two steps of the main thread, the only one that receives signals. In other
    threads, and where Ctrl-C is ignored, this does nothing.
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
