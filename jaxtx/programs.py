"""The compiled programs: a chunk of training, and the passes over a trained model.

Each is a pure function of one member, built once per (model class, architecture, input shape) and compiled once per
argument shapes. Data, batches and the optimizer's numbers are arguments, never constants.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import NamedSharding
from jaxtyping import Array, Float, Int

from coretx import targets
from coretx.models.spec import InputShape
from jaxtx.blocks import gradient_in_blocks, in_blocks, is_small, join, pool, rows_measured, rows_trained
from jaxtx.compilation import Once, Program
from jaxtx.members import Adam, Best, Carry, Rows, Schedule
from jaxtx.parameters import Layout, layout
from jaxtx.placement import Placement
from jaxtx.settings import JaxCache


class Programs(NamedTuple):
    """All programs of one model on one input shape."""

    layout: Layout
    train: Program
    logits: Program
    intermediates: Program
    gradients: Program
    explain: Program


@cache
def build_programs(
    model_class: type[nnx.Module],
    architecture: Any,
    shape: InputShape,
    placement: Placement,
    keep_best: str | None,
    cache: JaxCache | None,
) -> Programs:
    """Return the programs of a model; if members are stacked, all arrays but the data have a leading member axis."""
    model = layout(model_class, architecture, shape, placement.one_cpu)

    def member(
        function: Callable[..., Any], own: int, shared: int, donate: tuple[int, ...] = (), once: Once = False
    ) -> Program:
        """Return a function of `own` arguments of one member, then of `shared` arguments, as a program."""
        if placement.stacked:
            function = jax.vmap(function, in_axes=(0,) * own + (None,) * shared)
        return program(function, placement.members(), donate, once)

    def program(
        function: Callable[..., Any], out: NamedSharding, donate: tuple[int, ...] = (), once: Once = False
    ) -> Program:
        jitted = jax.jit(function, donate_argnums=donate, out_shardings=out, keep_unused=True)
        return Program(jitted, placement.precision, once, cache)

    def logits(parameters: Float[Array, " parameter"], x: Float[Array, "n time feature"]) -> Float[Array, " n"]:
        return in_blocks(model.model(model.split(parameters)), x, join, rows_measured(model))

    def intermediates(parameters: Float[Array, " parameter"], x: Float[Array, "n time feature"]) -> tuple[Array, ...]:
        return tuple(model.forward(model.split(parameters), x)[1].values())

    def gradients(
        parameters: Float[Array, " parameter"],
        x: Float[Array, "n time feature"],
        y: Float[Array, " n"],
        weight: Float[Array, " n"],
    ) -> Float[Array, " parameter"]:
        return model.join(
            jax.grad(weighted_loss, argnums=1, has_aux=True)(model, model.split(parameters), x, y, weight)[0]
        )

    def explain(
        parameters: Float[Array, "*member parameter"], chosen: Int[Array, ""], x: Float[Array, "n time feature"]
    ) -> tuple[Float[Array, "n time feature"], tuple[Array, ...]]:
        tensors = model.split(parameters[chosen] if placement.stacked else parameters)

        def answer(x: Float[Array, "n time feature"]) -> tuple[Float[Array, ""], tuple[Array, ...]]:
            logits, notes = model.forward(tensors, x)
            return logits.sum(), tuple(notes[name] for name in model.notes_named("attention.weights"))

        return jax.grad(answer, has_aux=True)(x)

    def train(
        carry: Carry, schedule: Schedule, adam: Adam, epochs: Int[Array, ""], data: Rows, evaluate: Mapping[str, Rows]
    ) -> tuple[Carry, Float[Array, "quantity epoch"]]:
        return train_chunk(model, carry, schedule, adam, epochs, data, evaluate, keep_best)

    return Programs(
        model,
        train=member(train, own=2, shared=4, donate=(0,)),
        logits=member(logits, own=1, shared=1, once=partial(is_small, model)),
        intermediates=member(intermediates, own=1, shared=1),
        gradients=member(gradients, own=1, shared=3),
        explain=program(explain, placement.shared(), once=True),
    )


def weighted_loss(
    model: Layout,
    tensors: tuple[Array, ...],
    x: Float[Array, "batch time feature"],
    y: Float[Array, " batch"],
    weight: Float[Array, " batch"],
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Return the weighted mean of the binary cross-entropy, and the sums behind it."""
    logits = model.model(tensors)(x)
    sums = loss_and_correct(logits, y, weight)
    return sums["loss_sum"] / sums["count"], sums


