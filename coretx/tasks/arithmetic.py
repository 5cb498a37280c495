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

from coretx.tasks.base import LARGEST_SPACE, Task
from coretx.tasks.digits import carries_of, differing
from coretx.tasks.negatives import WrongAnswers, balanced, corrupt, exchanged, kinds_of, uniform
from coretx.tasks.owners import Form
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
    forms: int = 1
    """In how many ways the same operands can be written down."""
    beyond: int = 0
    """Problems whose operands are all below this are left out: those of fewer digits, where a task has been widened."""
    negatives: str = "original"

    def __init__(self) -> None:
        self.modulus = 10**self.digits
        self.sequence_length = (self.digits + 1) * (self.left + self.right) - 1

    def generate_candidates(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
        """Draw problems until n // 2 are in range (rounded up); return each true and corrupted, shuffled, cut to n."""
        return ARITHMETIC.encode(self.tokens(self.draw_operands(n, rng)))

    def generate_splittable(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "some time feature"] | None:
        """Draw 5 n / 4 candidates and return, encoded, those that end with their owner; None where all do.

        Two such draws fill a side that takes one candidate in twenty; with n candidates a third draw would be needed.
        """
        if self.right == 1:
            return None
        operands = self.draw_operands(n + n // 4, rng)
        return ARITHMETIC.encode(self.tokens(operands[self.form.owned(operands)]))

    def draw_operands(self, n: int, rng: np.random.Generator) -> Int[np.ndarray, "n operand"]:
        """Draw the operands of n candidates."""
        pairs = (n + 1) // 2
        true = np.empty((0, self.left + self.right), int)
        while len(true) < pairs:
            true = np.concatenate([true, self.draw_problems(pairs, rng)])
        true = true[:pairs]
        return rng.permutation(np.concatenate([true, self.corrupt(true, rng)]))[:n]

    def draw_problems(self, n: int, rng: np.random.Generator) -> Int[np.ndarray, "accepted operand"]:
        """Draw n sets of uniform operands, solve for the last, and return those whose solution is in range."""
        return self.in_range(rng.integers(self.modulus, size=(n, self.left + self.right)))

    def in_range(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, "accepted operand"]:
        """Return the operands with the last one solved for, of those rows where the solution is in range."""
        operands = self.solved(operands)
        accepted = (operands[:, -1] >= 0) & (operands[:, -1] < self.modulus)
        return operands[accepted & (operands.max(axis=1) >= self.beyond) if self.beyond else accepted]

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
        answers, plain = true[:, -1], self.without_carries(true)
        if self.beyond:
            wrong = exchanged(answers, plain, self.digits, rng)
        else:
            wrong = self.wrong_answers.draw(answers, plain, rng)
        return np.concatenate([true[:, :-1], wrong[:, None]], axis=1)

    def with_negatives(self, rule: str) -> Task:
        """Return this task with wrong answers drawn by this rule; the same object each time."""
        if rule not in self._by_rule:
            other = self._by_rule[rule] = copy.copy(self)
            other.negatives = rule
            vars(other).pop("wrong_answers", None)
        return self._by_rule[rule]

    def at_length(self, length: int) -> Task | None:
        """Return the same equations with the digits that fill this length, without those that need fewer.

        None where no number of digits does, for fewer digits than here, and for so many that a key exceeds 64 bits.
        """
        count = self.left + self.right
        digits = (length + 1) // count - 1
        base = 2 * 10 ** max(digits, 0) * self.left * self.right
        if (length + 1) % count or digits < self.digits or base**count >= 2**63:
            return None
        return self if digits == self.digits else self._widened(digits)

    def _widened(self, digits: int) -> "Equation":
        other = copy.copy(self)
        other.digits, other.beyond = digits, self.modulus
        Equation.__init__(other)
        for cached in ("_by_rule", "wrong_answers", "_listed_sides"):
            vars(other).pop(cached, None)
        return other

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
        if self.beyond or not self._can_be_listed:
            return None
        problems, rule = self.all_problems(), self.wrong_answers
        state = rule.states(problems[:, -1], self.without_carries(problems))
        problem, wrong = np.nonzero(rule.probability[state])
        false = np.concatenate([problems[problem, :-1], wrong[:, None]], axis=1)
        operands = np.concatenate([problems, false])
        probability = np.concatenate([np.ones(len(problems)), rule.probability[state[problem], wrong]])
        tokens = [self.tokens(operands, form) for form in range(self.forms)]
        return ARITHMETIC.encode(np.concatenate(tokens)), np.tile(probability, self.forms) / (
            2 * len(problems) * self.forms
        )

    @cached_property
    def _can_be_listed(self) -> bool:
        return len(self.all_problems()) * self.modulus * self.forms <= LARGEST_SPACE

    def problems(self) -> tuple[Shaped[np.ndarray, " key"], Int[np.ndarray, " key"]] | None:
        """Return every canonical key once, with its size: each occurs with both labels. None for a widened task."""
        if self.beyond:
            return None
        problems = self.all_problems()
        keys, first = np.unique(self.key_of(problems), return_index=True)
        return keys, self.size_of(problems[first])

    def canonical_key(self, x: Float[np.ndarray, "n time feature"]) -> Int[np.ndarray, " n"]:
        """Return what names the problem: its operands, solved, whatever their order and the side they stand on.

        So all that commutation makes of an equation is one problem, and so are a true equation and its corrupted twins,
        of which `aa+bb=cc+dd` has many that are not `splittable` and then are problems of their own.
        """
        tokens = ARITHMETIC.decode(x)
        operands, well_formed = self.parse(tokens)
        malformed = -1 - tokens @ len(ARITHMETIC) ** np.arange(tokens.shape[1])
        return np.where(well_formed, self.key_of(self.repaired(operands)), malformed)

    def splittable(self, x: Float[np.ndarray, "n time feature"]) -> Bool[np.ndarray, " n"]:
        """Return whether each row ends with its owner (see `owners`); where the last operand is alone, all do."""
        if self.right == 1:
            return np.ones(len(x), bool)
        operands, _ = self.parse(ARITHMETIC.decode(x))
        return self.form.owned(operands)

    def repaired(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, "n operand"]:
        """Return the operands of each equation's problem, in any order: true, for the owner is solved for."""
        return self.solved(operands) if self.right == 1 else self.form.repaired(operands)

    def key_of(self, problems: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return a number for each true equation, the same for those that commutation turns into each other."""
        return self.form.key(problems)

    @property
    def form(self) -> Form:
        """How many operands stand on each side, and what they are below."""
        return Form(self.left, self.right, self.modulus)

    def size_of(self, problems: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return how many digits the operands have in all, leading zeros not counted."""
        longer = np.abs(problems)[:, :, None] >= 10 ** np.arange(1, self.digits)
        return problems.shape[1] + longer.sum(axis=(1, 2))

    def stratum(self, x: Float[np.ndarray, "n time feature"]) -> Int[np.ndarray, " n"]:
        """Return how many digits the operands of the true equation have in all, leading zeros not counted."""
        operands, _ = self.parse(ARITHMETIC.decode(x))
        return self.size_of(self.repaired(operands))

    def kinds(self, x: Float[np.ndarray, "n time feature"]) -> dict[str, Bool[np.ndarray, " n"]]:
        """Return which kind of wrong answer each equation has; a true or malformed one has none."""
        operands, well_formed = self.parse(ARITHMETIC.decode(x))
        true, plain = self.solved(operands)[:, -1], self.without_carries(operands)
        found = kinds_of(true, plain, operands[:, -1], self.digits)
        return {kind: matches & well_formed for kind, matches in found.items()}

    def groups(
        self, x: Float[np.ndarray, "n time feature"], y: Float[np.ndarray, " n"]
    ) -> dict[str, Shaped[np.ndarray, " n"]]:
        """Return each row's kind of answer and its units digit and, of more digits, carries, wrong digits and size.

        Carries are those of both sides as they stand; the size is that with the last operand solved for. Read from x.
        """
        operands, _ = self.parse(ARITHMETIC.decode(x))
        answer, true = operands[:, -1], self.solved(operands)[:, -1]
        kind = np.full(len(x), "true", "U20")
        for name, matches in self.kinds(x).items():
            kind[matches] = name
        found = {"kind of answer": kind}
        if self.digits > 1:
            carries = carries_of(operands[:, : self.left]) + carries_of(operands[:, self.left :])
            found["number of carries"] = carries.astype(str)
            found["wrong digits of the answer"] = differing(answer, true, self.digits)
            found["digits of all numbers"] = self.size_of(self.solved(operands)).astype(str)
        return found | {"units digit of the answer": (answer % 10).astype(str)}

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

    def step_names(self, row: Float[np.ndarray, "time feature"]) -> list[str]:
        """Return the symbol of each step."""
        return list(ARITHMETIC.spell(row))

    def feature_names(self) -> list[str]:
        """Return the symbols."""
        return list(ARITHMETIC.symbols)


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
