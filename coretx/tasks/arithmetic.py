"""Equations as strings of digits, "+" and "=": is what stands there true?

A candidate pool holds, for each drawn problem, the true equation and one corrupted twin in which a single operand is
replaced by another value of the same width: uniformly under the rule `original`, distributed as the true values are
under the rule `balanced` (see `negatives`). Inputs are one-hot over twelve symbols: 0 to 9, "+", "=".
"""

import copy
import re
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from coretx.tasks.base import Task
from coretx.tasks.negatives import WrongAnswers, balanced, kinds_of, uniform
from coretx.tasks.vocabulary import ARITHMETIC

PLUS, EQUALS = ARITHMETIC.index("+"), ARITHMETIC.index("=")
LARGEST_SPACE = 1_000_000
"""A space of more inputs than this is not listed."""


class Equation(Task):
    """Sums of zero-padded operands on both sides of one "="; the last operand is the one that gets corrupted.

    Sequence length: digits * operands + one sign between neighbours.
    """

    rule = "1 when the equation is true"
    feature_dim = len(ARITHMETIC)
    digits: int = 1
    left: int = 2
    right: int = 1
    forms: int = 1
    """In how many ways the same operands can be written down."""
    negatives: str = "original"

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
        operands = np.concatenate([true, self.corrupt(true, rng)])
        return ARITHMETIC.encode(self.tokens(rng.permutation(operands)[:n]))

    def draw_problems(self, n: int, rng: np.random.Generator) -> Int[np.ndarray, "accepted operand"]:
        """Draw n sets of uniform operands, solve for the last, and return those whose solution is in range."""
        return self.in_range(rng.integers(self.modulus, size=(n, self.left + self.right)))

    def in_range(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, "accepted operand"]:
        """Return the operands with the last one solved for, of those rows where the solution is in range."""
        operands = self.solved(operands)
        return operands[(operands[:, -1] >= 0) & (operands[:, -1] < self.modulus)]

    def solved(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, "n operand"]:
        """Return the operands with the last one replaced by the one that makes the equation true."""
        answer = operands[:, : self.left].sum(axis=1) - operands[:, self.left : -1].sum(axis=1)
        return np.concatenate([operands[:, :-1], answer[:, None]], axis=1)

    def without_carries(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return the last operand as it comes out when every column is added on its own, modulo 10."""
        columns = operands[:, :, None] // 10 ** np.arange(self.digits) % 10
        sums = columns[:, : self.left].sum(axis=1) - columns[:, self.left : -1].sum(axis=1)
        return sums % 10 @ 10 ** np.arange(self.digits)

    def corrupt(self, true: Int[np.ndarray, "n operand"], rng: np.random.Generator) -> Int[np.ndarray, "n operand"]:
        """Return the true operands with the last one replaced by a wrong value, drawn by the rule for negatives."""
        if self.negatives == "original":
            return corrupt(true, -1, self.modulus, rng)
        wrong = self.wrong_answers.draw(true[:, -1], self.without_carries(true), rng)
        return np.concatenate([true[:, :-1], wrong[:, None]], axis=1)

    def with_negatives(self, rule: str) -> Task:
        """Return this task with wrong answers drawn by this rule; the same object each time."""
        if rule not in self._by_rule:
            other = self._by_rule[rule] = copy.copy(self)
            other.negatives = rule
            vars(other).pop("wrong_answers", None)
        return self._by_rule[rule]

    @cached_property
    def _by_rule(self) -> dict[str, "Equation"]:
        return {self.negatives: self}

    @cached_property
    def wrong_answers(self) -> WrongAnswers:
        """The rule for negatives: how likely each wrong answer is for each problem."""
        problems = self.all_problems()
        answers, plain = problems[:, -1], self.without_carries(problems)
        if self.negatives == "original":
            return uniform(answers, plain, self.modulus)
        return balanced(answers, plain, self.digits)

    def all_problems(self) -> Int[np.ndarray, "problem operand"]:
        """Return the operands of every true equation, each as likely as any other."""
        free = np.indices((self.modulus,) * (self.left + self.right - 1)).reshape(self.left + self.right - 1, -1).T
        return self.in_range(np.concatenate([free, np.zeros((len(free), 1), int)], axis=1))

    def space(self) -> tuple[Float[np.ndarray, "n time feature"], Float[np.ndarray, " n"]] | None:
        """Return every equation that can be drawn, with its probability; None where that is more than a million."""
        problems = self.all_problems()
        if len(problems) * self.modulus * self.forms > LARGEST_SPACE:
            return None
        rule = self.wrong_answers
        state = rule.states(problems[:, -1], self.without_carries(problems))
        problem, wrong = np.nonzero(rule.probability[state])
        false = np.concatenate([problems[problem, :-1], wrong[:, None]], axis=1)
        operands = np.concatenate([problems, false])
        probability = np.concatenate([np.ones(len(problems)), rule.probability[state[problem], wrong]])
        tokens = [self.tokens(operands, form) for form in range(self.forms)]
        return ARITHMETIC.encode(np.concatenate(tokens)), np.tile(probability, self.forms) / (
            2 * len(problems) * self.forms
        )

    def problems(self) -> tuple[Shaped[np.ndarray, " key"], Int[np.ndarray, " key"]]:
        """Return every canonical key once, with its size: each occurs with both labels."""
        problems = self.all_problems()
        keys, first = np.unique(self.key_of(problems), return_index=True)
        return keys, self.size_of(problems[first])

    def canonical_key(self, x: Float[np.ndarray, "n time feature"]) -> Int[np.ndarray, " n"]:
        """Return what names the problem: its operands, solved, whatever their order and the side they stand on.

        So a true equation, its corrupted twins and all that commutation makes of them are one problem.
        """
        tokens = ARITHMETIC.decode(x)
        operands, well_formed = self.parse(tokens)
        malformed = -1 - tokens @ len(ARITHMETIC) ** np.arange(tokens.shape[1])
        return np.where(well_formed, self.key_of(self.solved(operands)), malformed)

    def key_of(self, problems: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return a number for each true equation, the same for those that commutation turns into each other."""
        left, right = np.sort(problems[:, : self.left], axis=1), np.sort(problems[:, self.left :], axis=1)
        base = 2 * self.modulus * self.left * self.right
        if self.left == self.right:
            weights = base ** np.arange(self.left)
            swap = (left @ weights > right @ weights)[:, None]
            left, right = np.where(swap, right, left), np.where(swap, left, right)
        offset = base // 2  # what an equation of any digits is solved to may be below 0
        return (np.concatenate([left, right], axis=1) + offset) @ base ** np.arange(problems.shape[1])

    def size_of(self, problems: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return how many digits the operands have in all, leading zeros not counted."""
        longer = np.abs(problems)[:, :, None] >= 10 ** np.arange(1, self.digits)
        return problems.shape[1] + longer.sum(axis=(1, 2))

    def stratum(self, x: Float[np.ndarray, "n time feature"]) -> Int[np.ndarray, " n"]:
        """Return how many digits the operands of the true equation have in all, leading zeros not counted."""
        operands, _ = self.parse(ARITHMETIC.decode(x))
        return self.size_of(self.solved(operands))

    def kinds(self, x: Float[np.ndarray, "n time feature"]) -> dict[str, Bool[np.ndarray, " n"]]:
        """Return which kind of wrong answer each equation has; a true or malformed one has none."""
        operands, well_formed = self.parse(ARITHMETIC.decode(x))
        true, plain = self.solved(operands)[:, -1], self.without_carries(operands)
        found = kinds_of(true, plain, operands[:, -1], self.digits)
        return {kind: matches & well_formed for kind, matches in found.items()}

    def tokens(self, operands: Int[np.ndarray, "n operand"], form: int = 0) -> Int[np.ndarray, "n time"]:
        """Return the equation that these operands form, as tokens."""
        return join(operands, "+" * (self.left - 1) + "=" + "+" * (self.right - 1), self.digits)

    def parse(self, tokens: Int[np.ndarray, "n time"]) -> tuple[Int[np.ndarray, "n operand"], Bool[np.ndarray, " n"]]:
        """Return the operands, the one that may be corrupted last, and whether each row is a well-formed equation."""
        return self.read(tokens, self.left)

    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return 1 where the string is a well-formed equation of this shape and true."""
        return self.is_true(ARITHMETIC.decode(x), self.left).astype(np.float32)

    def is_true(self, tokens: Int[np.ndarray, "n time"], left: int) -> np.ndarray:
        """Return whether tokens, read with this many operands left of "=", form a true equation."""
        operands, well_formed = self.read(tokens, left)
        return well_formed & (operands[:, :left].sum(axis=1) == operands[:, left:].sum(axis=1))

    def read(
        self, tokens: Int[np.ndarray, "n time"], left: int
    ) -> tuple[Int[np.ndarray, "n operand"], Bool[np.ndarray, " n"]]:
        """Return the operands as they stand, and whether the row is an equation with this many of them left of "="."""
        count = self.left + self.right
        signs = tokens[:, self.digits :: self.digits + 1]
        expected = np.where(np.arange(count - 1) == left - 1, EQUALS, PLUS)
        places = np.arange(tokens.shape[1]) % (self.digits + 1) < self.digits
        numbers = tokens[:, places].reshape(len(tokens), count, self.digits)
        well_formed = (signs == expected).all(axis=1) & (numbers < 10).all(axis=(1, 2))
        return numbers @ 10 ** np.arange(self.digits)[::-1], well_formed

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
        return join(operands[:, [2, 0, 1]], "=+", 1) if form else join(operands, "+=", 1)

    def parse(self, tokens: Int[np.ndarray, "n time"]) -> tuple[Int[np.ndarray, "n operand"], Bool[np.ndarray, " n"]]:
        """Return the operands, the lone one last, and whether each row is a well-formed equation of either form."""
        (usual, is_usual), (swapped, is_swapped) = self.read(tokens, 2), self.read(tokens, 1)
        return np.where(is_swapped[:, None], swapped[:, [1, 2, 0]], usual), is_usual | is_swapped

    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return 1 where the string is a well-formed equation of either form and true."""
        tokens = ARITHMETIC.decode(x)
        return (self.is_true(tokens, 2) | self.is_true(tokens, 1)).astype(np.float32)
