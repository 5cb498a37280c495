"""How much a model can reach that sees an input in a limited way: floors, ceilings, and the alarm above them.

Accuracies are those over a task's distribution with both classes at even odds, on one side of its space or on all of
it: exact where the inputs can be listed or counted, or an upper bound that is proved; else estimated, or none is known.
What is found by trying rules would be a bound from below, and no ceiling.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from coretx.models.spec import VIEWS
from coretx.seeds import stream
from coretx.tasks.arithmetic import Equation
from coretx.tasks.base import Task, row_keys
from coretx.tasks.sampling import Dataset
from coretx.tasks.split_assignment import SIDES, Side


@dataclass(frozen=True)
class Ceiling:
    """The best accuracy that a view of the input allows, None where none is known.

    `kind`: `exact` over the distribution, `certified` for a proved upper bound, `estimated` from draws (`low` is the
    lower end of its 95 % interval, value the upper), else `none known`.
    """

    value: float | None
    kind: Literal["exact", "certified", "estimated", "none known"]
    low: float | None = None


ALARM = 1e-6
"""How improbable a score above its ceiling must be to be an alarm."""
PROBLEMS_AT_ONCE = 4000
"""Problems of which all equations are looked at together."""
DRAWS = 3000
"""Inputs on which it is tried whether the order of steps matters."""


def ceilings(task: Task, side: Side | None) -> dict[str, Ceiling]:
    """Return the ceiling of every view on this side of the task's space, on all of it where None."""
    found = {"majority": Ceiling(0.5, "exact"), "full": Ceiling(1.0, "exact")}
    if isinstance(task, Equation):
        problems = _problems(task, side)
        if side is None or task.right == 1:
            table = _answer_table(task, problems)
            answer_only = _best(table.sum(axis=1), table.sum(axis=0))
            order_blind = _order_blind(task, *_bags_and_answers(task, problems))
        else:
            problems, true, false = _owned(task, problems)
            table = _exchangeable(task, problems, true, false)
            by_answer = np.bincount(problems[:, -1], true, minlength=task.modulus)
            answer_only = _best(by_answer, false.sum(axis=0))
            order_blind = _order_blind(task, *_bags_and_owned(task, problems, true, false))
        found["answer-only"], found["order-blind"] = Ceiling(answer_only, "exact"), Ceiling(order_blind, "exact")
        found["additive"] = found["linear"] = Ceiling(_additive_bound(table), "certified")
    elif (space := task.space()) is not None:
        found["order-blind"] = Ceiling(_order_blind_listed(task, side, *space), "exact")
    elif _order_seems_idle(task):
        found["order-blind"] = Ceiling(1.0, "estimated", low=1 - 3 / DRAWS)  # the rule of three, at 95 %
    return found


def _order_seems_idle(task: Task) -> bool:
    """Return whether no label changes when the steps of an input are put in another order, in DRAWS draws."""
    rng = stream(0, task.name, purpose="ceilings")
    x = np.asarray(task.generate_candidates(DRAWS, rng))
    order = rng.permuted(np.tile(np.arange(x.shape[1]), (len(x), 1)), axis=1)
    return bool((task.label(x) == task.label(np.take_along_axis(x, order[:, :, None], axis=1))).all())


def _problems(task: Equation, side: Side | None) -> Int[np.ndarray, "problem operand"]:
    problems = task.all_problems()
    if side is None:
        return problems
    return problems[task.side_of_keys(task.key_of(problems)) == SIDES.index(side)]


def _best(true: Float[np.ndarray, " value"], false: Float[np.ndarray, " value"]) -> float:
    """Return the best accuracy of a rule that sees one value, which either class has with these probabilities."""
    return float(np.maximum(true / true.sum(), false / false.sum()).sum() / 2)


def _answer_table(task: Equation, problems: Int[np.ndarray, "problem operand"]) -> Float[np.ndarray, "true wrong"]:
    """Return how likely each wrong answer goes with each true one; sums to 1."""
    rule = task.wrong_answers
    state = np.bincount(_states(task, problems), minlength=len(rule.true)) / len(problems)
    table = np.zeros((task.modulus, task.modulus))
    np.add.at(table, rule.true, state[:, None] * rule.probability)
    return table


