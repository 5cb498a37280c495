"""Equations as strings of digits, "+" and "=": is the equation true?

A candidate pool holds pairs: a true equation, and the same one with its last operand replaced by a wrong value of the
same width. The rule `original` draws wrong values uniformly; `balanced` gives them the distribution of the true ones
(see `negatives`). Inputs are one-hot over twelve symbols: 0 to 9, "+", "=".

A true equation, its corrupted twins and all their commuted forms are one problem. In a false equation with several
operands on the right, each of them could be the wrong one, and each choice leads to another problem. If all of these
counted as the same, every equation would be one problem. So every equation has one owner: the operand that it is solved
for. Only rows whose last operand is the owner belong to a side of the space (`Task.splittable`).
"""

import re
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from coretx.tasks import equation_ceilings
from coretx.tasks.base import LARGEST_SPACE, SIDES, Ceiling, Side, Task
from coretx.tasks.negatives import WrongAnswers, balanced, exchanged, kinds_of, uniform
from coretx.tasks.tokens import TokenTask, Vocabulary

ARITHMETIC = Vocabulary("0123456789+=")
PLUS, EQUALS = ARITHMETIC.index("+"), ARITHMETIC.index("=")


class Equation(TokenTask):
    """Sums of zero-padded operands on both sides of one "="; only the last operand is ever corrupted.

    Sequence length: digits * operands + one sign between neighbours.
    """

    rule = "1 when the equation is true"
    vocabulary = ARITHMETIC
    feature_dim = len(ARITHMETIC)
    digits: int = 1
    left: int = 2
    right: int = 1
    forms: int = 1
    """The number of ways to write the same operands."""
    smallest_maximum: int = 0
    """Problems whose operands are all smaller are left out: a longer task has no problems of fewer digits."""
    negatives: str = "original"

    def __init__(self) -> None:
        self.modulus = 10**self.digits
        self.sequence_length = (self.digits + 1) * (self.left + self.right) - 1

    def generate_candidates(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
        """Draw n // 2 problems (rounded up); return each true and corrupted, shuffled, cut to n."""
        return ARITHMETIC.encode(self.tokens(self.draw_operands(n, rng)))

    def generate_splittable(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "some time feature"] | None:
        """Draw 5 n / 4 candidates and return, encoded, the rows that end with their owner; None if all do.

        Two such draws fill a side that takes one candidate in twenty; with n candidates a third draw would be needed.
        """
        if self.right == 1:
            return None
        operands = self.draw_operands(n + n // 4, rng)
        return ARITHMETIC.encode(self.tokens(operands[self.ends_with_owner(operands)]))

    def draw_operands(self, n: int, rng: np.random.Generator) -> Int[np.ndarray, "n operand"]:
        """Draw the operands of n candidates."""
        true, _ = self.draw_true((n + 1) // 2, rng)
        return rng.permutation(np.concatenate([true, self.corrupt(true, rng)]))[:n]

    def draw_true(self, pairs: int, rng: np.random.Generator) -> tuple[Int[np.ndarray, "pair operand"], int]:
        """Draw true equations whose solution is in range; return them and how many the first draw gave."""
        count = self.left + self.right
        true = self.in_range(rng.integers(self.modulus, size=(pairs, count)))
        first = len(true)
        while len(true) < pairs:
            true = np.concatenate([true, self.in_range(rng.integers(self.modulus, size=(pairs, count)))])
        return true[:pairs], first

    def in_range(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, "accepted operand"]:
        """Solve for the last operand; return the rows whose solution is in range."""
        operands = self.solved(operands)
        accepted = (operands[:, -1] >= 0) & (operands[:, -1] < self.modulus)
        return operands[accepted & (operands.max(axis=1) >= self.smallest_maximum)]

    def solved(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, "n operand"]:
        """Return the operands with the last one replaced by the solution."""
        return np.concatenate([operands[:, :-1], self.solution(operands)[:, None]], axis=1)

    def solution(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return the value of the last operand that makes the equation true."""
        return operands[:, : self.left].sum(axis=1) - operands[:, self.left : -1].sum(axis=1)

    def without_carries(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return the solution if every column is added on its own, modulo 10."""
        columns = operands[:, :, None] // 10 ** np.arange(self.digits) % 10
        sums = columns[:, : self.left].sum(axis=1) - columns[:, self.left : -1].sum(axis=1)
        return sums % 10 @ 10 ** np.arange(self.digits)

    def corrupt(self, true: Int[np.ndarray, "n operand"], rng: np.random.Generator) -> Int[np.ndarray, "n operand"]:
        """Return the true operands with the last one replaced by a wrong value, drawn by the rule for negatives."""
        answers = true[:, -1]
        if self.negatives == "original":
            wrong = (answers + rng.integers(1, self.modulus, size=len(true))) % self.modulus
        elif self.smallest_maximum:
            wrong = exchanged(answers, self.without_carries(true), self.digits, rng)
        else:
            wrong = self.wrong_answers.draw(answers, self.without_carries(true), rng)
        return np.concatenate([true[:, :-1], wrong[:, None]], axis=1)

    def with_negatives(self, rule: str) -> Task:
        """Return this task with wrong answers drawn by this rule; the same object each time."""
        if rule not in self._by_rule:
            self._by_rule[rule] = self.changed("wrong_answers", negatives=rule)
        return self._by_rule[rule]

    def at_length(self, length: int) -> Task | None:
        """Return the same equations with the digits that fill this length, without problems of fewer digits.

        None if no number of digits fits, for fewer digits than here, and for so many that a key exceeds 64 bits.
        """
        count = self.left + self.right
        digits = (length + 1) // count - 1
        base = 2 * 10 ** max(digits, 0) * self.left * self.right
        if (length + 1) % count or digits < self.digits or base**count >= 2**63:
            return None
        if digits == self.digits:
            return self
        size = {"digits": digits, "modulus": 10**digits, "sequence_length": length}
        return self.changed("_by_rule", "wrong_answers", "_listed_sides", smallest_maximum=self.modulus, **size)

    @cached_property
    def _by_rule(self) -> dict[str, Task]:
        return {self.negatives: self}

    @cached_property
    def wrong_answers(self) -> WrongAnswers:
        """The rule for negatives: the probability of each wrong answer to each problem."""
        problems = self.all_problems()
        answers, plain = problems[:, -1], self.without_carries(problems)
        if self.negatives == "original":
            return uniform(answers, plain, self.modulus)
        return balanced(answers, plain, self.digits)

    def states(self, problems: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return the state of each problem, by which its wrong answers are drawn."""
        return self.wrong_answers.states(problems[:, -1], self.without_carries(problems))

    def all_problems(self) -> Int[np.ndarray, "problem operand"]:
        """Return the operands of every true equation, each as likely as any other."""
        free = np.indices((self.modulus,) * (self.left + self.right - 1)).reshape(self.left + self.right - 1, -1).T
        return self.in_range(np.concatenate([free, np.zeros((len(free), 1), int)], axis=1))

    def space(self) -> tuple[Float[np.ndarray, "n time feature"], Float[np.ndarray, " n"]] | None:
        """Return every equation that can be drawn, with its probability; None if more than a million."""
        if self.smallest_maximum or not self._can_be_listed:
            return None
        problems, rule = self.all_problems(), self.wrong_answers
        state = self.states(problems)
        problem, wrong = np.nonzero(rule.probability[state])
        false = np.concatenate([problems[problem, :-1], wrong[:, None]], axis=1)
        tokens = [self.tokens(np.concatenate([problems, false]), form) for form in range(self.forms)]
        probability = np.concatenate([np.ones(len(problems)), rule.probability[state[problem], wrong]])
        of_form = probability / (2 * len(problems) * self.forms)
        return ARITHMETIC.encode(np.concatenate(tokens)), np.tile(of_form, self.forms)

    @cached_property
    def _can_be_listed(self) -> bool:
        return len(self.all_problems()) * self.modulus * self.forms <= LARGEST_SPACE

    def problems(self) -> tuple[Shaped[np.ndarray, " key"], Int[np.ndarray, " key"]] | None:
        """Return every canonical key once, with its size; each occurs with both labels. None for a longer task."""
        if self.smallest_maximum:
            return None
        problems = self.all_problems()
        keys, first = np.unique(self.key_of(problems), return_index=True)
        return keys, self.size_of(problems[first])

    def canonical_key(self, x: Float[np.ndarray, "n time feature"]) -> Int[np.ndarray, " n"]:
        """Return a key of the true equation, the same for all its commuted forms and its corrupted twins.

        A twin in `aa+bb=cc+dd` has another key if it does not end with its owner.
        """
        tokens = ARITHMETIC.decode(x)
        operands, well_formed = self.parse(tokens)
        malformed = -1 - tokens @ len(ARITHMETIC) ** np.arange(tokens.shape[1])
        return np.where(well_formed, self.key_of(self.repaired(operands)), malformed)

    def splittable(self, x: Float[np.ndarray, "n time feature"]) -> Bool[np.ndarray, " n"]:
        """Return whether each row ends with its owner; with one operand on the right, all do."""
        if self.right == 1:
            return np.ones(len(x), bool)
        return self.ends_with_owner(self.parse(ARITHMETIC.decode(x))[0])

    @property
    def _base(self) -> int:
        """The base of `_number`: an operand that is solved for, even if negative, lies within base / 2 of 0."""
        return 2 * self.modulus * self.left * self.right

    def _number(self, arranged: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        return (arranged + self._base // 2) @ self._base ** np.arange(arranged.shape[1])

    def arranged(
        self, operands: Int[np.ndarray, "n operand"]
    ) -> tuple[Int[np.ndarray, "n operand"], Bool[np.ndarray, " n"]]:
        """Return the operands in an order that commutation does not change, and where the sides were exchanged."""
        left, right = np.sort(operands[:, : self.left], axis=1), np.sort(operands[:, self.left :], axis=1)
        swapped = np.zeros(len(operands), bool)
        if self.left == self.right:
            weights = self._base ** np.arange(self.left)
            swapped = left @ weights > right @ weights
            left, right = np.where(swapped[:, None], right, left), np.where(swapped[:, None], left, right)
        return np.concatenate([left, right], axis=1), swapped

    def key_of(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return a number for each equation, the same for all its commuted forms."""
        return self._number(self.arranged(operands)[0])

    def owner(self, arranged: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return the owner's place among arranged operands: on the right if commutation keeps the sides, else any."""
        first = 0 if self.left == self.right else self.left
        return first + (splitmix64(self._number(arranged)) % (self.left + self.right - first)).astype(int)

    def ends_with_owner(self, operands: Int[np.ndarray, "n operand"]) -> Bool[np.ndarray, " n"]:
        """Return whether the last operand is the owner, as in one of four `aa+bb=cc+dd`, true and false alike.

        Of equal operands on a side only the first in order can be the owner, so none is the owner more often.
        """
        arranged, swapped = self.arranged(operands)
        place = (operands[:, self.left :] < operands[:, -1:]).sum(axis=1) + np.where(swapped, 0, self.left)
        return self.owner(arranged) == place

    def repaired(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, "n operand"]:
        """Return the true equation of each row, in any order: the owner replaced by the solution."""
        if self.right == 1:
            return self.solved(operands)
        true, _ = self.arranged(operands)
        owner = self.owner(true)
        short = true[:, self.left :].sum(axis=1) - true[:, : self.left].sum(axis=1)
        true[np.arange(len(true)), owner] += np.where(owner < self.left, short, -short)
        return true

    def size_of(self, problems: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return the number of digits of all operands together, without leading zeros."""
        longer = np.abs(problems)[:, :, None] >= 10 ** np.arange(1, self.digits)
        return problems.shape[1] + longer.sum(axis=(1, 2))

    def stratum(self, x: Float[np.ndarray, "n time feature"]) -> Int[np.ndarray, " n"]:
        """Return the number of digits of the true equation's operands, without leading zeros."""
        return self.size_of(self.repaired(self.parse(ARITHMETIC.decode(x))[0]))

    def ceilings(self, side: Side | None) -> dict[str, Ceiling]:
        """Return the exact ceilings of the views answer-only and order-blind, and a bound for additive and linear."""
        problems = self.all_problems()
        if side is not None:
            problems = problems[self.side_of_keys(self.key_of(problems)) == SIDES.index(side)]
        if side is None or self.right == 1:
            return equation_ceilings.of_all(problems, self.states(problems), self.wrong_answers, self.digits)
        # Problems that differ only in the order of their left operands are tested once and counted twice.
        problems = problems[problems[:, 0] <= problems[:, self.left - 1]]
        times = 1.0 + (problems[:, 0] != problems[:, self.left - 1])
        return equation_ceilings.of_some(
            problems, self.states(problems), self.wrong_answers, self.digits, times, self.ends_with_owner
        )

    def kinds(self, x: Float[np.ndarray, "n time feature"]) -> dict[str, Bool[np.ndarray, " n"]]:
        """Return which kind of wrong answer each equation has; a true or malformed one has none."""
        operands, well_formed = self.parse(ARITHMETIC.decode(x))
        found = kinds_of(self.solution(operands), self.without_carries(operands), operands[:, -1], self.digits)
        return {kind: matches & well_formed for kind, matches in found.items()}

    def groups(
        self, x: Float[np.ndarray, "n time feature"], y: Float[np.ndarray, " n"]
    ) -> dict[str, Shaped[np.ndarray, " n"]]:
        """Return each row's kind of answer and units digit; with more digits also carries, wrong digits and size.

        Carries count on both sides as written; the size is that of the equation solved for its last operand.
        """
        operands, _ = self.parse(ARITHMETIC.decode(x))
        answer, solved = operands[:, -1], self.solved(operands)
        kind = np.full(len(x), "true", "U20")
        for name, matches in self.kinds(x).items():
            kind[matches] = name
        found = {"kind of answer": kind}
        if self.digits > 1:
            carries = carries_of(operands[:, : self.left]) + carries_of(operands[:, self.left :])
            found["number of carries"] = carries.astype(str)
            found["wrong digits of the answer"] = differing(answer, solved[:, -1], self.digits)
            found["digits of all numbers"] = self.size_of(solved).astype(str)
        return found | {"units digit of the answer": (answer % 10).astype(str)}

    def tokens(self, operands: Int[np.ndarray, "n operand"], form: int = 0) -> Int[np.ndarray, "n time"]:
        """Return the equation of these operands as tokens."""
        return join(operands, "+" * (self.left - 1) + "=" + "+" * (self.right - 1), self.digits)

    def parse(self, tokens: Int[np.ndarray, "n time"]) -> tuple[Int[np.ndarray, "n operand"], Bool[np.ndarray, " n"]]:
        """Return the operands, the corruptible operand last, and whether each row is well-formed."""
        return self.read(tokens, self.left)

    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return 1 if the row is a well-formed equation and true."""
        operands, well_formed = self.parse(ARITHMETIC.decode(x))
        return (well_formed & (self.solution(operands) == operands[:, -1])).astype(np.float32)

    def read(
        self, tokens: Int[np.ndarray, "n time"], left: int
    ) -> tuple[Int[np.ndarray, "n operand"], Bool[np.ndarray, " n"]]:
        """Return the operands as written, and whether the row is an equation with this many of them left of "="."""
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

    Half of the candidates are true; 666,700 true equations, of which one in four ends with its owner and belongs to a
    side of the space. "12+34=20+26": label 1. "12+34=20+62": label 0.
    """

    name = "multi_digit_sum"
    digits = 2
    right = 2


class SingleDigitSumSwapped(Equation):
    """Is a+b=c or a=b+c true, in either of the two forms, for single digits?

    Only the lone number is ever corrupted. Half of the candidates are true; 110 problems, 1,100 inputs.
    "2+3=5" and "5=2+3": label 1. "2+3=7" and "7=2+3": label 0.
    """

    name = "single_digit_sum_swapped"
    rule = "1 when the equation is true; the lone number stands right or left of the ="
    forms = 2

    def generate_candidates(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
        """Draw as Equation does, in two forms, each as often as the other.

        The original writes its first draw of problems as a+b=c and the rest as a=b+c: about 55 % and 45 % of the pool.
        Its rule for negatives keeps that mix.
        """
        pairs = (n + 1) // 2
        true, first = self.draw_true(pairs, rng)
        operands = np.concatenate([true, self.corrupt(true, rng)])
        swapped = np.tile(np.arange(pairs) >= (first if self.negatives == "original" else pairs // 2), 2)
        tokens = np.where(swapped[:, None], self.tokens(operands, 1), self.tokens(operands, 0))
        return ARITHMETIC.encode(rng.permutation(tokens)[:n])

    def tokens(self, operands: Int[np.ndarray, "n operand"], form: int = 0) -> Int[np.ndarray, "n time"]:
        """Return a+b=c, or c=a+b as form 1."""
        return join(operands[:, [2, 0, 1]], "=+", self.digits) if form else join(operands, "+=", self.digits)

    def parse(self, tokens: Int[np.ndarray, "n time"]) -> tuple[Int[np.ndarray, "n operand"], Bool[np.ndarray, " n"]]:
        """Return the operands, with the lone one last, and whether each row is well-formed in either form."""
        (usual, is_usual), (swapped, is_swapped) = self.read(tokens, 2), self.read(tokens, 1)
        return np.where(is_swapped[:, None], swapped[:, [1, 2, 0]], usual), is_usual | is_swapped


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


def carries_of(operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
    """Return the sum of the carries of each row's column addition.

    A carry takes 10 from a column and adds 1 to the next: each shortens the digit sum by 9.

    >>> carries_of(np.array([[12, 34], [19, 34], [95, 5], [7, 0]])).tolist()
    [0, 1, 2, 0]
    """
    numbers = np.concatenate([operands, operands.sum(axis=1, keepdims=True)], axis=1)
    digit_sums = (numbers[:, :, None] // 10 ** np.arange(18) % 10).sum(axis=2)
    return (digit_sums[:, :-1].sum(axis=1) - digit_sums[:, -1]) // 9


def differing(answer: Int[np.ndarray, " n"], true: Int[np.ndarray, " n"], digits: int) -> Shaped[np.ndarray, " n"]:
    """Return the columns in which two numbers differ, as text: "none", "1s", "10s", "10s, 1s".

    >>> differing(np.array([46, 47, 56, 64]), np.array([46, 46, 46, 46]), 2).tolist()
    ['none', '1s', '10s', '10s, 1s']
    """
    columns = 10 ** np.arange(digits)[::-1]
    wrong = (answer[:, None] // columns % 10) != (true[:, None] // columns % 10)
    return np.array([", ".join(f"{place}s" for place in columns[row]) or "none" for row in wrong], "U80")


def splitmix64(seeds: Int[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Return a uint64 hash of each number: the first draw of SplitMix64 with this seed.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.

    >>> splitmix64(np.array([0, 1])).tolist()
    [16294208416658607535, 10451216379200822465]
    """
    mix = seeds.astype(np.uint64) + 0x9E3779B97F4A7C15
    mix = (mix ^ (mix >> 30)) * 0xBF58476D1CE4E5B9
    mix = (mix ^ (mix >> 27)) * 0x94D049BB133111EB
    return mix ^ (mix >> 31)
