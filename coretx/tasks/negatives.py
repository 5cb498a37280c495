"""Wrong answers to equations, drawn so that the answer alone tells nothing about the label.

Uniform wrong answers, as in the original, leak the label: a sum of two numbers is rarely small. Here a linear programme
finds how often each wrong answer goes with each true one, so that both have the same distribution.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from coretx.errors import UsageError

MIX = {"off_by_one": 2, "carry_dropped": 1, "off_by_ten": 1, "digits_swapped": 1, "other": 3}
"""The kinds of wrong answer, of which the first match counts, and their proportions among the kinds a task admits.

`carry_dropped` adds every column on its own, modulo 10. It comes before `off_by_ten`, of which it is mostly a case.
"""


@dataclass(frozen=True)
class WrongAnswers:
    """The probability of each wrong answer by state: the true answer, and the answer without carries."""

    true: Int[np.ndarray, " state"]
    without_carries: Int[np.ndarray, " state"]
    share: Float[np.ndarray, " state"]
    """The share of problems in this state; sums to 1."""
    probability: Float[np.ndarray, "state answer"]
    """Of each wrong answer in this state; each row sums to 1."""

    @property
    def modulus(self) -> int:
        """Answers are 0 to modulus - 1."""
        return self.probability.shape[1]

    def states(self, true: Int[np.ndarray, " n"], without_carries: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return each problem's state."""
        codes = self.true * self.modulus + self.without_carries
        return np.searchsorted(codes, true * self.modulus + without_carries)

    def draw(
        self, true: Int[np.ndarray, " n"], without_carries: Int[np.ndarray, " n"], rng: np.random.Generator
    ) -> Int[np.ndarray, " n"]:
        """Draw a wrong answer to each problem."""
        below, state = np.cumsum(self.probability, axis=1), self.states(true, without_carries)
        drawn = rng.random(len(true)) * below[state, -1]
        wrong = np.zeros(len(true), int)  # by bisection: the number of cumulated probabilities below the draw
        for step in 2 ** np.arange(self.modulus.bit_length())[::-1]:
            further = wrong + step
            wrong += step * ((further <= self.modulus) & (below[state, np.minimum(further, self.modulus) - 1] < drawn))
        return wrong


def kinds_of(
    true: Int[np.ndarray, "..."], without_carries: Int[np.ndarray, "..."], answer: Int[np.ndarray, "..."], digits: int
) -> dict[str, Bool[np.ndarray, "..."]]:
    """Return the kind of each answer, in the order of MIX; a true answer has none. The three are broadcast.

    >>> {kind: matches.tolist() for kind, matches in kinds_of(*np.array([[42], [32], [24]]), digits=2).items()}["other"]
    [False]
    """
    matches = {
        "off_by_one": np.abs(answer - true) == 1,
        "carry_dropped": answer == without_carries,
        "off_by_ten": np.abs(answer - true) == 10,
        "digits_swapped": with_digits_reversed(answer, digits) == true,
        "other": np.ones(np.broadcast(true, answer).shape, bool),
    }
    left = answer != true
    kinds = {}
    for kind in MIX:
        kinds[kind] = matches[kind] & left
        left = left & ~matches[kind]
    return kinds


