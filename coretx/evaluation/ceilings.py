"""The accuracy that a model of a restricted view can reach: floors, ceilings, and the alarm for scores above them.

Accuracies are over a task's distribution with both classes equally likely, on one side of its space or on all of it.
They are exact if the inputs can be listed or counted, else proved upper bounds, estimates, or not known.
"""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from coretx.models.spec import VIEWS
from coretx.seeds import stream
from coretx.tasks.base import SIDES, Ceiling, Side, Task, row_keys
from coretx.tasks.equation_ceilings import best_accuracy
from coretx.tasks.sampling import Dataset

ALARM = 1e-6
"""The probability of a score above its ceiling, below which it is an alarm."""
DRAWS = 3000
"""Inputs on which the order of steps is changed, to see whether it matters."""


def ceilings(task: Task, side: Side | None) -> dict[str, Ceiling]:
    """Return the ceiling of every view on this side of the task's space, or on all of it."""
    found = {"majority": Ceiling(0.5, "exact"), "full": Ceiling(1.0, "exact"), **task.ceilings(side)}
    if "order-blind" not in found:
        if (space := task.space()) is not None:
            found["order-blind"] = Ceiling(order_blind_of_space(task, side, *space), "exact")
        elif order_seems_irrelevant(task):
            found["order-blind"] = Ceiling(1.0, "estimated", low=1 - 3 / DRAWS)  # the rule of three, at 95 %
    return found


def order_seems_irrelevant(task: Task) -> bool:
    """Return whether no label changes with the order of the steps, in DRAWS draws."""
    rng = stream(0, task.name, purpose="ceilings")
    x = np.asarray(task.generate_candidates(DRAWS, rng))
    order = rng.permuted(np.tile(np.arange(x.shape[1]), (len(x), 1)), axis=1)
    return bool((task.label(x) == task.label(np.take_along_axis(x, order[:, :, None], axis=1))).all())


def order_blind_of_space(
    task: Task, side: Side | None, x: Float[np.ndarray, "n time feature"], probability: Float[np.ndarray, " n"]
) -> float:
    """Return the best accuracy from the steps as a bag, over the listed inputs of a side."""
    kept = np.ones(len(x), bool) if side is None else task.side(x) == SIDES.index(side)
    groups, y = bags(x[kept]), task.label(x[kept])
    true, false = (np.bincount(groups, probability[kept] * (y == label)) for label in (1, 0))
    return best_accuracy(true, false)


def bags(x: Float[np.ndarray, "n time feature"]) -> Int[np.ndarray, " n"]:
    """Return a number for each row, the same for rows with the same steps in any order."""
    steps = row_keys(x.reshape(-1, 1, x.shape[2])).reshape(x.shape[:2])
    _, names = np.unique(steps, return_inverse=True)
    ordered = np.sort(names.reshape(x.shape[:2]), axis=1)
    return np.unique(ordered, axis=0, return_inverse=True)[1].ravel()


def alarm_limit(ceiling: Ceiling, view: str, test: Dataset, exhausted: bool, members: int) -> float:
    """Return the accuracy on these test rows that a model of this view exceeds with probability below ALARM.

    Hoeffding, "Probability inequalities for sums of bounded random variables", 1963, holds without replacement too. The
    rows of an exhausted side are no sample. Then the limit is the best accuracy of an order-blind rule on these very
    rows, and 1 for other views.
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
    """Return a sentence about the best member if its score is above the limit of its view, else None."""
    ceiling = found.get(view, Ceiling(None, "none known"))
    limit = alarm_limit(ceiling, view, test, exhausted, len(accuracy))
    highest = int(accuracy.argmax())
    if accuracy[highest] <= limit + 1e-9:
        return None
    return (
        f"member {highest} is right on {accuracy[highest]:.1%} of {len(test)} test rows, but a model that answers by "
        f"{VIEWS[view]} ({view}) cannot be right on more than {limit:.1%}: it sees more than it should"
    )
