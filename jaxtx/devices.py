"""Which devices a population gets: the least used ones, and a turn on each of them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

Device = TypeVar("Device")


@dataclass(frozen=True)
class Loan(Generic[Device]):
    """Devices that a population has until it gives them back."""

    devices: list[Device]
    locks: list[threading.Lock]
    give_back: Callable[[], None]
    """May be called again, which does nothing."""

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other population runs a program on these devices.

        Every population takes the locks in the order of the devices, so none waits in a circle.
        """
        with ExitStack() as held:
            for lock in self.locks:
                held.enter_context(lock)
            yield


class DevicePool(Generic[Device]):
    """Lends devices to populations, those with the fewest populations first.

    Populations on the same device take turns chunk by chunk, so one compiles while another trains. With `fixed` every
    population gets the first devices, for processes that must agree without communication.
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

        return Loan([self._devices[place] for place in places], [self._locks[place] for place in places], give_back)

    def _count(self, places: Sequence[int], change: int) -> None:
        for place in places:
            self._users[place] += change
