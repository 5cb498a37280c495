"""One live population in JAX."""

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from operator import itemgetter
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from coretx.models.spec import InputShape, ModelSpec
from coretx.tasks.sampling import Dataset
from coretx.training.backend import SECTIONS, State, complete_state, cores
from coretx.training.batches import epochs_per_chunk
from jaxtx.members import Best, Carry, Schedule, adam_constants
from jaxtx.placement import Loan, Placement
from jaxtx.programs import Program, Programs, build_programs, quantities
from jaxtx.settings import JaxCache

BUILDING = threading.Lock()
"""Held while programs are built, so that two threads do not build the same."""


class JaxAccess:
    """R members of one model (see `ModelAccess`): in one `Carry` if they are stacked, else in one each."""

    def __init__(
        self,
        model_class: type[nnx.Module],
        spec: ModelSpec,
        shape: InputShape,
        members: int,
        *,
        placement: Placement,
        loan: Loan,
        dtype: str,
        cache: JaxCache | None,
    ) -> None:
        self.members = members
        self.seconds = {"compile": 0.0, "train": 0.0}
        self._definition = model_class, spec.architecture, shape
        self._placement = placement
        self._loan = loan
        self._dtype = dtype
        self._cache = cache
        with timed(self.seconds, "compile"):
            self._programs = self._build(keep_best=None)
        self._layout = self._programs.layout
        self.manifest = self._layout.manifest
        self._carries: list[Carry] = []
        self._keeps_best = False
        self._placed: dict[tuple[int, bool], tuple[Dataset, Any]] = {}
        with self._width():
            self._adam = self._put(adam_constants(spec.optimizer))

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
        """Train a chunk of epochs, one compiled call for each member or for all that are stacked."""
        epochs = rows.shape[1]
        self._keeps_best = self._keeps_best or keep_best is not None
        programs = self._build(keep_best)
        with self._width():
            longest = max(epochs, epochs_per_chunk(len(train)))  # a shorter chunk needs no other program
            schedules = (*(filled(array, longest, axis=1) for array in (rows, weights, learning_rate)), weight_decay)
            own = [self._schedule(schedule) for schedule in self._split(schedules)]
            splits = {name: self._rows(split, whole=False) for name, split in evaluate.items()}
            shared = self._adam, self._put(np.int32(epochs)), self._rows(train, whole=True), splits
            compiled = programs.train.ready(self.seconds, self._carries[0], own[0], *shared)

            def train_member(carry: Carry, schedule: Schedule) -> tuple[Carry, jax.Array]:
                return jax.block_until_ready(compiled(carry, schedule, *shared))

            with self._loan.turn(), timed(self.seconds, "train"):
                with ThreadPoolExecutor(min(len(own), cores()), "member") as threads:
                    trained = list(threads.map(train_member, self._carries, own))
                self._carries = [carry for carry, _ in trained]
                sums = self._join(sums for _, sums in trained)
        names = quantities(evaluate, attends=bool(self._layout.notes_named("attention.logits")))
        return {name: sums[:, i, :epochs] for i, name in enumerate(names)}

    def logits(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, "member n"]:
        """Return the logit of every row."""
        return self._look("logits", x)

    def intermediates(self, x: Float[np.ndarray, "n time feature"]) -> dict[str, Float[np.ndarray, "member n ..."]]:
        """Return every array that the forward pass notes."""
        return dict(zip(self._layout.notes, self._look("intermediates", x), strict=True))

    def gradients(
        self, x: Float[np.ndarray, "n time feature"], y: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
    ) -> dict[str, Float[np.ndarray, "member ..."]]:
        """Return the gradient of the weighted mean loss by parameter."""
        return self._layout.tensors(self._look("gradients", x, y, weight))

    def explain(
        self, x: Float[np.ndarray, "n time feature"], member: int = 0
    ) -> tuple[Float[np.ndarray, "n time feature"], dict[str, Float[np.ndarray, "n head query key"]]]:
        """Return the gradient of each row's logit by that row, and the attention weights by layer, of one member."""
        carry = self._carries[0 if self._placement.stacked else member]
        with self._width():
            arguments = carry.parameters, *self._put((np.int32(member), x))
            compiled = self._programs.explain.ready(self.seconds, *arguments)
            with self._loan.turn():
                slope, weights = self._placement.fetch(compiled(*arguments))
        return slope, dict(zip(self._layout.notes_named("attention.weights"), weights, strict=True))

    def state(self) -> dict[str, np.ndarray]:
        """Return parameters, moments and counts, under canonical names."""
        carry = self._join(self._carries)
        sections = {section: getattr(carry, section) for section in SECTIONS}
        counts = {"step": carry.step, "epoch": carry.epoch}
        if self._keeps_best:
            sections["best"] = carry.best.parameters
            counts |= {"best_loss": carry.best.loss, "best_epoch": carry.best.epoch}
        tensors = {section: self._layout.tensors(vector) for section, vector in sections.items()}
        return {f"{section}/{name}": tensors[section][name] for section in tensors for name in self.manifest} | counts

    def load_state(self, state: State) -> None:
        """Take over a state."""
        full = complete_state(state, self.manifest, self.members, self._dtype)
        self._keeps_best = "best_loss" in full
        full.setdefault("best_loss", np.full(self.members, np.inf, self._dtype))
        full.setdefault("best_epoch", np.full(self.members, -1, np.int32))

        def vector(section: str) -> Any:
            return self._layout.vector({name: full[f"{section}/{name}"] for name in self.manifest})

        kept: Any = vector("best" if self._keeps_best else "parameters"), full["best_loss"], full["best_epoch"]
        arrays: Any = *map(vector, SECTIONS), full["step"], full["epoch"], Best(*kept)
        with self._width():
            self._carries = [self._put(own, self._placement.members()) for own in self._split(Carry(*arrays))]

    def close(self) -> None:
        """Give the devices back."""
        self._loan.give_back()

    def _build(self, keep_best: str | None) -> Programs:
        """Return this model's programs for this placement: built once, for all threads."""
        with BUILDING:
            return build_programs(*self._definition, self._placement, keep_best, self._cache)

    def _look(self, program: str, *arrays: np.ndarray) -> Any:
        """Run a program on the parameters of every member and these arrays."""
        with self._width():
            shared = self._put(arrays)
            run: Program = getattr(self._programs, program)
            compiled = run.ready(self.seconds, self._carries[0].parameters, *shared)
            with self._loan.turn():
                return self._join([compiled(carry.parameters, *shared) for carry in self._carries])

    def _width(self) -> AbstractContextManager[Any]:
        return jax.enable_x64(True) if self._dtype == "float64" else nullcontext()

    def _put(self, tree: Any, shardings: Any = None) -> Any:
        """Return the arrays on their devices, by default whole on each; floats get the population's dtype."""

        def cast(leaf: Any) -> np.ndarray:
            array = np.asarray(leaf)
            return array.astype(self._dtype) if array.dtype.kind == "f" else array

        return self._placement.put(jax.tree.map(cast, tree), shardings or self._placement.shared())

    def _schedule(self, arrays: tuple[Any, ...]) -> Schedule:
        """Return a schedule on its devices, each batch padded and divided evenly along `data`."""
        rows, weights, *rates = arrays
        parts = self._placement.mesh.shape["data"]
        even = -(-rows.shape[-1] // parts) * parts
        padded = filled(rows, even, axis=-1), filled(weights, even, axis=-1), *rates
        batches, whole = self._placement.members(None, None, "data"), self._placement.members()
        return Schedule(*self._put(padded, (batches, batches, whole, whole)))

    def _rows(self, data: Dataset, *, whole: bool) -> tuple[jax.Array, jax.Array]:
        """Return a dataset on its devices, whole or divided along `data` if that is even; it is moved once."""
        key = id(data), whole
        if key not in self._placed:
            divided = not whole and len(data) % self._placement.mesh.shape["data"] == 0
            axes = ("data",) if divided else ()
            self._placed[key] = data, self._put((data.x, data.y), self._placement.shared(*axes))
        return self._placed[key][1]

    def _split(self, tree: Any) -> list[Any]:
        """Return the arrays with a leading member axis as they are if members are stacked, else each member's part."""
        if self._placement.stacked:
            return [tree]
        return [jax.tree.map(itemgetter(member), tree) for member in range(self.members)]

    def _join(self, parts: Any) -> Any:
        """Return the parts of `_split` as NumPy arrays with a leading member axis."""
        parts = self._placement.fetch(list(parts))
        return parts[0] if self._placement.stacked else jax.tree.map(lambda *arrays: np.stack(arrays), *parts)


def filled(array: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Return the array padded along an axis with zeros: row 0 with weight 0."""
    if array.shape[axis] == length:
        return array
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, length - array.shape[axis])
    return np.pad(array, widths)


@contextmanager
def timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    """Add the time inside to seconds[what]."""
    start = time.perf_counter()
    yield
    seconds[what] += time.perf_counter() - start
