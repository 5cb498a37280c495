"""The JAX engine: its devices, its model classes, and its strategy for members."""

# pyright: reportInvalidTypeForm=false
# (jax.Device is a class that jax re-exports as a plain variable)
import importlib.metadata
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float

from coretx.config import DEFAULT_OPTIONS, EngineOptions, MeshShape
from coretx.errors import UsageError, choices
from coretx.models.spec import InputShape, ModelSpec
from coretx.seeds import put_back
from coretx.training.backend import cores, drawing_model
from jaxtx.access import JaxAccess
from jaxtx.models.registry import MODELS
from jaxtx.parameters import layout
from jaxtx.placement import STRATEGIES, DevicePool, Placement, make_mesh, mesh_shape, pick_strategy
from jaxtx.settings import JaxCache

CACHE_BYTES = 2**30
"""Limit of the cache in the user's folder: about 40 times the programs of the ladder."""

PluginModels = Sequence[Callable[[], Mapping[type, Any]]]


class JaxBackend:
    """Flax NNX models on jax devices of one kind. See coretx.training.backend.Backend."""

    name = "jax"

    def __init__(
        self,
        devices: Sequence[jax.Device],
        models: Mapping[type, Any],
        options: EngineOptions = DEFAULT_OPTIONS,
        cache: JaxCache | None = None,
    ) -> None:
        first = devices[0]
        self.device = "gpu" if first.platform in ("cuda", "rocm") else first.platform
        self.device_name = first.device_kind if len(devices) == 1 else f"{len(devices)} x {first.device_kind}"
        self.versions = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax")}
        self.is_main_process = jax.process_index() == 0
        self._devices = devices
        self._models = models
        self._options = options
        self._cache = cache
        # One CPU device runs a program in the thread that calls it: a population a core. Elsewhere populations on the
        # same device take turns chunk by chunk, so that some compile while another trains.
        self._alone = self.device == "cpu" and len(devices) == 1
        self._pool = DevicePool(devices, fixed=jax.process_count() > 1, turns=not self._alone)

    def supports(self, spec: ModelSpec) -> bool:
        """Return whether a model class is registered for the spec's architecture."""
        return type(spec.architecture) in self._models

    def check(self, spec: ModelSpec, x: Float[np.ndarray, "n time feature"]) -> None:
        """Raise UsageError where the model cannot be trained on rows like these, or draws random numbers."""
        own, shape = self._models[type(spec.architecture)], InputShape(*x.shape[1:])
        with put_back():
            layout(own, spec.architecture, shape, self._alone)
            if MODELS.get(type(spec.architecture)) is own:  # ours need no second look, which takes 0.2 s
                return
            built = [own(spec.architecture, shape, rngs=nnx.Rngs(0)) for _ in range(2)]
            if len({np.asarray(model(x)).tobytes() for model in built}) > 1:
                raise UsageError(drawing_model(own.__name__))

    def max_concurrent_populations(self, members: int) -> int:
        """Return how many populations of that many members train at once: one for each core, or for each mesh."""
        if jax.process_count() > 1:  # processes must agree on the order of all
            return 1
        if self._alone:
            return cores()
        shape = mesh_shape(members, len(self._devices), self._options.mesh)
        return max(len(self._devices) // (shape.members * shape.data), min(4, max(2, cores() // 4)))

    def strategy(self, spec: ModelSpec, members: int) -> str:
        """Return `solo`, `loop`, `vmap` or `shard members=...,data=...`: see jaxtx.placement."""
        shape = mesh_shape(members, len(self._devices), self._options.mesh)
        there = {device.process_index for device in make_mesh(self._devices, shape).devices.flat}
        if len(there) < jax.process_count():
            raise UsageError(
                f"{jax.process_count()} processes must share every population; {members} members lie on "
                f"{len(there)} of them: give --members a multiple of the number of devices ({len(self._devices)}), or "
                "--mesh members=..,data=.. that takes all devices"
            )
        return pick_strategy(self.device, spec, members, shape)

    def open(
        self, spec: ModelSpec, shape: InputShape, members: int, dtype: str = "float32", strategy: str | None = None
    ) -> JaxAccess:
        """Return a population whose parameters are unset until `load_state`; `strategy` None is the engine's choice."""
        if not self.supports(spec):
            raise UsageError(f"model {spec.name}: the jax engine has no class for {type(spec.architecture).__name__}")
        strategy = strategy or self.strategy(spec, members)
        kind = strategy.partition(" ")[0]
        if kind not in STRATEGIES:
            raise UsageError(f"unknown strategy {strategy!r}; choose from: {choices(STRATEGIES)}")
        mesh = mesh_shape(members, len(self._devices), self._options.mesh) if kind == "shard" else MeshShape()
        loan = self._pool.lend(mesh.members * mesh.data)
        stacked = kind in ("vmap", "shard")
        try:
            return JaxAccess(
                self._models[type(spec.architecture)],
                spec,
                shape,
                members,
                placement=Placement(make_mesh(loan.devices, mesh), stacked, self._options.matmul_precision),
                loan=loan,
                dtype=dtype,
                cache=self._cache,
            )
        except BaseException:
            loan.give_back()
            raise


def load(device: str | None, plugin_models: PluginModels, options: EngineOptions) -> JaxBackend:
    """Return the engine on all devices of this kind, or of jax's default kind where device is None."""
    if options.distributed:
        join_processes()
    models = dict(MODELS)
    for extra in plugin_models:
        models |= extra()
    devices = find_devices(device)
    return JaxBackend(devices, models, options, program_cache() if options.compile_cache else None)


NO_DEVICES = RuntimeError, AssertionError
"""Errors of jax without devices: the second if JAX_PLATFORMS names a kind that its build lacks."""


def find_devices(kind: str | None) -> list[jax.Device]:
    """Return the devices of a kind, or of jax's default kind. UsageError lists the available kinds."""
    try:
        return jax.devices(kind)
    except NO_DEVICES as error:
        there: dict[str, None] = {}
        for other in (None, "cpu"):
            with suppress(*NO_DEVICES):
                there |= dict.fromkeys(device.platform for device in jax.devices(other))
        if kind is not None and there:
            raise UsageError(f"--device {kind} asks jax for a {kind}, but it sees only: {choices(there)}") from error
        asked = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
        why = f"JAX_PLATFORMS={asked} leaves it none on this machine: unset it" if asked else f"it says: {error}"
        raise UsageError(f"jax has no device to train on; {why}") from error


def join_processes() -> None:
    """Join the processes of this run, by their launcher (Slurm, Open MPI, Cloud TPU, ...) or by three variables.

    The variables: JAX_COORDINATOR_ADDRESS (host:port of process 0), JAX_NUM_PROCESSES, JAX_PROCESS_ID.
    """
    if jax.distributed.is_initialized():
        return
    given: dict[str, Any] = {
        name: whole_number(variable)
        for name, variable in (("num_processes", "JAX_NUM_PROCESSES"), ("process_id", "JAX_PROCESS_ID"))
        if variable in os.environ
    }
    try:
        jax.distributed.initialize(**given)
    except (ValueError, RuntimeError) as error:
        raise UsageError(
            "--distributed needs a launcher that jax knows (Slurm, Open MPI, Cloud TPU, ...) or the variables "
            f"JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID; jax says: {error}"
        ) from error


def whole_number(variable: str) -> int:
    """Return the value of an environment variable. UsageError if it is no whole number."""
    value = os.environ[variable]
    if not value.strip().isdecimal():
        raise UsageError(f"{variable} must be a whole number, as --distributed reads it; got {value!r}: set it anew")
    return int(value)


def program_cache() -> JaxCache:
    """Return the cache of compiled programs: JAX_COMPILATION_CACHE_DIR, or a bounded one in the user's cache folder."""
    asked = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if asked:  # its size is the user's to limit
        return JaxCache(asked, jax.config.values["jax_compilation_cache_max_size"])
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return JaxCache(str(home / "progressive-tx" / "jax" / "programs"), CACHE_BYTES)
