"""Equations as strings of digits, "+" and "=": is what stands there true?

A candidate pool holds, for each drawn problem, the true equation and one corrupted twin in which a single operand is
replaced by another value of the same width, uniformly. Inputs are one-hot over twelve symbols: 0 to 9, "+", "=".
"""

import re

import numpy as np
from jaxtyping import Float, Int

from coretx.tasks.base import Task
from coretx.tasks.vocabulary import ARITHMETIC

PLUS, EQUALS = ARITHMETIC.index("+"), ARITHMETIC.index("=")


class Equation(Task):
    """Sums of zero-padded operands on both sides of one "="; the last operand is the one that gets corrupted.

    Sequence length: digits * operands + one sign between neighbours.
    """

    rule = "1 when the equation is true"
    feature_dim = len(ARITHMETIC)
    digits: int = 1
    left: int = 2
    right: int = 1

    def __init__(self) -> None:
        self.modulus = 10**self.digits
        self.sequence_length = (self.digits + 1) * (self.left + self.right) - 1

    def generate_candidates(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
        """Draw problems until n // 2 are in range (rounded up); return each true and corrupted, shuffled, cut to n."""
        pairs = (n + 1) // 2
        true = np.empty((0, self.left + self.right), int)
        while len(true) < pairs:
            true = np.concatenate([true, self.draw_problems(pairs, rng)])
        true = true[:pairs]
        operands = np.concatenate([true, corrupt(true, -1, self.modulus, rng)])
        return ARITHMETIC.encode(self.tokens(rng.permutation(operands)[:n]))

    def draw_problems(self, n: int, rng: np.random.Generator) -> Int[np.ndarray, "accepted operand"]:
        """Draw n sets of uniform operands, solve for the last, and return those whose solution is in range."""
        operands = rng.integers(self.modulus, size=(n, self.left + self.right))
        operands[:, -1] = operands[:, : self.left].sum(axis=1) - operands[:, self.left : -1].sum(axis=1)
        return operands[(operands[:, -1] >= 0) & (operands[:, -1] < self.modulus)]

    def tokens(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, "n time"]:
        """Return the equation that these operands form, as tokens."""
        return join(operands, "+" * (self.left - 1) + "=" + "+" * (self.right - 1), self.digits)

    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return 1 where the string is a well-formed equation of this shape and true."""
        return self.is_true(ARITHMETIC.decode(x), self.left).astype(np.float32)

    def is_true(self, tokens: Int[np.ndarray, "n time"], left: int) -> np.ndarray:
        """Return whether tokens, read with this many operands left of "=", form a true equation."""
        count = self.left + self.right
        signs = tokens[:, self.digits :: self.digits + 1]
        expected = np.where(np.arange(count - 1) == left - 1, EQUALS, PLUS)
        places = np.arange(tokens.shape[1]) % (self.digits + 1) < self.digits
        numbers = tokens[:, places].reshape(len(tokens), count, self.digits)
        operands = numbers @ 10 ** np.arange(self.digits)[::-1]
        well_formed = (signs == expected).all(axis=1) & (numbers < 10).all(axis=(1, 2))
        return well_formed & (operands[:, :left].sum(axis=1) == operands[:, left:].sum(axis=1))

    def render(self, row: Float[np.ndarray, "time feature"]) -> str:
        """Return the equation with its digits grouped, as in "12 + 34 = 46"."""
        return re.sub(r"([+=])", r" \1 ", ARITHMETIC.spell(row))


def join(operands: Int[np.ndarray, "n operand"], signs: str, digits: int) -> Int[np.ndarray, "n time"]:
    """Return zero-padded operands with signs between them, as tokens.

    >>> join(np.array([[12, 3, 15]]), "+=", digits=2)
    array([[ 1,  2, 10,  0,  3, 11,  1,  5]])
    """
    n, count = operands.shape
    tokens = np.empty((n, count, digits + 1), int)
    tokens[:, :, :digits] = operands[:, :, None] // 10 ** np.arange(digits)[::-1] % 10
    tokens[:, :-1, digits] = [ARITHMETIC.index(sign) for sign in signs]
    return tokens.reshape(n, -1)[:, :-1]


def corrupt(
    operands: Int[np.ndarray, "n operand"], column: int, modulus: int, rng: np.random.Generator
) -> Int[np.ndarray, "n operand"]:
    """Return the operands with one column replaced by another value below modulus, uniform over the wrong ones."""
    wrong = operands.copy()
    wrong[:, column] = (wrong[:, column] + rng.integers(1, modulus, size=len(wrong))) % modulus
    return wrong


class SingleDigitSum(Equation):
    """Is a+b=c true, for digits with a+b <= 9?

    Half of the candidates are true; 55 problems, 550 inputs. "2+3=5": label 1. "2+3=7": label 0.
    """

    name = "single_digit_sum"


class TwoDigitSum(Equation):
    """Is aa+bb=cc true, for two-digit operands with a sum of at most 99?

    Half of the candidates are true; 5,050 problems, 505,000 inputs. "12+34=46": label 1. "12+34=56": label 0.
    """

    name = "two_digit_sum"
    title = "aa+bb=cc"
    digits = 2


class MultiDigitSum(Equation):
    """Is aa+bb=cc+dd true, for two-digit operands?

    Half of the candidates are true; 666,700 problems. "12+34=20+26": label 1. "12+34=20+62": label 0.
    """

    name = "multi_digit_sum"
    digits = 2
    right = 2


class SingleDigitSumSwapped(Equation):
    """Is a+b=c or a=b+c true, whichever of the two forms stands there, for single digits?

    The lone side is the one that gets corrupted. Half of the candidates are true; 110 problems, 1,100 inputs.
    "2+3=5" and "5=2+3": label 1. "2+3=7" and "7=2+3": label 0.
    """

    name = "single_digit_sum_swapped"
    rule = "1 when the equation is true; the lone number stands right or left of the ="

    def generate_candidates(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
        """Draw as Equation does, in two forms.

        The original fills a+b=c first, from as many draws as pairs are wanted, and a=b+c with the rest: about 55 %
        and 45 % of the pool. The mix is kept.
        """
        pairs = (n + 1) // 2
        first = self.draw_problems(pairs, rng)
        true = first
        while len(true) < pairs:
            true = np.concatenate([true, self.draw_problems(pairs, rng)])
        true = true[:pairs]
        operands = np.concatenate([true, corrupt(true, -1, self.modulus, rng)])
        swapped = np.tile(np.arange(pairs) >= len(first), 2)
        tokens = np.where(swapped[:, None], join(operands[:, [2, 0, 1]], "=+", 1), join(operands, "+=", 1))
        return ARITHMETIC.encode(rng.permutation(tokens)[:n])

    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return 1 where the string is a well-formed equation of either form and true."""
        tokens = ARITHMETIC.decode(x)
        return (self.is_true(tokens, 2) | self.is_true(tokens, 1)).astype(np.float32)