def _states(task: Equation, problems: Int[np.ndarray, "problem operand"]) -> Int[np.ndarray, " problem"]:
    return task.wrong_answers.states(problems[:, -1], task.without_carries(problems))


def _bags_and_answers(
    task: Equation, problems: Int[np.ndarray, "problem operand"]
) -> tuple[Int[np.ndarray, " bag"], Float[np.ndarray, "bag answer"], Float[np.ndarray, "bag answer"]]:
    """Return the bags of the operands that are never corrupted, and how often each answer goes with them, by label.

    Problems are counted by bag and by state; so 66 million equations need no list.
    """
    rule = task.wrong_answers
    bag, place = np.unique(_bag(problems[:, :-1], task.digits), return_inverse=True)
    joint = np.zeros((len(bag), len(rule.true)))
    np.add.at(joint, (place, _states(task, problems)), 1)
    true = np.zeros((len(bag), task.modulus))
    np.add.at(true.T, rule.true, joint.T)
    return bag, true, joint @ rule.probability


def _owned(
    task: Equation, problems: Int[np.ndarray, "problem operand"]
) -> tuple[Int[np.ndarray, "some operand"], Float[np.ndarray, " some"], Float[np.ndarray, "some answer"]]:
    """Return problems with the share of each true equation and of each false one: 0 where it is on no side.

    Every answer to every problem is tested for ending with its owner. Problems that differ only in the order of their
    left operands are tested once and counted twice: 7 million equations on test's side.
    """
    problems = problems[problems[:, 0] <= problems[:, task.left - 1]]
    times = 1.0 + (problems[:, 0] != problems[:, task.left - 1])
    true = task.form.owned(problems) * times
    false = task.wrong_answers.probability[_states(task, problems)] * times[:, None]
    for start in range(0, len(problems), PROBLEMS_AT_ONCE):
        some = problems[start : start + PROBLEMS_AT_ONCE]
        rows = np.repeat(some, task.modulus, axis=0)
        rows[:, -1] = np.tile(np.arange(task.modulus), len(some))
        false[start : start + PROBLEMS_AT_ONCE] *= task.form.owned(rows).reshape(len(some), -1)
    return problems, true / true.sum(), false / false.sum()


def _bags_and_owned(
    task: Equation,
    problems: Int[np.ndarray, "problem operand"],
    true: Float[np.ndarray, " problem"],
    false: Float[np.ndarray, "problem answer"],
) -> tuple[Int[np.ndarray, " bag"], Float[np.ndarray, "bag answer"], Float[np.ndarray, "bag answer"]]:
    """Return what `_bags_and_answers` does, of equations that end with their owner."""
    bag, place = np.unique(_bag(problems[:, :-1], task.digits), return_inverse=True)
    tables = np.zeros((2, len(bag), task.modulus))
    np.add.at(tables[0], (place, problems[:, -1]), true)
    np.add.at(tables[1], place, false)
    return bag, tables[0], tables[1]


def _order_blind(
    task: Equation,
    bag: Int[np.ndarray, " bag"],
    true: Float[np.ndarray, "bag answer"],
    false: Float[np.ndarray, "bag answer"],
) -> float:
    """Return the best accuracy from the digits as a bag: the signs are the same in every row of a form."""
    seen = (bag[:, None] + _bag(np.arange(task.modulus)[:, None], task.digits)).ravel()
    _, group = np.unique(seen, return_inverse=True)
    return _best(np.bincount(group, true.ravel()), np.bincount(group, false.ravel()))


