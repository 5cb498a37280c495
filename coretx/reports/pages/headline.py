"""The top of a model page: the question with an example of each class, and what the score amounts to."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from coretx.evaluation.ceilings import Ceiling
from coretx.evaluation.intervals import Summary
from coretx.records.results import ModelResult
from coretx.reports.pages.formatting import percent
from coretx.tasks.base import Task


@dataclass(frozen=True)
class Verdict:
    """What the score amounts to in a word or two, and why."""

    word: str
    why: str


def question(result: ModelResult, task: Task) -> list[dict[str, Any]]:
    """Return an example of each class, class 1 first: the first test row that has it."""
    if "test" not in result.predictions:
        return []
    test = result.predictions["test"]
    found = []
    for label in (1, 0):
        rows = np.flatnonzero(test.y == label)
        if len(rows):
            found.append({"input": task.render(test.x[rows[0]]), "label": label})
    return found


def side_used_up(result: ModelResult) -> bool:
    """Tell whether train is a disjoint side of the task's space that has no more rows to give."""
    counts = result.counts.get("train")
    return used_up(result.config.split, None if counts is None else sum(counts.rows), result.config.n_samples)


def used_up(protocol: str, train_rows: int | None, n_samples: int) -> bool:
    """Tell whether train has fewer rows than the n_samples that were asked for, on a side of its own."""
    return protocol == "disjoint" and train_rows is not None and train_rows < n_samples


def below_chance(chance: float, used_up: bool) -> str:
    """Return what is to be said of a score whose intervals end below chance, and why where the split makes it so."""
    said = f"its interval ends below {percent(chance)}"
    why = ": the splits are disjoint parts of a small space, so what is more frequent in train is rarer in test"
    return said + why * used_up


def verdict(accuracy: Summary, chance: float, ceiling: Ceiling | None, used_up: bool = False) -> Verdict | None:
    """Return what an accuracy amounts to, by the outermost ends of its intervals over members and over rows.

    None where it has no interval. `used_up` is what `side_used_up` tells.
    """
    ends = [interval for interval in (accuracy.members, accuracy.rows) if interval is not None]
    if accuracy.mean is None or not ends:
        return None
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    best = None if ceiling is None else ceiling.value
    if low <= chance <= high:
        too = "" if best is None or best > high else f", and its ceiling of {percent(best)} too"
        return Verdict("Chance is not excluded", f"its interval includes {percent(chance)}{too}")
    if high < chance:
        return Verdict("Below chance", below_chance(chance, used_up))
    if best is None:
        return Verdict(
            "Above chance", f"its interval begins above {percent(chance)}; no ceiling is known to measure by"
        )
    if high >= best:
        why = "all that can be reached" if best == 1 else "all that its view of the input allows"
        return Verdict("At its ceiling", f"its interval includes {percent(best)}, {why}")
    short = f"{100 * (best - accuracy.mean):.1f}".removesuffix(".0")
    return Verdict("Above chance, below its ceiling", f"{short} points short of {percent(best)}")


def scale(accuracy: Summary, chance: float, ceiling: Ceiling | None) -> dict[str, Any] | None:
    """Return the places, in percent of a line, of score, interval, chance and ceiling, and where the line begins."""
    ends = [interval for interval in (accuracy.members, accuracy.rows) if interval is not None]
    if accuracy.mean is None or not ends:
        return None
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    begin = max(math.ceil(10 * min(low, chance)) - 1, 0) / 10

    def place(value: float) -> float:
        return round(100 * (value - begin) / (1 - begin), 2)

    best = None if ceiling is None or ceiling.value is None else ceiling.value
    return {
        "begin": percent(begin).replace(".0%", "%"),
        "low": place(low),
        "width": round(place(high) - place(low), 2),
        "mean": place(accuracy.mean),
        "chance": place(chance),
        "ceiling": None if best is None else place(best),
        "said": f"accuracy {percent(accuracy.mean)}, interval {percent(low)} to {percent(high)}, "
        f"chance {percent(chance)}" + ("" if best is None else f", ceiling {percent(best)}"),
    }
