"""Which devices a population gets: those that fewest others have, and a turn on each of them."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

Device = TypeVar("Device")


class Turn:
    """Entered where a program runs on some devices; waits until none of them runs another's.

    The locks of the devices are taken in one order by all, so that nobody waits in a circle.
    """

    def __init__(self, locks: Sequence[threading.Lock]) -> None:
        self._locks = locks

    def __enter__(self) -> None:
        """Wait for every device."""
        for lock in self._locks:
            lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the devices to others."""
        for lock in self._locks:
            lock.release()


@dataclass(frozen=True)
class Loan(Generic[Device]):
    """Devices that a population has until it gives them back."""

    devices: list[Device]
    turn: AbstractContextManager[Any]
    give_back: Callable[[], None]
    """May be called again, which does nothing."""


class DevicePool(Generic[Device]):
    """Lends devices to populations: free ones while there are enough, else those that fewest others have.

    Nobody waits here: a population whose devices are another's too waits for its turn, chunk by chunk, and compiles
    while the other trains. With `fixed` all get the first devices, where processes must agree without a word.
    """

    def __init__(self, devices: Sequence[Device], *, fixed: bool = False) -> None:
        self._devices = devices
        self._fixed = fixed
        self._locks = [threading.Lock() for _ in devices]
        self._users = [0] * len(devices)
        self._counting = threading.Lock()

    def lend(self, count: int) -> Loan[Device]:
        """Return that many devices, in their order."""
        with self._counting:
            every = range(len(self._devices))
            freest = every if self._fixed else sorted(every, key=lambda place: self._users[place])
            places = sorted(freest[:count])
            self._count(places, 1)
        left = [places]

        def give_back() -> None:
            with self._counting:
                if left:
                    self._count(left.pop(), -1)

        turn = Turn([self._locks[place] for place in places])
        return Loan([self._devices[place] for place in places], turn, give_back)

    def _count(self, places: Sequence[int], change: int) -> None:
        for place in places:
            self._users[place] += change