def _bag(operands: Int[np.ndarray, "n operand"], digits: int) -> Int[np.ndarray, " n"]:
    """Return a number for the digits of each row that does not depend on their order."""
    counts = 16 ** np.arange(10)  # how often each digit occurs, four bits each
    return counts[operands[:, :, None] // 10 ** np.arange(digits) % 10].sum(axis=(1, 2))


def _order_blind_listed(
    task: Task,
    side: Side | None,
    x: Float[np.ndarray, "n time feature"],
    probability: Float[np.ndarray, " n"],
) -> float:
    """Return the best accuracy from the steps as a bag, over a listed space."""
    kept = np.ones(len(x), bool) if side is None else task.side(x) == SIDES.index(side)
    groups, y = bags(x[kept]), task.label(x[kept])
    true, false = (np.bincount(groups, probability[kept] * (y == label)) for label in (1, 0))
    return _best(true, false)


def bags(x: Float[np.ndarray, "n time feature"]) -> Int[np.ndarray, " n"]:
    """Return a number for each row, the same for rows that have the same steps in whatever order."""
    steps = row_keys(x.reshape(-1, 1, x.shape[2])).reshape(x.shape[:2])
    _, names = np.unique(steps, return_inverse=True)
    ordered = np.sort(names.reshape(x.shape[:2]), axis=1)
    return np.unique(ordered, axis=0, return_inverse=True)[1].ravel()


def _additive_bound(table: Float[np.ndarray, "true wrong"]) -> float:
    """Return an upper bound for every rule that adds up what each step contributes; linear rules are among them.

    Take two true equations with answers t and w, and exchange the answers: two false ones. Both pairs add up to the
    same, so if both true ones are above the threshold, one of the false ones is too: of the four at least one is
    judged wrongly. Of the rows with true answer t and wrong answer w as many can be put into such fours as are matched
    by those with t and w exchanged.
    """
    matched = np.minimum(table, table.T).sum() - np.trace(table)
    return float(1 - matched / 4)


def _exchangeable(
    task: Equation,
    problems: Int[np.ndarray, "problem operand"],
    true: Float[np.ndarray, " problem"],
    false: Float[np.ndarray, "problem answer"],
) -> Float[np.ndarray, "true wrong"]:
    """Return the share of false equations that can be in fours (see `_additive_bound`), by true and wrong answer.

    A four takes equal shares of a false equation and of its true one. So a false equation counts only where its true
    one is on the side too, and problems count at most up to the share of their true equation. Three of four false
    equations lack their true one and are left out: the bound holds, but it is loose.
    """
    part = false.sum(axis=1)
    counted = np.minimum(true, part) / np.where(part > 0, part, 1)
    table = np.zeros((task.modulus, task.modulus))
    np.add.at(table, problems[:, -1], false * counted[:, None])
    return table


def alarm_limit(ceiling: Ceiling, view: str, test: Dataset, exhausted: bool, members: int) -> float:
    """Return the accuracy on these test rows above which no model of this view can be but by chance of ALARM.

    Hoeffding, "Probability inequalities for sums of bounded random variables", 1963, holds without replacement too.
    Where the side was exhausted the rows are no sample; then the best any order-blind rule could do on these very rows
    counts, and no chance is allowed for.
    """
    if ceiling.value is None or ceiling.kind == "estimated":
        return 1.0
    if not exhausted:
        return min(ceiling.value + math.sqrt(math.log(members / ALARM) / (2 * len(test))), 1.0)
    if view != "order-blind":
        return 1.0
    groups = bags(test.x)
    return float(sum(np.maximum(np.bincount(groups, test.y), np.bincount(groups, 1 - test.y))) / len(test))


def alarm(
    view: str,
    accuracy: Float[np.ndarray, " member"],
    found: Mapping[str, Ceiling],
    test: Dataset,
    exhausted: bool,
) -> str | None:
    """Return the sentence that says a score is above its ceiling by more than chance; None where none is."""
    ceiling = found.get(view, Ceiling(None, "none known"))
    limit = alarm_limit(ceiling, view, test, exhausted, len(accuracy))
    highest = int(accuracy.argmax())
    if accuracy[highest] <= limit + 1e-9:
        return None
    return (
        f"member {highest} is right on {accuracy[highest]:.1%} of {len(test)} test rows, but a model that answers by "
        f"{VIEWS[view]} ({view}) cannot be right on more than {limit:.1%}: it sees more than it should"
    )
