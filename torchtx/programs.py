"""The passes over one member: a chunk of training, and those that look at a trained model. Eager and unhurried."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from coretx import targets
from torchtx.blocks import in_blocks, join, pool
from torchtx.members import Member, Rows, Schedule, training


def forward(
    model: nn.Module, x: Float[Tensor, "batch time feature"]
) -> tuple[Float[Tensor, " batch"], dict[str, Tensor]]:
    """Return the logits and every intermediate."""
    notes: dict[str, Tensor] = {}
    logits = model(x, notes.__setitem__)
    return logits, notes


def gradients(
    model: nn.Module,
    x: Float[Tensor, "batch time feature"],
    y: Float[Tensor, " batch"],
    weight: Float[Tensor, " batch"],
) -> dict[str, Tensor]:
    """Return the gradient of the weighted mean loss by parameter."""
    named = dict(model.named_parameters())
    loss, _ = weighted_loss(model, x, y, weight)
    return dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


def explain(
    model: nn.Module, x: Float[Tensor, "n time feature"]
) -> tuple[Float[Tensor, "n time feature"], dict[str, Tensor]]:
    """Return the gradient of each row's logit by that row, and the attention weights."""
    with torch.no_grad():
        notes = forward(model, x)[1]
    x = x.clone().requires_grad_()
    slope = torch.autograd.grad(model(x).sum(), x)[0]
    return slope, {name: value for name, value in notes.items() if name.endswith("attention.weights")}


def weighted_loss(
    model: nn.Module,
    x: Float[Tensor, "batch time feature"],
    y: Float[Tensor, " batch"],
    weight: Float[Tensor, " batch"],
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """Return the weighted mean of the binary cross-entropy, and the sums it is made of."""
    logits = model(x)
    sums = loss_and_correct(logits, y, weight)
    return sums["loss_sum"] / sums["count"], sums


def loss_and_correct(
    logits: Float[Tensor, " batch"], y: Float[Tensor, " batch"], weight: Float[Tensor, " batch"]
) -> dict[str, Float[Tensor, ""]]:
    """Return weighted sums over rows: binary cross-entropy in nats, right answers (class 1 when logit > 0), weight."""
    losses = functional.binary_cross_entropy_with_logits(logits, y, reduction="none")
    correct = targets.right(logits, y).to(weight.dtype)
    return {"loss_sum": (weight * losses).sum(), "correct": (weight * correct).sum(), "count": weight.sum()}


def train_chunk(
    member: Member, schedule: Schedule, data: Rows, evaluate: Mapping[str, Rows], keep_best: str | None
) -> dict[str, Float[Tensor, " epoch"]]:
    """Train an epoch for each learning rate of the schedule and return what each measured."""
    history = []
    for epoch in range(len(schedule.learning_rate)):
        with training(member.model):
            measured = train_epoch(member, schedule, epoch, data)
        with torch.no_grad():
            measured |= split_sums(member.model, evaluate)
            measured |= prefixed("attention", attention_sums(member.model, data[0]))
            if keep_best is not None:
                keep_better(member, measured[f"{keep_best}/loss_sum"] / measured[f"{keep_best}/count"])
        member.epoch += 1
        history.append(measured)
    return {name: torch.stack([measured[name] for measured in history]) for name in history[0]}


def train_epoch(member: Member, schedule: Schedule, epoch: int, data: Rows) -> dict[str, Float[Tensor, ""]]:
    """Take every step of one epoch and return sums over its batches."""
    parameters, head = list(member.model.parameters()), member.model.get_parameter("head.weight")
    for group in member.optimizer.param_groups:
        group["lr"] = float(schedule.learning_rate[epoch])
        group["weight_decay"] = float(schedule.weight_decay)
    totals: dict[str, Tensor] = {}
    for rows, weight in zip(schedule.rows[epoch], schedule.weights[epoch], strict=True):
        member.optimizer.zero_grad()
        loss, sums = weighted_loss(member.model, data[0][rows], data[1][rows], weight)
        loss.backward()
        member.optimizer.step()
        norms = {
            "grad_norm_sum": nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]),
            "weight_norm_sum": head.detach().norm(),
        }
        for name, value in (sums | norms | {"steps": torch.ones_like(weight[0])}).items():
            totals[name] = totals.get(name, 0) + value.detach()
    return prefixed("train", totals)


def split_sums(model: Callable[[Tensor], Tensor], evaluate: Mapping[str, Rows]) -> dict[str, Float[Tensor, ""]]:
    """Return loss and right answers over all rows of each split, from one pass over all of them."""
    if not evaluate:
        return {}
    x, y = (torch.cat(parts) for parts in zip(*evaluate.values(), strict=True))
    logits = in_blocks(model, (x,), join)
    measured, first = {}, 0
    for split, (_, labels) in evaluate.items():
        rows = slice(first, first := first + len(labels))
        measured |= prefixed(split, loss_and_correct(logits[rows], y[rows], torch.ones_like(labels)))
    return measured


def attention_sums(model: nn.Module, x: Float[Tensor, "n time feature"]) -> dict[str, Float[Tensor, ""]]:
    """Return mergeable sums over the first attention layer's pre-softmax scores; nothing for a model without one."""
    if not any(name.endswith("attention.logits") for name in forward(model, x[:1])[1]):
        return {}

    def sums(x: Float[Tensor, "n time feature"]) -> dict[str, Float[Tensor, ""]]:
        scores = next(value for name, value in forward(model, x)[1].items() if name.endswith("attention.logits"))
        centred = scores - scores.mean()
        return {
            "count": torch.as_tensor(scores.numel(), dtype=scores.dtype),
            "sum": scores.sum(),
            "squares": (centred * centred).sum(),
            "maxabs": scores.abs().max(),
        }

    return in_blocks(sums, (x,), pool)


def keep_better(member: Member, loss: Float[Tensor, ""]) -> None:
    """Keep this epoch's parameters as the best where its loss is below all before it."""
    if loss < member.best_loss:
        member.best = {name: parameter.detach().clone() for name, parameter in member.model.named_parameters()}
        member.best_loss = loss
        member.best_epoch = member.epoch


def prefixed(prefix: str, sums: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the sums under `<prefix>/<name>`."""
    return {f"{prefix}/{name}": value for name, value in sums.items()}