def loss_and_correct(
    logits: Float[Array, " batch"], y: Float[Array, " batch"], weight: Float[Array, " batch"]
) -> dict[str, Float[Array, ""]]:
    """Return weighted sums over rows: binary cross-entropy in nats, right answers (class 1 when logit > 0), weight."""
    losses = optax.sigmoid_binary_cross_entropy(logits, y)
    correct = targets.right(logits, y).astype(weight.dtype)
    return {"loss_sum": (weight * losses).sum(), "correct": (weight * correct).sum(), "count": weight.sum()}


SUMS = ("loss_sum", "correct", "count")


def quantities(evaluate: Iterable[str], *, attends: bool) -> list[str]:
    """Return the names of an epoch's sums. The splits are sorted by name, as jax sorts the keys of a dict."""
    train = [f"train/{name}" for name in (*SUMS, "grad_norm_sum", "weight_norm_sum", "steps")]
    splits = [f"{split}/{name}" for split in sorted(evaluate) for name in SUMS]
    return train + splits + [f"attention/{name}" for name in ("count", "sum", "squares", "maxabs") if attends]


def train_chunk(
    model: Layout,
    carry: Carry,
    schedule: Schedule,
    adam: Adam,
    epochs: Int[Array, ""],
    data: Rows,
    evaluate: Mapping[str, Rows],
    keep_best: str | None,
) -> tuple[Carry, Float[Array, "quantity epoch"]]:
    """Train the first epochs of a schedule, measure each and keep the best; later entries of the sums are 0.

    `epochs` is an argument, so that one program also serves the last and shorter chunk.
    """
    names = quantities(evaluate, attends=bool(model.notes_named("attention.logits")))

    def one_epoch(
        i: Int[Array, ""], state: tuple[Carry, dict[str, Float[Array, " epoch"]]]
    ) -> tuple[Carry, dict[str, Float[Array, " epoch"]]]:
        carry, history = state
        carry, measured = train_epoch(model, carry, schedule, i, adam, data)
        tensors = model.split(carry.parameters)
        measured |= split_sums(model, tensors, evaluate)
        measured |= prefixed("attention", attention_sums(model, tensors, data[0]))
        if keep_best is not None:
            loss = measured[f"{keep_best}/loss_sum"] / measured[f"{keep_best}/count"]
            carry = carry._replace(best=keep_better(carry.best, Best(carry.parameters, loss, carry.epoch)))
        history = {name: history[name].at[i].set(measured[name]) for name in names}
        return carry._replace(epoch=carry.epoch + 1), history

    zeros = jnp.zeros(len(schedule.learning_rate), carry.parameters.dtype)
    carry, history = jax.lax.fori_loop(0, epochs, one_epoch, (carry, dict.fromkeys(names, zeros)))
    return carry, jnp.stack([history[name] for name in names])


def keep_better(best: Best, now: Best) -> Best:
    """Return the epoch of now where its loss is below that of all before it."""
    return jax.tree.map(partial(jnp.where, now.loss < best.loss), now, best)


