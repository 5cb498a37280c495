"""Ceilings of equations for restricted views, by counting problems and answers: a list of all equations is too long.

A rule that tries some models would give a bound from below, which is no ceiling.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from coretx.tasks.base import Ceiling
from coretx.tasks.negatives import WrongAnswers

PROBLEMS_PER_BLOCK = 4000
"""The equations of this many problems are tested at once."""


def of_all(
    problems: Int[np.ndarray, "problem operand"], states: Int[np.ndarray, " problem"], rule: WrongAnswers, digits: int
) -> dict[str, Ceiling]:
    """Return the ceilings if all equations of these problems can be drawn.

    Problems are counted by bag and by state, which avoids a list of 66 million equations.
    """
    table = np.zeros((rule.modulus, rule.modulus))
    of_state = np.bincount(states, minlength=len(rule.true)) / len(problems)
    np.add.at(table, rule.true, of_state[:, None] * rule.probability)
    bag, place = np.unique(bag_of_digits(problems[:, :-1], digits), return_inverse=True)
    joint = np.zeros((len(bag), len(rule.true)))
    np.add.at(joint, (place, states), 1)
    true = np.zeros((len(bag), rule.modulus))
    np.add.at(true.T, rule.true, joint.T)
    order_blind = best_by_bag(bag, true, joint @ rule.probability, digits)
    return _ceilings(best_accuracy(table.sum(axis=1), table.sum(axis=0)), order_blind, table)


def of_some(
    problems: Int[np.ndarray, "problem operand"],
    states: Int[np.ndarray, " problem"],
    rule: WrongAnswers,
    digits: int,
    times: Float[np.ndarray, " problem"],
    included: Callable[[Int[np.ndarray, "n operand"]], Bool[np.ndarray, " n"]],
) -> dict[str, Ceiling]:
    """Return the ceilings if only the included equations can be drawn, each problem counted so many times.

    Every answer to every problem is tested: 7 million equations on the test side of `aa+bb=cc+dd`.
    """
    true, false = included(problems) * times, rule.probability[states] * times[:, None]
    for start in range(0, len(problems), PROBLEMS_PER_BLOCK):
        some = problems[start : start + PROBLEMS_PER_BLOCK]
        rows = np.repeat(some, rule.modulus, axis=0)
        rows[:, -1] = np.tile(np.arange(rule.modulus), len(some))
        false[start : start + PROBLEMS_PER_BLOCK] *= included(rows).reshape(len(some), -1)
    true, false = true / true.sum(), false / false.sum()
    bag, place = np.unique(bag_of_digits(problems[:, :-1], digits), return_inverse=True)
    tables = np.zeros((2, len(bag), rule.modulus))
    np.add.at(tables[0], (place, problems[:, -1]), true)
    np.add.at(tables[1], place, false)
    by_answer = np.bincount(problems[:, -1], true, minlength=rule.modulus)
    answer_only = best_accuracy(by_answer, false.sum(axis=0))
    return _ceilings(
        answer_only, best_by_bag(bag, tables[0], tables[1], digits), exchangeable(problems[:, -1], true, false)
    )


def _ceilings(answer_only: float, order_blind: float, table: Float[np.ndarray, "true wrong"]) -> dict[str, Ceiling]:
    additive = Ceiling(additive_bound(table), "certified")
    found = {"answer-only": Ceiling(answer_only, "exact"), "order-blind": Ceiling(order_blind, "exact")}
    return found | {"additive": additive, "linear": additive}


def best_accuracy(true: Float[np.ndarray, " value"], false: Float[np.ndarray, " value"]) -> float:
    """Return the best accuracy of a rule that sees one value, from the distribution of the value in each class."""
    return float(np.maximum(true / true.sum(), false / false.sum()).sum() / 2)


def best_by_bag(
    bag: Int[np.ndarray, " bag"],
    true: Float[np.ndarray, "bag answer"],
    false: Float[np.ndarray, "bag answer"],
    digits: int,
) -> float:
    """Return the best accuracy from all digits as a bag; `bag` is that of all operands but the answer.

    The signs carry nothing: they are the same in every row of a form.
    """
    seen = (bag[:, None] + bag_of_digits(np.arange(true.shape[1])[:, None], digits)).ravel()
    _, group = np.unique(seen, return_inverse=True)
    return best_accuracy(np.bincount(group, true.ravel()), np.bincount(group, false.ravel()))


def bag_of_digits(operands: Int[np.ndarray, "n operand"], digits: int) -> Int[np.ndarray, " n"]:
    """Return a number for the digits of each row, whatever their order: the count of each digit in four bits."""
    counts = 16 ** np.arange(10)
    return counts[operands[:, :, None] // 10 ** np.arange(digits) % 10].sum(axis=(1, 2))


def additive_bound(table: Float[np.ndarray, "true wrong"]) -> float:
    """Return an upper bound for every rule that sums a contribution of each step; linear rules are among them.

    Take two true equations with answers t and w, and exchange the answers: two false ones. Both pairs have the same
    sum of contributions. If both true ones are above the threshold, so is one of the false ones: of the four at least
    one is judged wrongly. The rows with true answer t and wrong answer w can form as many such fours as there are rows
    with t and w exchanged.
    """
    matched = np.minimum(table, table.T).sum() - np.trace(table)
    return float(1 - matched / 4)


def exchangeable(
    answers: Int[np.ndarray, " problem"],
    true: Float[np.ndarray, " problem"],
    false: Float[np.ndarray, "problem answer"],
) -> Float[np.ndarray, "true wrong"]:
    """Return the share of false equations that can be in fours (see `additive_bound`), by true and wrong answer.

    A four takes equal shares of a false equation and of its true one, so a problem counts at most up to the share of
    its true equation. Three of four false equations lack their true one and are left out: the bound holds but is loose.
    """
    part = false.sum(axis=1)
    counted = np.minimum(true, part) / np.where(part > 0, part, 1)
    table = np.zeros((false.shape[1], false.shape[1]))
    np.add.at(table, answers, false * counted[:, None])
    return table
