"""The torch engine as it was at commit 14133d0, on a CPU: the contestant that every ratio is to.

A copy of its models and of its training, line for line, so that no change of torchtx moves a ratio: it imports nothing
of torchtx, and is not to be improved. Left out is what a measurement never asks for: other devices and float types,
gradients, explanations, and the intermediates but for attention's scores.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from coretx.models import architectures
from coretx.models.positions import sinusoids
from coretx.models.spec import InputShape, ModelSpec
from coretx.tasks.sampling import Dataset
from coretx.training.backend import ModelAccess

Note = Callable[[str, Tensor], None]
Rows = tuple[Tensor, Tensor]
"""Inputs [n, time, feature] and labels [n]."""
STEPS_PER_BLOCK = 65_536
"""Steps of all rows in one pass without gradients, at most."""


def silent(name: str, value: Tensor) -> None:
    """Note nothing: the default while training."""


def scaled_dot_product(
    query: Float[Tensor, "batch query head head_dim"],
    key: Float[Tensor, "batch key head head_dim"],
    value: Float[Tensor, "batch key head value_dim"],
    note: Note,
) -> Float[Tensor, "batch query head value_dim"]:
    """Return softmax(q k^T / sqrt(head_dim)) v."""
    logits = torch.einsum("bqhd,bkhd->bhqk", query, key) / key.shape[-1] ** 0.5
    note("attention.logits", logits)
    weights = torch.softmax(logits, dim=-1)
    return torch.einsum("bhqk,bkhd->bqhd", weights, value)


class Attention(nn.Module):
    """Multi-head attention; the heads are concatenated, with no output projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor, note: Note = silent) -> Float[Tensor, "batch query width"]:
        split = (self.heads, queries.shape[-1] // self.heads)
        query = self.query(queries).reshape(*queries.shape[:-1], *split)
        key = self.key(keys).reshape(*keys.shape[:-1], *split)
        value = self.value(keys).reshape(*keys.shape[:-1], *split)
        return scaled_dot_product(query, key, value, note).reshape(queries.shape)


def prepend(cls: Float[Tensor, " width"], x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time+1 width"]:
    """Return x with the vector cls as a new first step."""
    return torch.cat([cls.expand(x.shape[0], 1, x.shape[2]), x], dim=1)


def add_positions(x: Float[Tensor, "batch time width"], scale: float) -> Float[Tensor, "batch time width"]:
    """Return x plus scaled sinusoids, the first step at position 0."""
    return x + torch.as_tensor(scale * sinusoids(*x.shape[1:]), dtype=x.dtype, device=x.device)[None]


class LogisticRegression(nn.Module):
    def __init__(self, spec: architectures.LogisticRegression, shape: InputShape) -> None:
        super().__init__()
        self.head = nn.Linear(shape.time * shape.feature, 1)

    def forward(self, x: Tensor, note: Note = silent) -> Float[Tensor, " batch"]:
        return self.head(x.reshape(x.shape[0], -1))[:, 0]


class MLP(nn.Module):
    def __init__(self, spec: architectures.MLP, shape: InputShape) -> None:
        super().__init__()
        self.hidden = nn.Linear(shape.time * shape.feature, spec.width)
        self.head = nn.Linear(spec.width, 1)

    def forward(self, x: Tensor, note: Note = silent) -> Float[Tensor, " batch"]:
        return self.head(torch.tanh(self.hidden(x.reshape(x.shape[0], -1))))[:, 0]


class Temporal(nn.Module):
    def __init__(self, spec: architectures.Temporal, shape: InputShape) -> None:
        super().__init__()
        self.embed = nn.Linear(shape.feature, spec.width)
        self.head = nn.Linear(shape.time, 1)

    def forward(self, x: Tensor, note: Note = silent) -> Float[Tensor, " batch"]:
        return self.head(torch.tanh(self.embed(x)).mean(dim=2))[:, 0]


class SelfAttention(nn.Module):
    def __init__(self, spec: architectures.SelfAttention, shape: InputShape) -> None:
        super().__init__()
        self.embed = nn.Linear(shape.feature, spec.width)
        self.mix = nn.Linear(spec.width, spec.width)
        self.head = nn.Linear(spec.width, 1)

    def forward(self, x: Tensor, note: Note = silent) -> Float[Tensor, " batch"]:
        heads = torch.tanh(self.embed(x))[:, :, None, :]  # [batch, time, 1, width]: one head
        attended = scaled_dot_product(heads, heads, heads, note)[:, :, 0, :]
        return self.head(torch.tanh(self.mix(attended)).mean(dim=1))[:, 0]


class SingleLayerTransformer(nn.Module):
    def __init__(self, spec: architectures.SingleLayerTransformer, shape: InputShape) -> None:
        super().__init__()
        self.position_scale = spec.position_scale
        self.cls = nn.Parameter(torch.zeros(shape.feature))
        self.embed = nn.Linear(shape.feature, spec.width)
        self.attention = Attention(spec.width, heads=1)
        self.mix = nn.Linear(spec.width, spec.width)
        self.head = nn.Linear(spec.width, 1)

    def forward(self, x: Tensor, note: Note = silent) -> Float[Tensor, " batch"]:
        hidden = self.embed(add_positions(prepend(self.cls, x), self.position_scale))
        attended = self.attention(hidden, hidden, note)
        return self.head(torch.tanh(self.mix(attended[:, 0])))[:, 0]


class BahdanauAttention(nn.Module):
    def __init__(self, spec: architectures.BahdanauAttention, shape: InputShape) -> None:
        super().__init__()
        self.embed = nn.Linear(shape.feature, spec.width)
        self.mix = nn.Linear(spec.width, spec.width)
        self.head = nn.Linear(spec.width, 1)

    def forward(self, x: Tensor, note: Note = silent) -> Float[Tensor, " batch"]:
        hidden = torch.tanh(self.embed(x))
        logits = hidden.mean(dim=2)[:, None, None, :]  # [batch, head, query, key]: one head, one query
        note("attention.logits", logits)
        weights = torch.softmax(logits, dim=-1)
        attended = torch.einsum("bk,bkd->bd", weights[:, 0, 0], torch.tanh(self.mix(hidden)))
        return self.head(attended)[:, 0]


class Block(nn.Module):
    def __init__(self, spec: architectures.MultiLayerTransformer) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(spec.width)
        self.attention = Attention(spec.width, spec.heads)
        self.feedforward_norm = nn.LayerNorm(spec.width)
        self.expand = nn.Linear(spec.width, spec.feedforward)
        self.contract = nn.Linear(spec.feedforward, spec.width)

    def forward(self, x: Tensor, queries: int, note: Note = silent) -> Float[Tensor, "batch query width"]:
        normed = self.attention_norm(x)
        x = x[:, :queries] + self.attention(normed[:, :queries], normed, note)
        return x + self.contract(functional.gelu(self.expand(self.feedforward_norm(x)), approximate="none"))


class MultiLayerTransformer(nn.Module):
    def __init__(self, spec: architectures.MultiLayerTransformer, shape: InputShape) -> None:
        super().__init__()
        self.position_scale = spec.position_scale
        self.embed = nn.Linear(shape.feature, spec.width)
        self.cls = nn.Parameter(torch.zeros(spec.width))
        self.blocks = nn.ModuleList([Block(spec) for _ in range(spec.depth)])
        self.head = nn.Linear(spec.width, 1)

    def forward(self, x: Tensor, note: Note = silent) -> Float[Tensor, " batch"]:
        x = add_positions(prepend(self.cls, self.embed(x)), self.position_scale)
        for i, block in enumerate(self.blocks):
            x = block(x, 1 if i == len(self.blocks) - 1 else x.shape[1], note)
        return self.head(x[:, 0])[:, 0]


MODELS: Mapping[type, Callable[[Any, InputShape], nn.Module]] = {
    architectures.LogisticRegression: LogisticRegression,
    architectures.MLP: MLP,
    architectures.Temporal: Temporal,
    architectures.SelfAttention: SelfAttention,
    architectures.SingleLayerTransformer: SingleLayerTransformer,
    architectures.BahdanauAttention: BahdanauAttention,
    architectures.MultiLayerTransformer: MultiLayerTransformer,
}


class FrozenTorch(ModelAccess):
    """A population of one member, as far as `coretx.training.loop` needs it to train."""

    members = 1

    def __init__(self, spec: ModelSpec, shape: InputShape, optimizer: str = "default") -> None:
        self.seconds = {"compile": 0.0, "train": 0.0}
        self.model = MODELS[type(spec.architecture)](spec.architecture, shape)
        self.manifest = {name: tuple(value.shape) for name, value in sorted(self.model.named_parameters())}
        self._constants = spec.optimizer
        self._implementation = {} if optimizer == "default" else {optimizer: True}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over initial parameters, with a fresh optimizer."""
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(torch.from_numpy(state[f"parameters/{name}"][0]))
        betas = self._constants.b1, self._constants.b2
        parameters = self.model.parameters()
        self._adam = torch.optim.AdamW(parameters, betas=betas, eps=self._constants.eps, **self._implementation)
        self._best_loss = torch.tensor(torch.inf)

    def state(self) -> dict[str, np.ndarray]:
        """Return the parameters."""
        return {f"parameters/{name}": value.detach().numpy()[None] for name, value in self.model.named_parameters()}

    def train(
        self,
        train: Dataset,
        evaluate: Mapping[str, Dataset],
        *,
        rows: Int[np.ndarray, "1 epoch step batch"],
        weights: Float[np.ndarray, "1 epoch step batch"],
        learning_rate: Float[np.ndarray, "1 epoch"],
        weight_decay: Float[np.ndarray, " 1"],
        keep_best: str | None = None,
    ) -> dict[str, Float[np.ndarray, "1 epoch"]]:
        """Train a chunk of epochs and return sums and counts by epoch."""
        data, splits = _rows(train), {name: _rows(split) for name, split in evaluate.items()}
        decay, history = torch.tensor(weight_decay[0]).float(), []
        schedule = torch.tensor(rows[0]), torch.tensor(weights[0]).float(), torch.tensor(learning_rate[0]).float()
        for batches, weight, rate in zip(*schedule, strict=True):
            for group in self._adam.param_groups:
                group["lr"], group["weight_decay"] = float(rate), float(decay)
            measured = self._epoch(data, batches, weight)
            with torch.no_grad():
                measured |= split_sums(self.model, splits)
                measured |= _prefixed("attention", attention_sums(self.model, data[0]))
                if keep_best is not None:
                    self._keep_better(measured[f"{keep_best}/loss_sum"] / measured[f"{keep_best}/count"])
            history.append(measured)
        return {name: torch.stack([epoch[name] for epoch in history]).numpy()[None] for name in history[0]}

    def _epoch(
        self, data: Rows, rows: Int[Tensor, "step batch"], weights: Float[Tensor, "step batch"]
    ) -> dict[str, Float[Tensor, ""]]:
        """Take every step of one epoch and return sums over its batches."""
        parameters, head = list(self.model.parameters()), self.model.get_parameter("head.weight")
        totals: dict[str, Tensor] = {}
        for batch, weight in zip(rows, weights, strict=True):
            self._adam.zero_grad()
            sums = loss_and_correct(self.model(data[0][batch]), data[1][batch], weight)
            (sums["loss_sum"] / sums["count"]).backward()
            self._adam.step()
            norms = {
                "grad_norm_sum": nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]),
                "weight_norm_sum": head.detach().norm(),
            }
            for name, value in (sums | norms | {"steps": torch.ones_like(weight[0])}).items():
                totals[name] = totals.get(name, 0) + value.detach()
        return _prefixed("train", totals)

    def _keep_better(self, loss: Float[Tensor, ""]) -> None:
        if loss < self._best_loss:
            self.best = {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}
            self._best_loss = loss


def loss_and_correct(
    logits: Float[Tensor, " batch"], y: Float[Tensor, " batch"], weight: Float[Tensor, " batch"]
) -> dict[str, Float[Tensor, ""]]:
    """Return weighted sums over rows: binary cross-entropy in nats, right answers, weight."""
    losses = functional.binary_cross_entropy_with_logits(logits, y, reduction="none")
    correct = ((logits > 0) == (y > 0.5)).to(weight.dtype)
    return {"loss_sum": (weight * losses).sum(), "correct": (weight * correct).sum(), "count": weight.sum()}


def split_sums(model: nn.Module, evaluate: Mapping[str, Rows]) -> dict[str, Float[Tensor, ""]]:
    """Return loss and right answers over all rows of each split, from one pass over all of them."""
    x, y = (torch.cat(parts) for parts in zip(*evaluate.values(), strict=True))
    logits = torch.cat([model(block) for block in _blocks(x)])
    measured, first = {}, 0
    for split, (_, labels) in evaluate.items():
        rows = slice(first, first := first + len(labels))
        measured |= _prefixed(split, loss_and_correct(logits[rows], y[rows], torch.ones_like(labels)))
    return measured


def attention_sums(model: nn.Module, x: Float[Tensor, "n time feature"]) -> dict[str, Float[Tensor, ""]]:
    """Return count, sum, squares about the mean and greatest size of the first attention layer's scores."""
    if not _scores(model, x[:1]):
        return {}
    parts = []
    for block in _blocks(x):
        (scores,) = _scores(model, block)
        centred = scores - scores.mean()
        count = torch.as_tensor(scores.numel(), dtype=scores.dtype)
        parts.append(torch.stack([count, scores.sum(), (centred * centred).sum(), scores.abs().max()]))
    count, total, squares, maxabs = torch.stack(parts, dim=1)
    away = total / count - total.sum() / count.sum()
    pooled = squares.sum() + (count * away * away).sum()
    return {"count": count.sum(), "sum": total.sum(), "squares": pooled, "maxabs": maxabs.max()}


def _scores(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Return the scores of the first attention layer, in a list that is empty for a model without one."""
    notes: dict[str, Tensor] = {}
    model(x, notes.setdefault)
    return list(notes.values())


def _blocks(x: Float[Tensor, "n time feature"]) -> tuple[Tensor, ...]:
    return x.split(max(STEPS_PER_BLOCK // x.shape[1], 1))


def _rows(data: Dataset) -> Rows:
    return torch.tensor(data.x), torch.tensor(data.y)


def _prefixed(prefix: str, sums: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": value for name, value in sums.items()}
