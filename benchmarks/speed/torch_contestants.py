"""The contestants in torch that are not this project's engine, on the same model classes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn import functional

import torchtx.programs
from coretx.models.spec import InputShape, ModelSpec
from coretx.tasks.sampling import Dataset
from coretx.training.backend import ModelAccess, State
from torchtx.access import manifest, stacked
from torchtx.models.registry import MODELS
from torchtx.programs import loss_and_correct, split_sums

AdamW = torch.optim.AdamW


def choose_adamw(optimizer: str) -> None:
    """Let torchtx, which builds torch.optim.AdamW under that name, get this implementation in this process."""

    class Chosen(AdamW):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs, **chosen(optimizer))

    torch.optim.AdamW = Chosen


def chosen(optimizer: str) -> dict[str, bool]:
    """Return the argument that makes torch.optim.AdamW take one of its implementations."""
    return {} if optimizer == "default" else {optimizer: True}


def compile_losses() -> None:
    """Put torch.compile around the loss of torchtx's steps, with its backward pass, and around that of its splits.

    Of the ways tried the fastest: 1.1 (multilayer_transformer) and 1.3 (logreg) times as fast as the model alone.
    """
    torchtx.programs.weighted_loss = torch.compile(torchtx.programs.weighted_loss, dynamic=False)
    torchtx.programs.split_sums = torch.compile(torchtx.programs.split_sums, dynamic=False)


class Members(ModelAccess):
    """The members' models with their initial weights; what trains them comes with the subclass."""

    def __init__(self, spec: ModelSpec, shape: InputShape, members: int) -> None:
        self.members = members
        self.seconds = {"compile": 0.0, "train": 0.0}
        self.spec = spec
        self.models = [MODELS[type(spec.architecture)](spec.architecture, shape) for _ in range(members)]
        self.manifest = manifest(self.models[0])
        self.attends = bool(attention_scores(self.models[0], torch.zeros(1, *shape)))

    def load_state(self, state: State) -> None:
        """Take over the initial parameters."""
        with torch.no_grad():
            for i, model in enumerate(self.models):
                for name, parameter in model.named_parameters():
                    parameter.copy_(torch.from_numpy(state[f"parameters/{name}"][i]))

    def adamw(self, parameters: Any, **options: Any) -> torch.optim.AdamW:
        """Return AdamW with the spec's constants."""
        constants = self.spec.optimizer
        return AdamW(parameters, betas=(constants.b1, constants.b2), eps=constants.eps, **options)


def set_rates(adam: torch.optim.AdamW, learning_rate: float, weight_decay: float) -> None:
    """Give the optimizer an epoch's numbers."""
    for group in adam.param_groups:
        group["lr"], group["weight_decay"] = float(learning_rate), float(weight_decay)


