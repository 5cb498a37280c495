"""Placement of members: the devices that a population gets, and how its members lie on them."""

# pyright: reportInvalidTypeForm=false
# (jax.Device is a class that jax re-exports as a plain variable)
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from coretx.config import MeshShape
from coretx.errors import UsageError
from coretx.models.spec import ModelSpec

STRATEGIES = ("solo", "loop", "vmap", "shard")
"""One member; a program for each member, in threads; one program for all members on one device; the same over several.

`vmap` and `shard` compute members side by side in larger arrays: their last bits may differ from those of `loop`."""


@dataclass(frozen=True)
class Placement:
    """How the members of one population lie on the devices of a mesh.

    The axes of the mesh are `members` and `data`; a single device is a mesh of 1 x 1. If members are not stacked, each
    has its own arrays, without a member axis, and its own call.
    """

    mesh: Mesh
    stacked: bool
    """Whether one array holds all members."""
    precision: str = "highest"
    """The precision of float32 matrix products, where a device offers less."""

    @property
    def one_cpu(self) -> bool:
        """Whether one CPU does all the work: blocks of rows should then fit its cache."""
        return self.mesh.size == 1 and self.mesh.devices.flat[0].platform == "cpu"

    def shared(self, *axes: str | None) -> NamedSharding:
        """Return the sharding of arrays that all members read: whole on every device, or divided along these axes."""
        return NamedSharding(self.mesh, PartitionSpec(*axes))

    def members(self, *axes: str | None) -> NamedSharding:
        """Return the sharding of arrays of members (all, or one if not stacked), divided further along these axes."""
        return self.shared(*(("members",) if self.stacked else ()), *axes)

    def put(self, tree: Any, shardings: Any) -> Any:
        """Return the arrays on their devices; `shardings` is one for all arrays, or a tree of them."""
        if jax.process_count() == 1:
            return jax.device_put(tree, shardings)
        each = jax.tree.broadcast(shardings, tree)
        return jax.tree.map(lambda leaf, at: jax.make_array_from_callback(leaf.shape, at, leaf.__getitem__), tree, each)

    def fetch(self, tree: Any) -> Any:
        """Return arrays as NumPy's, whole, in every process."""
        if jax.process_count() == 1:
            return jax.device_get(tree)
        return jax.tree.map(lambda leaf: np.asarray(multihost_utils.process_allgather(leaf, tiled=True)), tree)


@dataclass(eq=False)
class Loan:
    """Devices that a population has until it gives them back."""

    pool: "DevicePool"
    devices: list[Any]
    locks: list[threading.Lock]

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other population runs a program on these devices.

        Every population takes the locks in the order of the devices, so none waits in a circle.
        """
        with ExitStack() as held:
            for lock in self.locks:
                held.enter_context(lock)
            yield

    def give_back(self) -> None:
        """Return the devices to the pool; a second call does nothing."""
        with self.pool.lock:
            self.pool.loans.discard(self)


class DevicePool:
    """Lends devices to populations, those with the fewest populations first.

    Populations on the same device take turns chunk by chunk, so one compiles while another trains; without `turns` they
    run at the same time. With `fixed` every population gets the first devices: processes then agree without
    communication.
    """

    def __init__(self, devices: Sequence[Any], *, fixed: bool = False, turns: bool = True) -> None:
        self.lock = threading.Lock()
        self.loans: set[Loan] = set()
        self._devices = devices
        self._fixed = fixed
        self._locks = [threading.Lock() for _ in devices] if turns else []

    def lend(self, count: int) -> Loan:
        """Return that many devices, in their order."""
        with self.lock:
            lent = [] if self._fixed else [device for loan in self.loans for device in loan.devices]
            freest = sorted(range(len(self._devices)), key=lambda place: lent.count(self._devices[place]))
            places = sorted(freest[:count])
            locks = [self._locks[place] for place in places if self._locks]
            loan = Loan(self, [self._devices[place] for place in places], locks)
            self.loans.add(loan)
        return loan


def make_mesh(devices: Sequence[jax.Device], shape: MeshShape) -> Mesh:
    """Return the first devices as a mesh of this shape."""
    return Mesh(np.array(devices[: shape.members * shape.data]).reshape(shape), ("members", "data"))


def mesh_shape(members: int, devices: int, asked: MeshShape | None) -> MeshShape:
    """Return the asked mesh, or else as many devices along `members` as divide them. UsageError for one that cannot be.

    >>> mesh_shape(members=6, devices=4, asked=None)
    MeshShape(members=3, data=1)
    """
    if asked is None:
        return MeshShape(next(n for n in range(min(members, devices), 0, -1) if members % n == 0))
    if asked.members * asked.data > devices:
        raise UsageError(f"--mesh {asked} asks for {asked.members * asked.data} devices, but jax sees {devices}")
    if members % asked.members:
        raise UsageError(f"--mesh {asked} cannot part {members} members evenly: --members must be a multiple")
    return asked


def pick_strategy(kind: str, spec: ModelSpec, members: int, shape: MeshShape) -> str:
    """Return how to run that many members: on one device the fastest measured way (jaxtx/strategies.json)."""
    if shape != MeshShape():
        return f"shard {shape}"
    if members == 1:
        return "solo"
    measured = measured_strategies().get(kind, {}).get(type(spec.architecture).__name__)
    if measured is None:
        return "vmap"
    return measured[min(measured, key=lambda r: abs(np.log(int(r) / members)))]["strategy"]


@cache
def measured_strategies() -> dict[str, dict[str, dict[str, Any]]]:
    """Return kind of device -> architecture -> number of members -> the measured strategies and the choice.

    Made by `python -m benchmarks.strategies`.
    """
    return json.loads(files("jaxtx").joinpath("strategies.json").read_text())["measured"]