def train_epoch(
    model: Layout,
    carry: Carry,
    schedule: Schedule,
    epoch: Int[Array, ""] | int,
    adam: Adam,
    data: Rows,
) -> tuple[Carry, dict[str, Float[Array, ""]]]:
    """Take every step of one epoch and return sums over its batches.

    AdamW: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2.
    """
    learning_rate, head = schedule.learning_rate[epoch], model["head.weight"].span

    def step(
        carry: Carry, batch: tuple[Int[Array, " batch"], Float[Array, " batch"]]
    ) -> tuple[Carry, dict[str, Array]]:
        rows, weight = batch
        tensors, sums = batch_gradient(model, model.split(carry.parameters), data[0][rows], data[1][rows], weight)
        gradients = model.join(tensors)
        first = adam.b1 * carry.first_moment + adam.rest1 * gradients
        second = adam.b2 * carry.second_moment + adam.rest2 * gradients**2
        unbiased1 = -jnp.expm1((carry.step + 1) * adam.log_b1)  # 1 - b1^t
        unbiased2 = -jnp.expm1((carry.step + 1) * adam.log_b2)
        direction = (first / unbiased1) / (jnp.sqrt(second / unbiased2) + adam.eps)
        decayed = direction + schedule.weight_decay * carry.parameters
        parameters = carry.parameters - learning_rate * decayed
        norms = {"grad_norm_sum": jnp.linalg.norm(gradients), "weight_norm_sum": jnp.linalg.norm(parameters[head])}
        carry = carry._replace(parameters=parameters, first_moment=first, second_moment=second, step=carry.step + 1)
        return carry, sums | norms | {"steps": jnp.ones_like(weight[0])}

    carry, measured = jax.lax.scan(step, carry, (schedule.rows[epoch], schedule.weights[epoch]))
    return carry, {f"train/{name}": values.sum() for name, values in measured.items()}


def batch_gradient(
    model: Layout,
    tensors: tuple[Array, ...],
    x: Float[Array, "batch time feature"],
    y: Float[Array, " batch"],
    weight: Float[Array, " batch"],
) -> tuple[tuple[Array, ...], dict[str, Float[Array, ""]]]:
    """Return the gradient of the weighted mean loss, and its sums: in blocks if the batch exceeds a CPU's cache."""
    size = rows_trained(model, len(x))
    if size == len(x):
        (_, sums), gradient = jax.value_and_grad(weighted_loss, argnums=1, has_aux=True)(model, tensors, x, y, weight)
        return gradient, sums

    def block(
        tensors: tuple[Array, ...], x: Array, y: Array, weight: Array
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        sums = loss_and_correct(model.model(tensors)(x), y, weight)
        return sums["loss_sum"], sums

    gradient, sums = gradient_in_blocks(block, tensors, (x, y, weight), size)
    return tuple(part / sums["count"] for part in gradient), sums


def split_sums(model: Layout, tensors: tuple[Array, ...], evaluate: Mapping[str, Rows]) -> dict[str, Float[Array, ""]]:
    """Return loss and right answers over all rows of each split, from one pass over all of them."""
    if not evaluate:
        return {}
    x, y = (jnp.concatenate(parts) for parts in zip(*evaluate.values(), strict=True))
    logits = in_blocks(model.model(tensors), x, join, rows_measured(model))
    measured, first = {}, 0
    for split, (_, labels) in evaluate.items():
        rows = slice(first, first := first + len(labels))
        measured |= prefixed(split, loss_and_correct(logits[rows], y[rows], jnp.ones_like(labels)))
    return measured


def attention_sums(
    model: Layout, tensors: tuple[Array, ...], x: Float[Array, "n time feature"]
) -> dict[str, Float[Array, ""]]:
    """Return mergeable sums over the first attention layer's pre-softmax scores; nothing for a model without one."""
    names = model.notes_named("attention.logits")
    if not names:
        return {}

    def sums(x: Float[Array, "n time feature"]) -> dict[str, Float[Array, ""]]:
        scores = model.forward(tensors, x)[1][names[0]]
        centred = scores - scores.mean()
        return {
            "count": jnp.asarray(scores.size, scores.dtype),
            "sum": scores.sum(),
            "squares": (centred * centred).sum(),
            "maxabs": jnp.abs(scores).max(),
        }

    return in_blocks(sums, x, pool, rows_measured(model))


def prefixed(prefix: str, sums: dict[str, Array]) -> dict[str, Array]:
    """Return the sums under `<prefix>/<name>`."""
    return {f"{prefix}/{name}": value for name, value in sums.items()}
