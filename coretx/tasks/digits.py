"""Numbers as columns of decimal digits: what is carried, and where two numbers differ."""

import numpy as np
from jaxtyping import Int, Shaped


def carries_of(operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
    """Return the sum of the carries when the operands of each row are added up column by column.

    A carry takes 10 out of a column and puts 1 into the next: the digits of the sum are short by 9 for each.

    >>> carries_of(np.array([[12, 34], [19, 34], [95, 5], [7, 0]])).tolist()
    [0, 1, 2, 0]
    """
    return (digit_sum(operands).sum(axis=1) - digit_sum(operands.sum(axis=1))) // 9


def digit_sum(numbers: Int[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
    """Return the sum of the decimal digits of each number, which is not below 0."""
    return (numbers[..., None] // 10 ** np.arange(18) % 10).sum(axis=-1)


def differing(answer: Int[np.ndarray, " n"], true: Int[np.ndarray, " n"], digits: int) -> Shaped[np.ndarray, " n"]:
    """Return in which columns two numbers differ, as text: "none", "1s", "10s", "1s, 10s".

    >>> differing(np.array([46, 47, 56, 64]), np.array([46, 46, 46, 46]), 2).tolist()
    ['none', '1s', '10s', '10s, 1s']
    """
    columns = 10 ** np.arange(digits)[::-1]
    wrong = (answer[:, None] // columns % 10) != (true[:, None] // columns % 10)
    return np.array([", ".join(f"{place}s" for place in columns[row]) or "none" for row in wrong], "U80")
