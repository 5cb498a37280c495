"""The JAX engine: which device, which model classes, how members run."""

# pyright: reportInvalidTypeForm=false
# (jax.Device is a class that jax re-exports as a plain variable)
import importlib.metadata
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from coretx.errors import UsageError, choices
from coretx.models.spec import InputShape, ModelSpec
from jaxtx.access import JaxAccess
from jaxtx.models.registry import MODELS

PluginModels = Sequence[Callable[[], Mapping[type, Any]]]


class JaxBackend:
    """Flax NNX models on one jax device. See coretx.backend.Backend."""

    name = "jax"

    def __init__(self, device: jax.Device, models: Mapping[type, Any]) -> None:
        self.device = "gpu" if device.platform in ("cuda", "rocm") else device.platform
        self.device_name = device.device_kind
        self.versions = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax")}
        self.side_by_side = len(os.sched_getaffinity(0)) if self.device == "cpu" else 1
        self._device = device
        self._models = models

    def supports(self, spec: ModelSpec) -> bool:
        """Return whether a model class is registered for the spec's architecture."""
        return type(spec.architecture) in self._models

    def strategy(self, spec: ModelSpec, members: int) -> str:
        """Return `solo`, or `vmap` for several members: one program trains all."""
        return "solo" if members == 1 else "vmap"

    def open(self, spec: ModelSpec, shape: InputShape, members: int, dtype: str = "float32") -> JaxAccess:
        """Return a population whose parameters are unset until `load_state`."""
        if not self.supports(spec):
            raise UsageError(f"model {spec.name}: the jax engine has no class for {type(spec.architecture).__name__}")
        return JaxAccess(
            self._models[type(spec.architecture)],
            spec,
            shape,
            members,
            strategy=self.strategy(spec, members),
            dtype=dtype,
            device=self._device,
        )


def load(device: str | None, plugin_models: PluginModels) -> JaxBackend:
    """Return the engine on the first device of this kind, or on jax's default where device is None."""
    enable_compilation_cache()
    models = dict(MODELS)
    for extra in plugin_models:
        models |= extra()
    return JaxBackend(find_device(device), models)


def find_device(kind: str | None) -> jax.Device:
    """Return the first device of a kind; UsageError names what is there instead."""
    try:
        return jax.devices(kind)[0]
    except RuntimeError as error:
        there = dict.fromkeys(device.platform for device in (*jax.devices(), *jax.devices("cpu")))
        raise UsageError(f"--device {kind} asks jax for a {kind}, but it sees only: {choices(there)}") from error


def enable_compilation_cache() -> None:
    """Keep compiled programs in the user's cache folder, unless the user has set where (JAX_COMPILATION_CACHE_DIR)."""
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(home / "progressive-tx" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
