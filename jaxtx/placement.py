"""Placement of members: one program each, one program for all, or one program over a mesh of devices."""

# pyright: reportInvalidTypeForm=false
# (jax.Device is a class that jax re-exports as a plain variable)
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from coretx.config import MeshShape
from coretx.errors import UsageError, choices
from coretx.models.spec import ModelSpec

STRATEGIES = ("solo", "loop", "vmap", "shard")
"""One member; a program for each member, in threads; one program for all members on one device; the same over several.

What is not `solo` or `loop` computes members side by side in larger arrays: its last bits may be others."""


@dataclass(frozen=True)
class Placement:
    """How the members of one population lie on devices.

    All arrays live on `mesh`, whose axes are `members` and `data`; a single device is a mesh of 1 x 1. Where members
    are not stacked each has its own arrays, without a member axis, and its own call.
    """

    strategy: str
    mesh: Mesh
    precision: str = "highest"
    turn: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Held while a program runs, where programs of two populations must not mix on the devices."""

    @property
    def stacked(self) -> bool:
        """Whether one array holds all members."""
        return self.strategy not in ("solo", "loop")

    @property
    def one_cpu(self) -> bool:
        """Whether one CPU does all the work: blocks of rows should then fit its cache."""
        return self.mesh.size == 1 and self.mesh.devices.flat[0].platform == "cpu"

    def put_members(self, tree: Any) -> Any:
        """Return arrays of members (all, or one where they are not stacked) on their devices."""
        return self._put(tree, self._members())

    def put_each(self, arrays: tuple[Any, ...], *axes: tuple[str | None, ...]) -> Any:
        """Return arrays of members, each divided further along its own axes of the mesh, in one transfer."""
        return self._put(arrays, tuple(self._members(*own) for own in axes))

    def put_shared(self, tree: Any) -> Any:
        """Return arrays that every member reads, whole on every device."""
        return self._put(tree, self._place())

    def put_rows(self, tree: Any) -> Any:
        """Return arrays with a leading axis of rows, divided along `data` if that is even."""
        parts = self.mesh.shape["data"]
        even = all(len(leaf) % parts == 0 for leaf in jax.tree.leaves(tree))
        return self._put(tree, self._place("data") if even else self._place())

    @property
    def results(self) -> NamedSharding:
        """The sharding of results: each member's part on the devices of the member."""
        return self._members()

    def fetch(self, tree: Any) -> Any:
        """Return arrays as NumPy's, whole, in every process."""
        if jax.process_count() == 1:
            return jax.device_get(tree)
        return jax.tree.map(lambda leaf: np.asarray(multihost_utils.process_allgather(leaf, tiled=True)), tree)

    def _place(self, *axes: str | None) -> NamedSharding:
        return NamedSharding(self.mesh, PartitionSpec(*axes))

    def _members(self, *axes: str | None) -> NamedSharding:
        return self._place(*(("members",) if self.stacked else ()), *axes)

    def _put(self, tree: Any, places: Any) -> Any:
        """Return the arrays at their places: one for all, or a tree of them."""
        if jax.process_count() == 1:
            return jax.device_put(tree, places)
        one = isinstance(places, NamedSharding)
        each = jax.tree.map(lambda leaf: places, tree) if one else places
        return jax.tree.map(lambda leaf, at: jax.make_array_from_callback(leaf.shape, at, leaf.__getitem__), tree, each)


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


def check_strategy(strategy: str) -> str:
    """Return the strategy if it is one."""
    if strategy.partition(" ")[0] not in STRATEGIES:
        raise UsageError(f"unknown strategy {strategy!r}; choose from: {choices(STRATEGIES)}")
    return strategy
