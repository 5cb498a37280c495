"""Passes over blocks of rows: memory does not grow with n, and a CPU stays within its cache."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from coretx.training.batches import rows_per_block
from jaxtx.parameters import Layout

MEASURED_AT_ONCE, TRAINED_AT_ONCE = 2**22, 2**20
"""Numbers that a block and its intermediates may have on a CPU: 16 MB in float32 in a forward pass, 4 MB with its
gradient. Measured with multilayer_transformer at 64 to 512 steps and widths 32 and 256; see dev/LOG.md."""


def rows_measured(model: Layout) -> int:
    """Return the most rows that a pass without gradients takes at a time."""
    most = rows_per_block(model.shape.time)
    return min(most, max(1, MEASURED_AT_ONCE // model.numbers)) if model.one_cpu else most


def rows_trained(model: Layout, batch: int) -> int:
    """Return how many rows of a batch go through gradients at a time: a number that divides it; one alone is slow."""
    most = max(2, TRAINED_AT_ONCE // model.numbers) if model.one_cpu else batch
    return next(rows for rows in range(min(most, batch), 0, -1) if batch % rows == 0)


SMALL_PASS = 2**22
"""Numbers up to which a pass without LLVM's optimization takes less time than the optimization: at most 0.1 s."""


def is_small(model: Layout, parameters: Float[Array, "*member parameter"], x: Float[Array, "n time feature"]) -> bool:
    """Return whether one pass of all members over these rows takes less time than its optimization."""
    members = math.prod(parameters.shape[:-1])
    return members * len(x) * model.numbers <= SMALL_PASS


def in_blocks(
    function: Callable[..., Any], x: Float[Array, "n ..."], merge: Callable[[list[Any]], Any], size: int
) -> Any:
    """Return the function of all rows: at once if they fit one block, else merged from the results of blocks.

    A block has `size` rows, the last one fewer. `merge` takes stacks of blocks of equal size.
    """
    n = len(x)
    if n <= size:
        return function(x)
    whole = n - n % size
    parts = [jax.lax.map(function, x[:whole].reshape(n // size, size, *x.shape[1:]))]
    if whole < n:
        parts.append(jax.tree.map(lambda values: values[None], function(x[whole:])))
    return merge(parts)


def gradient_in_blocks(
    function: Callable[..., tuple[Array, Any]], tensors: Any, rows: tuple[Float[Array, "n ..."], ...], size: int
) -> tuple[Any, Any]:
    """Return sums over blocks of `size` rows: the gradient of function(tensors, *rows) by the tensors, and the rest."""
    blocks = tuple(array.reshape(-1, size, *array.shape[1:]) for array in rows)
    gradient = jax.grad(function, has_aux=True)

    def add(total: Any, block: tuple[Array, ...]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, gradient(tensors, *block)), None

    shapes = jax.eval_shape(gradient, tensors, *(array[0] for array in blocks))
    none = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.scan(add, none, blocks)[0]


def join(parts: list[Float[Array, "_ _"]]) -> Float[Array, " n"]:
    """Return the values of all rows, in order."""
    return jnp.concatenate([part.reshape(-1) for part in parts])


def pool(parts: list[dict[str, Float[Array, " _"]]]) -> dict[str, Float[Array, ""]]:
    """Return count, sum, squares about the mean and greatest size over all blocks.

    Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
    """
    count, total, squares, maxabs = (
        jnp.concatenate([part[name] for part in parts]) for name in ("count", "sum", "squares", "maxabs")
    )
    away = total / count - total.sum() / count.sum()
    return {
        "count": count.sum(),
        "sum": total.sum(),
        "squares": squares.sum() + (count * away * away).sum(),
        "maxabs": maxabs.max(),
    }
