"""The contract between core and engines: two protocols with NumPy arrays, and the loader of an engine."""

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from coretx.config import DEFAULT_OPTIONS, EngineOptions
from coretx.errors import UsageError, choices
from coretx.models.spec import InputShape, ModelSpec
from coretx.tasks.sampling import Dataset

Manifest = Mapping[str, tuple[int, ...]]
"""A model's parameters: canonical name (torch's name and layout) -> shape of one member's tensor."""

State = Mapping[str, np.ndarray]
"""A population as named arrays, each with a leading member axis: `parameters/<name>`, `first_moment/<name>`,
`second_moment/<name>`, `step` and `epoch` (counts so far), and where a best epoch is kept `best/<name>`, `best_loss`,
`best_epoch`. What one engine writes, the other reads."""

SECTIONS = ("parameters", "first_moment", "second_moment")
"""The tensors of a state: the parameters, and AdamW's two moments of their gradient."""

ENGINES = {"jax": "jaxtx", "torch": "torchtx"}
DEVICES = {"jax": ("cpu", "gpu", "tpu"), "torch": ("cpu", "gpu")}
INSTALL = {"torch": "pip install 'torch>=2.13,<2.14'", "jax": "pip install 'jax>=0.10.2,<0.13' flax optax"}


@runtime_checkable
class ModelAccess(Protocol):
    """One live population: the members of one spec on one input shape in one engine. It takes and returns NumPy."""

    members: int
    manifest: Manifest
    seconds: dict[str, float]
    """Wall-clock so far, under `compile` and `train`."""

    def train(
        self,
        train: Dataset,
        evaluate: Mapping[str, Dataset],
        *,
        rows: Int[np.ndarray, "member epoch step batch"],
        weights: Float[np.ndarray, "member epoch step batch"],
        learning_rate: Float[np.ndarray, "member epoch"],
        weight_decay: Float[np.ndarray, " member"],
        keep_best: str | None = None,
    ) -> dict[str, Float[np.ndarray, "member epoch"]]:
        """Train a chunk of epochs and return what each epoch measured, as sums and counts.

        Over the epoch's batches: `train/loss_sum`, `train/correct`, `train/count` (running, before each step),
        `train/grad_norm_sum`, `train/weight_norm_sum` (of `head.weight`, after each step), `train/steps`. After the
        epoch, for each split in evaluate: `<split>/loss_sum`, `<split>/correct`, `<split>/count`. For a model with
        attention, over the first layer's pre-softmax scores on all of train: `attention/count`, `/sum`, `/squares`
        (summed squared deviations from their mean) and `/maxabs`.
        keep_best names the split whose lowest loss decides which epoch's weights the state keeps under `best/`.
        """
        ...

    def logits(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, "member n"]:
        """Return the logit of every row."""
        ...

    def intermediates(self, x: Float[np.ndarray, "n time feature"]) -> dict[str, Float[np.ndarray, "member n ..."]]:
        """Return every array that the model's forward pass notes, in its order."""
        ...

    def gradients(
        self, x: Float[np.ndarray, "n time feature"], y: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
    ) -> dict[str, Float[np.ndarray, "member ..."]]:
        """Return the gradient of the weighted mean loss by parameter, under canonical names."""
        ...

    def explain(
        self, x: Float[np.ndarray, "n time feature"], member: int = 0
    ) -> tuple[Float[np.ndarray, "n time feature"], dict[str, Float[np.ndarray, "n head query key"]]]:
        """Return, for one member, the gradient of each row's logit by that row, and the attention weights by layer."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Return the population as named arrays (see `State`): parameters and optimizer both."""
        ...

    def load_state(self, state: State) -> None:
        """Take over a state; parameters alone start a fresh optimizer. UsageError where it does not fit."""
        ...

    def close(self) -> None:
        """Return the devices for other populations. A second call does nothing."""
        ...


