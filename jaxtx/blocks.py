"""Passes over many rows, a block of them at a time, so that memory does not grow with n."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from coretx.data import rows_per_block


def in_blocks(
    function: Callable[..., Any], rows: tuple[Float[Array, "n ..."], ...], merge: Callable[[list[Any]], Any]
) -> Any:
    """Return the function of all rows: at once where they are one block, else what `merge` makes of the blocks'.

    The first of the arrays has the axes [n, time, feature]. `merge` takes stacks of blocks of equal size.
    """
    n, size = len(rows[0]), rows_per_block(rows[0].shape[1])
    if n <= size:
        return function(*rows)
    whole = n - n % size
    stacks = [array[:whole].reshape(n // size, size, *array.shape[1:]) for array in rows]
    parts = [jax.lax.map(lambda block: function(*block), tuple(stacks))]
    if whole < n:
        parts.append(jax.tree.map(lambda values: values[None], function(*(array[whole:] for array in rows))))
    return merge(parts)


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