class Ensemble(Members):
    """All members in one program: torch's own recipe for ensembles, with gradients."""

    def __init__(self, spec: ModelSpec, shape: InputShape, members: int, optimizer: str) -> None:
        super().__init__(spec, shape, members)
        self._options = chosen(optimizer)
        self._step = vmap(grad_and_value(self._loss, has_aux=True))
        self._sums = vmap(self._splits, in_dims=(0, None))
        self._scores = vmap(self._attention, in_dims=(0, None))

    def load_state(self, state: State) -> None:
        super().load_state(state)
        self._parameters, _ = stack_module_state(self.models)
        self._adam = self.adamw(self._parameters.values(), **self._options)

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
        """Train all members together; their rates must be equal, since one optimizer serves them."""
        if np.ptp(learning_rate, axis=0).any() or np.ptp(weight_decay):
            raise ValueError("the ensemble has one optimizer: its members must have equal rates")
        data = torch.from_numpy(train.x), torch.from_numpy(train.y)
        splits = {name: (torch.from_numpy(split.x), torch.from_numpy(split.y)) for name, split in evaluate.items()}
        index, weight = torch.from_numpy(rows).long(), torch.from_numpy(weights)
        history = []
        for epoch in range(rows.shape[1]):
            set_rates(self._adam, learning_rate[0, epoch], weight_decay[0])
            history.append(self._epoch(data, index[:, epoch], weight[:, epoch]) | self._evaluate(data[0], splits))
        return {name: torch.stack([epoch[name] for epoch in history], dim=1).numpy() for name in history[0]}

    def _epoch(
        self,
        data: tuple[Tensor, Tensor],
        rows: Int[Tensor, "member step batch"],
        weights: Float[Tensor, "member step batch"],
    ) -> dict[str, Float[Tensor, " member"]]:
        totals: dict[str, Tensor] = {}
        for step in range(rows.shape[1]):
            batch = rows[:, step]
            gradients, (_, sums) = self._step(self._detached(), data[0][batch], data[1][batch], weights[:, step])
            for name, parameter in self._parameters.items():
                parameter.grad = gradients[name]
            self._adam.step()
            squares = [gradient.flatten(1).square().sum(1) for gradient in gradients.values()]
            head = self._parameters["head.weight"].detach()
            sums |= {
                "grad_norm_sum": torch.stack(squares).sum(0).sqrt(),
                "weight_norm_sum": head.flatten(1).norm(dim=1),
            }
            for name, value in (sums | {"steps": torch.ones(self.members)}).items():
                totals[name] = totals.get(name, 0) + value
        return {f"train/{name}": total for name, total in totals.items()}

    def _evaluate(self, x: Tensor, splits: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Float[Tensor, " member"]]:
        parameters = self._detached()
        with torch.no_grad():
            measured = self._sums(parameters, splits)
            if self.attends:
                measured |= {f"attention/{name}": value for name, value in self._scores(parameters, x).items()}
        return measured

    def _detached(self) -> dict[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self._parameters.items()}

    def _loss(self, parameters: dict[str, Tensor], x: Tensor, y: Tensor, weight: Tensor) -> tuple[Tensor, Any]:
        sums = loss_and_correct(functional_call(self.models[0], parameters, (x,)), y, weight)
        return sums["loss_sum"] / sums["count"], sums

    def _splits(self, parameters: dict[str, Tensor], splits: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        return split_sums(lambda x: functional_call(self.models[0], parameters, (x,)), splits)

    def _attention(self, parameters: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
        return score_sums(*attention_scores(lambda *inputs: functional_call(self.models[0], parameters, inputs), x))


def attention_scores(model: Callable[..., Tensor], x: Float[Tensor, "n time feature"]) -> list[Tensor]:
    """Return the first attention layer's pre-softmax scores in a list, which is empty for a model without attention."""
    notes: dict[str, Tensor] = {}
    model(x, notes.__setitem__)
    return [value for name, value in notes.items() if name.endswith("attention.logits")][:1]


def score_sums(scores: Float[Tensor, "n head query key"]) -> dict[str, Float[Tensor, ""]]:
    """Return the mergeable sums over attention scores that an engine reports."""
    return {
        "count": torch.full_like(scores.sum(), float(scores.numel())),
        "sum": scores.sum(),
        "squares": (scores - scores.mean()).square().sum(),
        "maxabs": scores.abs().max(),
    }


class Original(Members):
    """What the original did in each step: loss, accuracy, gradient norm and weights come to Python as numbers.

    After each epoch a pass over train for the attention scores, and one over test. Members one after the other.
    """

    def load_state(self, state: State) -> None:
        super().load_state(state)
        self._adams = [self.adamw(model.parameters()) for model in self.models]

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
        """Train the members one after the other."""
        data = torch.from_numpy(train.x), torch.from_numpy(train.y)
        splits = {name: (torch.from_numpy(split.x), torch.from_numpy(split.y)) for name, split in evaluate.items()}
        members = []
        for i, (model, adam) in enumerate(zip(self.models, self._adams, strict=True)):
            history = []
            for epoch, rate in enumerate(learning_rate[i]):
                set_rates(adam, rate, weight_decay[i])
                # Its last batch was smaller: no row of weight 0.
                batches = [row[kept > 0] for row, kept in zip(rows[i, epoch], weights[i, epoch], strict=True)]
                measured = original_epoch(model, adam, data, batches)
                if self.attends:
                    measured |= original_attention(model, data[0])
                history.append(measured | original_evaluation(model, splits))
            members.append({name: np.array([epoch[name] for epoch in history]) for name in history[0]})
        return stacked(members)


def original_epoch(
    model: nn.Module,
    adam: torch.optim.AdamW,
    data: tuple[Tensor, Tensor],
    batches: list[Int[np.ndarray, " batch"]],
) -> dict[str, float]:
    """Take every step of an epoch and return sums over its batches."""
    totals = dict.fromkeys(("loss_sum", "correct", "count", "grad_norm_sum", "weight_norm_sum", "steps"), 0.0)
    head_weights, head_biases = [], []
    for rows in batches:
        x, y = data[0][rows], data[1][rows]
        adam.zero_grad()
        logits = model(x)
        loss = functional.binary_cross_entropy_with_logits(logits, y)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
        adam.step()
        totals["loss_sum"] += loss.item() * len(y)
        totals["correct"] += ((logits > 0) == (y > 0.5)).sum().item()
        totals["count"] += len(y)
        totals["grad_norm_sum"] += norm.item()
        weight, bias = (model.get_parameter(f"head.{name}").detach() for name in ("weight", "bias"))
        totals["weight_norm_sum"] += weight.norm().item()
        totals["steps"] += 1
        head_weights.append(weight.clone())
        head_biases.append(bias.clone())
    torch.stack(head_weights).mean(0).flatten().tolist()  # what its weight and bias panels were drawn from
    torch.stack(head_biases).mean(0).flatten().tolist()
    return {f"train/{name}": total for name, total in totals.items()}


@torch.no_grad()
def original_attention(model: nn.Module, x: Tensor) -> dict[str, float]:
    """Pass over train for the attention scores."""
    return {f"attention/{name}": value.item() for name, value in score_sums(*attention_scores(model, x)).items()}


@torch.no_grad()
def original_evaluation(model: nn.Module, splits: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Pass over every split but train for its loss and accuracy."""
    measured = {}
    for split, (x, y) in splits.items():
        logits = model(x)
        loss = functional.binary_cross_entropy_with_logits(logits, y).item()
        correct = ((logits > 0) == (y > 0.5)).sum().item()
        measured |= {f"{split}/loss_sum": loss * len(y), f"{split}/correct": correct, f"{split}/count": len(y)}
    return measured
