"""One live population in JAX."""

# pyright: reportInvalidTypeForm=false
# (jax.Device is a class that jax re-exports as a plain variable)
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from operator import itemgetter
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from coretx.backend import SECTIONS, State, complete_state
from coretx.data import Dataset
from coretx.models.spec import InputShape, ModelSpec
from jaxtx.programs import Adam, Carry, Program, Schedule, adam_constants, note_names, programs

EPOCH_BLOCK = 25
"""The epoch axis of a chunk is filled up to a multiple of this, so that few lengths are ever compiled."""


class JaxAccess:
    """R members of one model (see coretx.backend.ModelAccess): one lane for all if they are vmapped, else one each."""

    def __init__(
        self,
        model_class: type[nnx.Module],
        spec: ModelSpec,
        shape: InputShape,
        members: int,
        *,
        strategy: str,
        dtype: str,
        device: jax.Device,
    ) -> None:
        self.members = members
        self.seconds = {"compile": 0.0, "train": 0.0}
        self._spec = spec
        self._dtype = dtype
        self._device = device
        self._vmapped = strategy == "vmap"
        self._definition = model_class, spec.architecture, shape, self._vmapped
        with timed(self.seconds, "compile"):
            self._programs = programs(*self._definition)
        self.manifest = self._programs.layout.manifest
        self._lanes: list[Carry] = []
        self._keeps_best = False

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
        """Train a chunk of epochs in one compiled call per lane and return sums and counts by member and epoch."""
        epochs = rows.shape[1]
        self._keeps_best = self._keeps_best or keep_best is not None
        with self._precision():
            program = programs(*self._definition, keep_best).train
            schedules = (*map(filled, (rows, weights, learning_rate)), weight_decay)
            splits = {name: as_rows(split) for name, split in evaluate.items()}
            adam = Adam(*self._put(adam_constants(self._spec.optimizer)))
            shared = (adam, *self._put((np.int32(epochs), as_rows(train), splits)))
            history = []
            for lane, schedule in enumerate(self._split(schedules)):
                carry, schedule = self._lanes[lane], Schedule(*self._put(schedule))
                self._lanes[lane], measured = self._run(program, carry, schedule, *shared)
                history.append(measured)
            return {name: values[:, :epochs] for name, values in self._join(history).items()}

    def logits(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, "member n"]:
        """Return the logit of every row."""
        return self._look("logits", x)

    def attention(
        self, x: Float[np.ndarray, "n time feature"]
    ) -> dict[str, Float[np.ndarray, "member n head query key"]]:
        """Return the attention weights of every layer."""
        return {name: value for name, value in self.intermediates(x).items() if name.endswith("attention.weights")}

    def intermediates(self, x: Float[np.ndarray, "n time feature"]) -> dict[str, Float[np.ndarray, "member n ..."]]:
        """Return every array that the forward pass notes."""
        names = note_names(self._programs.layout, x.shape[1:])
        return dict(zip(names, self._look("intermediates", x), strict=True))

    def gradients(
        self, x: Float[np.ndarray, "n time feature"], y: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
    ) -> dict[str, Float[np.ndarray, "member ..."]]:
        """Return the gradient of the weighted mean loss by parameter."""
        return self._programs.layout.tensors(self._look("gradients", x, y, weight))

    def input_gradients(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, "member n time feature"]:
        """Return the gradient of each row's logit by that row."""
        return self._look("input_gradients", x)

    def state(self) -> dict[str, np.ndarray]:
        """Return parameters, moments and counts, under canonical names."""
        carry = self._join(self._lanes)
        tensors = self._programs.layout.tensors
        sections = {
            "parameters": carry.parameters,
            "first_moment": carry.first_moment,
            "second_moment": carry.second_moment,
        }
        counts = {"step": carry.step, "epoch": carry.epoch}
        if self._keeps_best:
            sections["best"] = carry.best
            counts |= {"best_loss": carry.best_loss, "best_epoch": carry.best_epoch}
        named = {f"{section}/{name}": v for section, vector in sections.items() for name, v in tensors(vector).items()}
        return named | counts

    def load_state(self, state: State) -> None:
        """Take over a state."""
        full = complete_state(state, self.manifest, self.members, self._dtype)
        self._keeps_best = "best_loss" in full
        parameters, first, second, best = (
            self._programs.layout.vector({name: full[f"{section}/{name}"] for name in self.manifest})
            for section in (*SECTIONS, "best" if self._keeps_best else "parameters")
        )
        best_loss = full.get("best_loss", np.full(self.members, np.inf, self._dtype))
        best_epoch = full.get("best_epoch", np.full(self.members, -1, np.int32))
        carry = (parameters, first, second, full["step"], full["epoch"], best, best_loss, best_epoch)
        with self._precision():
            self._lanes = [Carry(*self._put(lane)) for lane in self._split(carry)]

    def _look(self, program: str, *arrays: np.ndarray) -> Any:
        """Run one of the programs that look at the parameters, for every lane."""
        with self._precision():
            shared = self._put(arrays)
            run: Program = getattr(self._programs, program)
            return self._join([run(self.seconds, lane.parameters, *shared) for lane in self._lanes])

    def _run(self, program: Program, *args: Any) -> Any:
        """Run a training program to its end, timed."""
        compiled = self.seconds["compile"]
        start = time.perf_counter()
        result = jax.block_until_ready(program(self.seconds, *args))
        self.seconds["train"] += time.perf_counter() - start - (self.seconds["compile"] - compiled)
        return result

    def _precision(self) -> AbstractContextManager[Any]:
        return jax.enable_x64(True) if self._dtype == "float64" else nullcontext()

    def _put(self, tree: Any) -> Any:
        """Return the arrays on the device, numbers and floats in the population's dtype."""

        def cast(leaf: Any) -> np.ndarray:
            array = np.asarray(leaf)
            return array.astype(self._dtype) if array.dtype.kind == "f" else array

        return jax.device_put(jax.tree.map(cast, tree), self._device)

    def _split(self, tree: Any) -> list[Any]:
        """Return what each lane gets of arrays with a leading member axis."""
        if self._vmapped:
            return [tree]
        return [jax.tree.map(itemgetter(member), tree) for member in range(self.members)]

    def _join(self, lanes: list[Any]) -> Any:
        """Return what the lanes hold as NumPy arrays with a leading member axis."""
        lanes = jax.device_get(lanes)
        return lanes[0] if self._vmapped else jax.tree.map(lambda *arrays: np.stack(arrays), *lanes)


def as_rows(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return a dataset as the pair that the programs take."""
    return data.x, data.y


def filled(array: np.ndarray) -> np.ndarray:
    """Return the array with its epoch axis filled up with zeros to a multiple of EPOCH_BLOCK."""
    missing = -array.shape[1] % EPOCH_BLOCK
    return np.pad(array, [(0, 0), (0, missing)] + [(0, 0)] * (array.ndim - 2))


@contextmanager
def timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    """Add the time inside to seconds[what]."""
    start = time.perf_counter()
    yield
    seconds[what] += time.perf_counter() - start
