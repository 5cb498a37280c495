"""One live population in torch."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from coretx.errors import UsageError
from coretx.models.spec import InputShape, ModelSpec
from coretx.tasks.sampling import Dataset
from coretx.training.backend import SECTIONS, State, complete_state
from torchtx.blocks import in_blocks, join
from torchtx.members import Member, Rows, Schedule
from torchtx.programs import explain, forward, gradients, train_chunk
from torchtx.settings import own_settings


class TorchAccess:
    """R members of one model (see coretx.training.backend.ModelAccess), one after the other."""

    def __init__(
        self,
        model_class: type[nn.Module],
        spec: ModelSpec,
        shape: InputShape,
        members: int,
        *,
        dtype: str,
        device: torch.device,
        precision: str,
    ) -> None:
        self.members = members
        self.seconds = {"compile": 0.0, "train": 0.0}
        self._spec = spec
        self._dtype = dtype
        self._device = device
        self._settings: Callable[[], AbstractContextManager[None]] = partial(own_settings, device, precision)
        self._build: Callable[[], nn.Module] = lambda: model_class(spec.architecture, shape)
        with self._settings():
            self.manifest = manifest(self._build())
        self._lanes: list[Member] = []
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
        """Train a chunk of epochs and return sums and counts by member and epoch."""
        start = time.perf_counter()
        self._keeps_best = self._keeps_best or keep_best is not None
        data, splits = self._rows(train), {name: self._rows(split) for name, split in evaluate.items()}
        history = []
        with self._settings():
            for lane, *schedule in zip(self._lanes, rows, weights, learning_rate, weight_decay, strict=True):
                measured = train_chunk(lane, Schedule(*map(self._put, schedule)), data, splits, keep_best)
                history.append({name: value.numpy(force=True) for name, value in measured.items()})
        self.seconds["train"] += time.perf_counter() - start
        return stacked(history)

    def logits(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, "member n"]:
        """Return the logit of every row."""
        rows = (self._put(x),)
        with self._settings(), torch.no_grad():
            return np.stack([in_blocks(lane.model, rows, join).numpy(force=True) for lane in self._lanes])

    def intermediates(self, x: Float[np.ndarray, "n time feature"]) -> dict[str, Float[np.ndarray, "member n ..."]]:
        """Return every array that the forward pass notes."""
        with self._settings():
            notes = [forward(lane.model, self._put(x))[1] for lane in self._lanes]
        return stacked([{name: value.numpy(force=True) for name, value in note.items()} for note in notes])

    def gradients(
        self, x: Float[np.ndarray, "n time feature"], y: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
    ) -> dict[str, Float[np.ndarray, "member ..."]]:
        """Return the gradient of the weighted mean loss by parameter."""
        with self._settings():
            found = [gradients(lane.model, self._put(x), self._put(y), self._put(weight)) for lane in self._lanes]
        return stacked([{name: lane[name].numpy(force=True) for name in self.manifest} for lane in found])

    def explain(
        self, x: Float[np.ndarray, "n time feature"], member: int = 0
    ) -> tuple[Float[np.ndarray, "n time feature"], dict[str, Float[np.ndarray, "n head query key"]]]:
        """Return the gradient of each row's logit by that row, and the attention weights by layer, of one member."""
        with self._settings():
            slope, weights = explain(self._lanes[member].model, self._put(x))
        return slope.numpy(force=True), {name: value.numpy(force=True) for name, value in weights.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Return parameters, moments and counts, under canonical names."""
        return stacked([self._member_state(lane) for lane in self._lanes])

    def _member_state(self, lane: Member) -> dict[str, Any]:
        parameters = dict(lane.model.named_parameters())
        moments = {name: lane.optimizer.state[parameter] for name, parameter in parameters.items()}
        sections = {
            "parameters": parameters,
            "first_moment": {name: moment["exp_avg"] for name, moment in moments.items()},
            "second_moment": {name: moment["exp_avg_sq"] for name, moment in moments.items()},
        }
        step = int(next(iter(moments.values()))["step"])
        counts = {"step": np.int32(step), "epoch": np.int32(lane.epoch)}
        if self._keeps_best:
            sections["best"] = lane.best
            counts |= {"best_loss": lane.best_loss.numpy(force=True), "best_epoch": np.int32(lane.best_epoch)}
        named = {f"{section}/{name}": tensors[name] for section, tensors in sections.items() for name in self.manifest}
        return {name: value.numpy(force=True).copy() for name, value in named.items()} | counts

    def load_state(self, state: State) -> None:
        """Take over a state."""
        full = complete_state(state, self.manifest, self.members, self._dtype)
        self._keeps_best = "best_loss" in full
        with self._settings():
            self._lanes = [self._load_member(full, i) for i in range(self.members)]

    def close(self) -> None:
        """Give nothing back: there is one device, and nobody waits for it."""

    def _load_member(self, full: State, i: int) -> Member:
        optimizer = self._spec.optimizer
        model = self._build().to(dtype=getattr(torch, self._dtype), device=self._device).eval()
        parameters = dict(model.named_parameters())
        adam = torch.optim.AdamW(model.parameters(), betas=(optimizer.b1, optimizer.b2), eps=optimizer.eps)

        def section(name: str) -> dict[str, Tensor]:
            return {key: self._put(full[f"{name}/{key}"][i]) for key in self.manifest}

        values, first, second = map(section, SECTIONS)
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(values[name])
                step = torch.tensor(float(full["step"][i]))
                adam.state[parameter] = {"step": step, "exp_avg": first[name], "exp_avg_sq": second[name]}
        best = section("best") if self._keeps_best else values
        loss = full["best_loss"][i] if self._keeps_best else np.asarray(np.inf, self._dtype)
        epoch = int(full["best_epoch"][i]) if self._keeps_best else -1
        return Member(model, adam, int(full["epoch"][i]), best, torch.as_tensor(loss), epoch)

    def _rows(self, data: Dataset) -> Rows:
        return self._put(data.x), self._put(data.y)

    def _put(self, array: Any) -> Tensor:
        """Return a copy of the array on the device, floats in the population's dtype."""
        tensor = torch.tensor(np.array(array, order="C"), device=self._device)
        return tensor.to(getattr(torch, self._dtype)) if tensor.is_floating_point() else tensor


def manifest(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every parameter, by name. UsageError where the model holds what the core cannot name."""
    shapes = {name: tuple(parameter.shape) for name, parameter in sorted(model.named_parameters())}
    other = next((name for name, _ in model.named_buffers()), None)
    if other is not None:
        raise UsageError(f"{type(model).__name__} must hold parameters only; it also holds the buffer {other}")
    if "head.weight" not in shapes:
        raise UsageError(f"{type(model).__name__} must call its last linear layer `head`: its weight norm is logged")
    return shapes


def stacked(members: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Return the members' arrays with a leading member axis."""
    return {name: np.stack([member[name] for member in members]) for name in members[0]}
