"""Passes over many rows, a block of them at a time, so that memory does not grow with n."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from coretx.training.batches import rows_per_block


def in_blocks(
    function: Callable[..., Any], rows: tuple[Float[Tensor, "n ..."], ...], merge: Callable[[list[Any]], Any]
) -> Any:
    """Return the function of all rows: at once where they are one block, else what `merge` makes of the blocks'.

    The first of the arrays has the axes [n, time, feature].
    """
    n, size = len(rows[0]), rows_per_block(rows[0].shape[1])
    if n <= size:
        return function(*rows)
    return merge([function(*block) for block in zip(*(array.split(size) for array in rows), strict=True)])


def join(parts: list[Float[Tensor, " _"]]) -> Float[Tensor, " n"]:
    """Return the values of all rows, in order."""
    return torch.cat(parts)


def pool(parts: list[dict[str, Float[Tensor, ""]]]) -> dict[str, Float[Tensor, ""]]:
    """Return count, sum, squares about the mean and greatest size over all blocks.

    Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
    """
    count, total, squares, maxabs = (
        torch.stack([part[name] for part in parts]) for name in ("count", "sum", "squares", "maxabs")
    )
    away = total / count - total.sum() / count.sum()
    return {
        "count": count.sum(),
        "sum": total.sum(),
        "squares": squares.sum() + (count * away * away).sum(),
        "maxabs": maxabs.max(),
    }
