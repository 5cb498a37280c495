"""The tasks on equations: one or two digits, two or four operands, one form or two."""

import numpy as np
from jaxtyping import Bool, Float, Int

from coretx.tasks.arithmetic import Equation, join
from coretx.tasks.vocabulary import ARITHMETIC


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

    Half of the candidates are true; 666,700 true equations, one in four of which ends with its owner and so lies on a
    side of the space (see `owners`). "12+34=20+26": label 1. "12+34=20+62": label 0.
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
    forms = 2

    def generate_candidates(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
        """Draw as Equation does, in two forms, each as often as the other.

        The original fills a+b=c first, from as many draws as pairs are wanted, and a=b+c with the rest: about 55 %
        and 45 % of the pool. With its negatives that mix is kept.
        """
        pairs = (n + 1) // 2
        first = self.draw_problems(pairs, rng)
        true = first
        while len(true) < pairs:
            true = np.concatenate([true, self.draw_problems(pairs, rng)])
        true = true[:pairs]
        operands = np.concatenate([true, self.corrupt(true, rng)])
        split = len(first) if self.negatives == "original" else pairs // 2
        swapped = np.tile(np.arange(pairs) >= split, 2)
        tokens = np.where(swapped[:, None], self.tokens(operands, 1), self.tokens(operands, 0))
        return ARITHMETIC.encode(rng.permutation(tokens)[:n])

    def tokens(self, operands: Int[np.ndarray, "n operand"], form: int = 0) -> Int[np.ndarray, "n time"]:
        """Return a+b=c, or c=a+b as form 1."""
        return join(operands[:, [2, 0, 1]], "=+", self.digits) if form else join(operands, "+=", self.digits)

    def parse(self, tokens: Int[np.ndarray, "n time"]) -> tuple[Int[np.ndarray, "n operand"], Bool[np.ndarray, " n"]]:
        """Return the operands, the lone one last, and whether each row is a well-formed equation of either form."""
        (usual, is_usual), (swapped, is_swapped) = self.read(tokens, 2), self.read(tokens, 1)
        return np.where(is_swapped[:, None], swapped[:, [1, 2, 0]], usual), is_usual | is_swapped

    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return 1 where the string is a well-formed equation of either form and true."""
        tokens = ARITHMETIC.decode(x)
        return (self.is_true(tokens, 2) | self.is_true(tokens, 1)).astype(np.float32)