@runtime_checkable
class Backend(Protocol):
    """One engine on one kind of device."""

    name: str
    device: str
    """The kind: cpu, gpu or tpu."""
    device_name: str
    versions: dict[str, str]
    is_main_process: bool
    """Whether this process writes the results: the first of several that train together, or the only one."""

    def supports(self, spec: ModelSpec) -> bool:
        """Return whether this engine has a model class for the spec's architecture."""
        ...

    def check(self, spec: ModelSpec, x: Float[np.ndarray, "n time feature"]) -> None:
        """Raise UsageError where the model cannot be trained on rows like these few, or draws random numbers."""
        ...

    def max_concurrent_populations(self, members: int) -> int:
        """Return how many populations of that many members should train at once, each in a thread of its own."""
        ...

    def strategy(self, spec: ModelSpec, members: int) -> str:
        """Return how this engine runs that many members: part of a cell's config."""
        ...

    def open(
        self, spec: ModelSpec, shape: InputShape, members: int, dtype: str = "float32", strategy: str | None = None
    ) -> ModelAccess:
        """Return a population whose parameters are unset until `load_state`; `strategy` None is the engine's choice.

        The results do not depend on which of several equal devices it gets. Close it after use.
        """
        ...


def load_backend(
    name: str,
    device: str | None = None,
    plugin_models: Sequence[Callable[[], Mapping[type, Any]]] = (),
    options: EngineOptions = DEFAULT_OPTIONS,
) -> Backend:
    """Return the engine of this name. Only this function imports an engine, which takes a second or more.

    `device` is cpu, gpu or tpu, or None for the engine's own choice. `plugin_models` are functions that return
    further architectures as {architecture type: model class}. Raises UsageError for an engine that is unknown or
    not installed, and for a device that this machine lacks.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown backend {name!r}; choose from: {choices(ENGINES)}")
    if device is not None and device not in DEVICES[name]:
        raise UsageError(f"backend {name} runs on {choices(DEVICES[name])}, got --device {device}")
    if importlib.util.find_spec(name) is None:
        raise UsageError(f"backend {name} needs the package {name}, which is not installed: {INSTALL[name]}")
    return importlib.import_module(f"{ENGINES[name]}.backend").load(device, plugin_models, options)


def drawing_model(name: str) -> str:
    """Return the message that refuses a model class whose forward pass draws random numbers."""
    return (
        f"a model must answer the same rows alike each time; {name} draws random numbers (as dropout does), and the "
        "seed of the run does not control them: remove the random draws from the model"
    )


def complete_state(state: State, manifest: Manifest, members: int, dtype: str) -> dict[str, np.ndarray]:
    """Return the state, every array checked and cast; parameters alone get fresh optimizer entries.

    UsageError names an entry that is missing, unknown or of another shape.
    """
    full = dict(state)
    if all(name.startswith("parameters/") for name in state):
        for name, shape in manifest.items():
            full[f"first_moment/{name}"] = full[f"second_moment/{name}"] = np.zeros((members, *shape))
        full["step"] = full["epoch"] = np.zeros(members)
    kept = "best_loss" in full
    sections = (*SECTIONS, "best") if kept else SECTIONS
    counts = ("step", "epoch", "best_loss", "best_epoch") if kept else ("step", "epoch")
    tensors = {f"{section}/{name}": shape for section in sections for name, shape in manifest.items()}
    wanted = {name: (members, *shape) for name, shape in (tensors | dict.fromkeys(counts, ())).items()}
    if full.keys() != wanted.keys():
        odd = sorted(full.keys() ^ wanted.keys())[0]
        verb = "misses" if odd in wanted else "has an unknown"
        raise UsageError(f"a state must hold exactly the entries of this model; this one {verb} entry {odd!r}")
    for name, shape in wanted.items():
        if full[name].shape != shape:
            raise UsageError(f"state entry {name!r} must have shape {shape}, got {full[name].shape}")
    integers = ("step", "epoch", "best_epoch")
    return {name: np.array(full[name], np.int32 if name in integers else dtype) for name in wanted}


def cores() -> int:
    """Return how many cores this process may use: all of them if the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