def with_digits_reversed(numbers: Int[np.ndarray, "..."], digits: int) -> Int[np.ndarray, "..."]:
    """Return each number, padded to so many digits, read backwards."""
    place = 10 ** np.arange(digits)
    return (numbers[..., None] // place % 10) @ place[::-1]


def uniform(true: Int[np.ndarray, " n"], without_carries: Int[np.ndarray, " n"], modulus: int) -> WrongAnswers:
    """Return the rule of the original for these problems: all wrong answers are equally likely."""
    states, share = _states(true, without_carries)
    wrong = np.arange(modulus) != states[:, :1]
    return WrongAnswers(states[:, 0], states[:, 1], share, wrong / (modulus - 1))


def balanced(true: Int[np.ndarray, " n"], without_carries: Int[np.ndarray, " n"], digits: int) -> WrongAnswers:
    """Return the rule by which wrong answers to these problems have the distribution of the true ones.

    A linear programme over joint tables of state and wrong answer. Each state has its share, each wrong answer its
    share as a true answer, and each kind its part of the mix. Compare each cell with a draw of true answers within its
    kind: the table whose smallest ratio is largest is taken, so that no wrong answer is left out. Raises UsageError if
    no table fits.
    """
    states, share = _states(true, without_carries)
    answers = np.bincount(states[:, 0], share, minlength=10**digits)
    kinds = kinds_of(states[:, :1], states[:, 1:], np.arange(10**digits)[None], digits)
    kinds = {kind: weights for kind, matches in kinds.items() if (weights := matches * answers).any()}
    mix = np.array([MIX[kind] for kind in kinds]) / sum(MIX[kind] for kind in kinds)
    wanted = np.zeros((len(states), len(answers)))
    for part, weights in zip(mix, kinds.values(), strict=True):
        wanted += part * weights / np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    wanted *= (share / wanted.sum(axis=1))[:, None]
    kind_of = np.argmax([weights > 0 for weights in kinds.values()], axis=0)
    named = len(kinds) - ("other" in kinds)
    table = _closest_table(wanted, kind_of, named, share, answers, mix)
    return WrongAnswers(states[:, 0], states[:, 1], share, table / table.sum(axis=1, keepdims=True))


def exchanged(
    true: Int[np.ndarray, " n"], without_carries: Int[np.ndarray, " n"], digits: int, rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
    """Return a wrong answer to each problem: the true answer of another problem.

    For answers with too many digits for the table of `balanced`. Pairs exchange their answers until each named kind has
    its part of the mix, or no pair can give it; the rest is shuffled.
    """
    wrong = np.full(len(true), -1)
    wanted = {
        "carry_dropped": without_carries[:, None],
        "digits_swapped": with_digits_reversed(true, digits)[:, None],
        "off_by_one": true[:, None] + [1, -1],
        "off_by_ten": true[:, None] + [10, -10],
    }
    for kind, answers in wanted.items():
        given = kinds_of(true, without_carries, wrong, digits)[kind] & (wrong >= 0)
        _exchange(true, answers, wrong, round(len(true) * MIX[kind] / sum(MIX.values())) - int(given.sum()), rng)
    rest = np.flatnonzero(wrong < 0)
    wrong[rest] = _shuffled(true[rest], 10**digits, rng)
    return wrong


def _exchange(
    true: Int[np.ndarray, " n"],
    wanted: Int[np.ndarray, "n choice"],
    wrong: Int[np.ndarray, " n"],
    rows: int,
    rng: np.random.Generator,
) -> None:
    """Fill in at most so many wrong answers of a kind: a problem gets one of its choices from a partner.

    The partner has that choice as its true answer, and gets the problem's, which may be one of its choices too.
    """
    free = rng.permutation(np.flatnonzero(wrong < 0)).tolist()
    with_answer: dict[int, list[int]] = {}
    for row in free:
        with_answer.setdefault(int(true[row]), []).append(row)
    for row in free:
        for answer in rng.permutation(wanted[row]).tolist():
            partners = with_answer.get(answer, [])
            while partners and wrong[partners[-1]] >= 0:
                partners.pop()
            if rows > 0 and wrong[row] < 0 and partners and answer != true[row]:
                partner = partners.pop()
                wrong[row], wrong[partner] = answer, true[row]
                rows -= 1 + int(true[row] in wanted[partner])


def _shuffled(values: Int[np.ndarray, " n"], modulus: int, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Return the values in an order that changes each; if none does after 100 tries, another value below modulus."""
    shuffled = rng.permutation(values)
    for _ in range(100):
        for row in np.flatnonzero(shuffled == values):
            other = rng.integers(len(values))
            shuffled[[row, other]] = shuffled[[other, row]]
    return np.where(shuffled == values, (values + rng.integers(1, modulus, len(values))) % modulus, shuffled)


def _states(
    true: Int[np.ndarray, " n"], without_carries: Int[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, "state 2"], Float[np.ndarray, " state"]]:
    base = int(without_carries.max()) + 1
    numbers, counts = np.unique(true * base + without_carries, return_counts=True)  # of pairs: twelve times as long
    return np.stack(np.divmod(numbers, base), axis=1), counts / len(true)


def _closest_table(
    wanted: Float[np.ndarray, "state answer"],
    kind_of: Int[np.ndarray, "state answer"],
    named_kinds: int,
    share: Float[np.ndarray, " state"],
    answers: Float[np.ndarray, " answer"],
    mix: Float[np.ndarray, " kind"],
) -> Float[np.ndarray, "state answer"]:
    """Solve the programme for the factor of each wanted cell. Kinds from `named_kinds` on are `other`.

    The few cells of the named kinds have a factor each. Nearly all cells are `other`. Their factor is the sum of one
    for their state (at least the smallest factor) and one for their answer (at least 0). So there are hundreds of
    unknowns in place of tens of thousands.
    """
    from scipy import sparse  # late, with linprog: half a second, and few runs need them
    from scipy.optimize import linprog

    def ones(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
        return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape)

    state, answer = np.nonzero(wanted)
    kind, amount = kind_of[state, answer], wanted[state, answer]
    cells = np.arange(len(state))
    named, rest = np.flatnonzero(kind < named_kinds), np.flatnonzero(kind >= named_kinds)
    sizes = (len(cells), len(named) + len(share) + len(answers) + 1)
    columns = [np.arange(len(named)), len(named) + state[rest], len(named) + len(share) + answer[rest]]
    factor = ones(np.concatenate([named, rest, rest]), np.concatenate(columns), sizes)
    totals = np.concatenate([share, answers, mix])
    places = np.concatenate([state, len(share) + answer, len(share) + len(answers) + kind])
    margins = ones(places, np.tile(cells, 3), (len(totals), len(cells)))
    scale = sparse.diags(1 / np.where(totals > 0, totals, 1))  # the solver's tolerance is absolute, shares are small
    bounded = len(named) + len(share)
    smallest = sparse.hstack([-sparse.eye(bounded), sparse.csr_matrix((bounded, len(answers))), np.ones((bounded, 1))])
    found = linprog(
        c=-np.eye(sizes[1])[-1],
        A_ub=smallest,
        b_ub=np.zeros(bounded),
        A_eq=scale @ margins @ sparse.diags(amount) @ factor,
        b_eq=scale @ totals,
        bounds=[(None, None)] * bounded + [(0, None)] * (len(answers) + 1),
        method="highs",
    )
    if found.status:
        raise UsageError(
            "balanced negatives need a table of wrong answers with the distribution of the true ones, but none exists "
            f"for these problems ({found.message}): change the task's operands, or take --negatives original"
        )
    table = np.zeros_like(wanted)
    table[state, answer] = np.maximum(factor @ found.x, 0) * amount
    return table
