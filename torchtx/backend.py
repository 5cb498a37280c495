"""The torch engine: which device, which model classes, how members run."""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from coretx.config import EngineOptions
from coretx.errors import UsageError
from coretx.models.spec import InputShape, ModelSpec
from coretx.seeds import put_back
from torchtx.access import TorchAccess, manifest
from torchtx.models.registry import MODELS
from torchtx.randomness import refuse_draws
from torchtx.settings import own_settings

PluginModels = Sequence[Callable[[], Mapping[type, Any]]]


class TorchBackend:
    """The PyTorch reference on one device. See coretx.training.backend.Backend."""

    name = "torch"

    def __init__(self, device: torch.device, models: Mapping[type, Any], precision: str = "highest") -> None:
        self.device = "gpu" if device.type == "cuda" else device.type
        self.device_name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        self.versions = {"torch": importlib.metadata.version("torch")}
        self.is_main_process = True
        self._device = device
        self._models = models
        self._precision = precision

    def supports(self, spec: ModelSpec) -> bool:
        """Return whether a model class is registered for the spec's architecture."""
        return type(spec.architecture) in self._models

    def max_concurrent_populations(self, members: int) -> int:
        """Return 1: one population after the other."""
        return 1

    def strategy(self, spec: ModelSpec, members: int) -> str:
        """Return `solo`, or `loop` for several members: one after the other."""
        return "solo" if members == 1 else "loop"

    def check(self, spec: ModelSpec, x: Float[np.ndarray, "n time feature"]) -> None:
        """Raise UsageError where the model cannot be trained on rows like these, or draws random numbers."""
        with own_settings(self._device, self._precision), put_back():
            rows, shape = torch.tensor(x, device=self._device), InputShape(*x.shape[1:])
            build = self._models[type(spec.architecture)]
            model, twin = (build(spec.architecture, shape).to(self._device, rows.dtype) for _ in range(2))
            manifest(model)
            refuse_draws(model, twin, rows)

    def open(
        self, spec: ModelSpec, shape: InputShape, members: int, dtype: str = "float32", strategy: str | None = None
    ) -> TorchAccess:
        """Return a population whose parameters are unset until `load_state`; every strategy is a loop here."""
        if not self.supports(spec):
            raise UsageError(f"model {spec.name}: the torch engine has no class for {type(spec.architecture).__name__}")
        return TorchAccess(
            self._models[type(spec.architecture)],
            spec,
            shape,
            members,
            dtype=dtype,
            device=self._device,
            precision=self._precision,
        )


def load(device: str | None, plugin_models: PluginModels, options: EngineOptions) -> TorchBackend:
    """Return the engine on this kind of device, or on the CPU where device is None: it is the reference."""
    if options.mesh is not None or options.distributed:
        raise UsageError("--mesh and --distributed are for the jax engine; torch runs on one device, in one process")
    models = dict(MODELS)
    for extra in plugin_models:
        models |= extra()
    precision = "medium" if options.matmul_precision == "default" else options.matmul_precision
    return TorchBackend(find_device(device), models, precision)


def find_device(kind: str | None) -> torch.device:
    """Return the device of a kind; UsageError names what is there instead."""
    if kind == "gpu" and not torch.cuda.is_available():
        raise UsageError("--device gpu asks torch for a gpu, but it sees only: cpu")
    return torch.device("cuda" if kind == "gpu" else "cpu")
