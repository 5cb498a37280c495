"""Simulates ladders of known truth and counts right, wrong and unclear verdicts: `python -m benchmarks.verdicts`.

With `--write docs/verdicts.md` the report goes between the markers of that page. A ladder has seven rungs, with members
and rows. The statistics are those of `coretx.evaluation.paired_test`, for many ladders at once.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import stdtrit

from benchmarks.markdown import NONE, put_between, table
from coretx.errors import UsageError
from coretx.evaluation.paired_test import FEWEST_MEMBERS, LEVEL, MARGIN

MEMBERS = (1, 2, 3, 5, 8)
FAMILIES = {
    "0": (0.75, (0, 0, 0, 0, 0, 0)),
    "1": (0.75, (1, -1, 1, -1, 1, -1)),
    "2": (0.75, (0, 2, -2, 2, -2, 2)),
    "5": (0.70, (5, -5, 5, -5, 5, -5)),
    "50": (0.25, (50, -50, 50, -50, 50, -50)),
    "mixed": (0.20, (0, 1, 5, 50, 0, -5)),
}
"""The accuracy of the first rung, and the true steps in points from each rung to the next."""

SHARED, OF_MODEL = 0.4, 0.3
"""The shares of rows that are as hard for all models, and as hard for all members of one model."""


@dataclass(frozen=True)
class Truth:
    """A setting of the simulation: `deviation` is the standard deviation of the last two rungs' members, in points.

    The variance of the other rungs' members is `ratio` times smaller.
    """

    family: str
    members: int
    rows: int
    deviation: float
    ratio: int


@dataclass(frozen=True)
class Sums:
    """The statistics of each step of each ladder: members' means, and sums of squares over rows."""

    each: Float[np.ndarray, "ladder step member"]
    between: Float[np.ndarray, "ladder step"]
    """Of the members' mean difference."""
    all: Float[np.ndarray, "ladder step"]
    """Of the members' differences."""
    truth: Float[np.ndarray, "ladder step"]
    """The difference of these very members over the population of rows."""


def draw(truth: Truth, ladders: int, rng: np.random.Generator) -> Sums:
    """Return the sums of this many ladders."""
    start, steps = FAMILIES[truth.family]
    level = start + np.concatenate([[0], np.cumsum(steps)]) / 100
    deviation = truth.deviation / 100 / np.where(np.arange(7) < 5, truth.ratio, 1) ** 0.5
    room = np.minimum(level, 1 - level)  # the same cut on both sides keeps the mean
    effect = rng.normal(0, 1, (ladders, truth.members, 7)) * deviation
    accuracy = level + np.clip(effect, -room, room)
    each, between, every = (np.empty((ladders, 6, *size)) for size in ((truth.members,), (), ()))
    for ladder in range(ladders):
        right = answers(accuracy[ladder].T.astype(np.float32), truth.rows, rng)
        difference = right[1:].astype(np.int8) - right[:-1]
        total = difference.sum(axis=1, dtype=np.int8)
        each[ladder] = difference.mean(axis=2)
        between[ladder] = np.square(total, dtype=np.int16).sum(axis=1) / truth.members**2
        every[ladder] = np.count_nonzero(difference, axis=(1, 2))
    return Sums(each, between, every, np.diff(accuracy.mean(axis=1), axis=1))


def answers(
    accuracy: Float[np.ndarray, "model member"], rows: int, rng: np.random.Generator
) -> Bool[np.ndarray, "model member row"]:
    """Return which rows each member has right; a row is as hard for all, for one model, or for one member."""
    models, members = accuracy.shape
    sizes = rng.multinomial(rows, (SHARED, OF_MODEL, 1 - SHARED - OF_MODEL))
    alike = ((1, 1), (models, 1), (models, members))
    hard = [rng.random((*of, n), np.float32) for of, n in zip(alike, sizes, strict=True)]
    right = [part < accuracy[..., None] for part in hard]
    return np.concatenate(right, axis=2)


def parts(sums: Sums, rows: int, null: float, recipe: bool) -> list[tuple[np.ndarray, int]]:
    """Return `runs_parts` or `recipe_parts` of `coretx.evaluation.paired_test`, for all ladders."""
    members, mean = sums.each.shape[2], sums.each.mean(axis=2)
    square = sums.between / rows - 2 * null * mean + null**2
    floor = abs(null) * (1 - abs(null))
    if not recipe:
        return [(np.maximum(square, floor) / rows, rows - 1)]
    of_each = np.square(sums.each).sum(axis=2)
    left = sums.all - rows * of_each - members * sums.between + members * rows * mean**2
    left /= (members - 1) * (rows - 1)
    of_members = np.maximum(rows * (of_each - members * mean**2) / (members - 1), left)
    of_rows = np.maximum(members * square - left, members * floor)
    return [(of_members / (members * rows), members - 1), (of_rows / (members * rows), rows - 1)]


def reached(found: list[tuple[np.ndarray, int]], tail: float | np.ndarray) -> np.ndarray:
    """Return the distance from the null hypothesis that is exceeded with this chance."""
    variance = sum(part for part, _ in found)
    students = [(part, -stdtrit(df, tail)) for part, df in found]
    weighted = sum(part * student for part, student in students) / np.sqrt(np.where(variance > 0, variance, 1))
    return np.max([weighted, *(np.sqrt(part) * student for part, student in students)], axis=0)


def verdicts(
    sums: Sums, rows: int, recipe: bool
) -> tuple[Int[np.ndarray, "ladder step"], Bool[np.ndarray, "ladder step"]]:
    """Return the sign of each step's verdict, and whether the verdict says: under 2 points.

    A step of sign 0 is equal if it is under 2 points, else unclear.
    """
    mean, ladders = sums.each.mean(axis=2), len(sums.each)
    null, low, high = (parts(sums, rows, value, recipe) for value in (0, -MARGIN, MARGIN))
    steps = np.arange(6, 0, -1)
    differ = np.stack([np.abs(mean) > reached(null, LEVEL / 2 / left) for left in steps])
    close = np.stack(
        [np.minimum(mean + MARGIN - reached(low, LEVEL / left), MARGIN - mean - reached(high, LEVEL / left)) > 0
         for left in steps]
    )  # fmt: skip
    stage = np.zeros(ladders, int), np.arange(ladders)
    for _ in steps:  # Holm's steps: a step rejected twice leaves fewer hypotheses that can be true
        twice = np.count_nonzero(differ[stage] & close[stage], axis=1)
        stage = np.minimum(twice, 5), stage[1]
    sign, near = np.where(differ[stage], np.sign(mean), 0).astype(int), close[stage]
    return sign, near & ((sign == 0) | (np.abs(mean) + reached(null, 0.025) < MARGIN))


@dataclass(frozen=True)
class Shares:
    """Of steps right, wrong and unclear, those found (their sign is right); of families those with a wrong verdict."""

    right: Float[np.ndarray, " step"]
    wrong: Float[np.ndarray, " step"]
    found: Float[np.ndarray, " step"]
    families: float
    ladders: int


def shares(truth: Truth, sums: Sums, recipe: bool) -> Shares:
    """Return how the verdicts on these ladders compare with the truth: of these runs, or of the recipe."""
    real = np.array(FAMILIES[truth.family][1]) / 100 if recipe else sums.truth
    real = np.broadcast_to(np.where(np.abs(real) < 1e-9, 0, real), sums.truth.shape)
    sign, near = verdicts(sums, truth.rows, recipe)
    wrong = ((sign != 0) & (sign != np.sign(real))) | (near & (np.abs(real) > MARGIN - 1e-9))
    right = ~wrong & ((sign != 0) | near)
    found = ~wrong & (sign != 0)
    families = float(wrong.any(axis=1).mean())
    return Shares(right.mean(axis=0), wrong.mean(axis=0), found.mean(axis=0), families, len(sign))


def truths(members: Sequence[int]) -> Iterator[Truth]:
    """Yield every setting."""
    for family, count, rows in product(FAMILIES, members, (1_000, 10_000)):
        for deviation, ratio in ((0, 1), (2, 1), (2, 10), (2, 100), (10, 1), (10, 10), (10, 100)):
            yield Truth(family, count, rows, deviation, ratio)


Found = dict[tuple[Truth, bool], Shares]


def simulate(many: int, few: int, members: Sequence[int]) -> Found:
    """Return the shares for both questions: `many` ladders with 1,000 rows, `few` with 10,000."""
    found = {}
    for number, truth in enumerate(truths(members)):
        ladders = many if truth.rows == 1_000 else few
        sums = draw(truth, ladders, np.random.default_rng([24, number]))
        for recipe in (False, True)[: 1 + (truth.members >= FEWEST_MEMBERS)]:
            found[truth, recipe] = shares(truth, sums, recipe)
    return found


def worst(found: Found, again: int, ladders: int) -> list[tuple[Truth, bool, float]]:
    """Return the settings with the largest shares of wrong families, and their shares among ladders drawn anew.

    The largest of many measured shares is too large by chance; a share of new ladders is not.
    """
    keys = sorted(found, key=lambda key: found[key].families, reverse=True)[:again]
    return [
        (truth, recipe, shares(truth, draw(truth, ladders, np.random.default_rng([25, number])), recipe).families)
        for number, (truth, recipe) in enumerate(keys)
    ]


def report(found: Found, redrawn: Sequence[tuple[Truth, bool, float]], ladders: int) -> str:
    """Return the tables of the page."""
    counts = sorted({part.ladders for part in found.values()}, reverse=True)
    members = sorted({truth.members for truth, _ in found})
    bullets = [("50", 3, 2), ("50", 5, 10), *(("5", n, 2) for n in (3, 5, 8))]
    largest = [
        [f"{question(recipe)}, {ratio}", *(largest_share(found, recipe, ratio, count) for count in members)]
        for recipe, ratio in product((False, True), (1, 10, 100))
    ]
    again = []
    for truth, recipe, share in redrawn:
        of = [truth.family, truth.members, f"{truth.rows:,}", f"{truth.deviation:g}", truth.ratio, f"{100 * share:.1f}"]
        again.append([question(recipe), *map(str, of)])
    errors = " or ".join(f"{error(count):.1f}" for count in counts)
    parts = [
        f"Ladders in each setting: {counts[0]:,} with 1,000 test rows, {counts[-1]:,} with 10,000.",
        "\n".join(found_steps(found, *which) for which in bullets),
        "### Families with a wrong verdict",
        "The largest share over all families, deviations and numbers of rows, in %. A largest share is too high by "
        f"chance: see the next table. A share of 5 has a standard error of {errors}.",
        table(["question, ratio of variances", *(f"{count} member{'s' * (count > 1)}" for count in members)], largest),
        f"The largest of all, drawn anew ({ladders:,} ladders each, a standard error of {error(ladders):.1f}):",
        table(["question", "family", "members", "rows", "deviation", "ratio", "wrong, %"], again),
    ]
    places = list(product((1_000, 10_000), (0, 2, 10)))
    head = ["true steps, members", *(f"{rows:,} rows, deviation {value}" for rows, value in places)]
    for recipe in (False, True):
        asked = [
            (f"{family}, {count}", [(Truth(family, count, rows, value, 1), recipe) for rows, value in places])
            for family, count in product(FAMILIES, members)
        ]
        rows = [[name, *(of_steps(found[key]) for key in keys)] for name, keys in asked if keys[0] in found]
        parts += [f"### {question(recipe).capitalize()}: right / wrong / unclear, % of steps", table(head, rows)]
    return "\n\n".join(parts)


def found_steps(found: Found, family: str, members: int, deviation: int) -> str:
    """Return the shares of steps that are found, as an item of a list."""
    parts = [found.get((Truth(family, members, rows, deviation, 1), True)) for rows in (1_000, 10_000)]
    few, many = (NONE if part is None else f"{100 * float(part.found.mean()):.1f} %" for part in parts)
    which = f"this recipe, {members} members that all deviate by {deviation} points"
    return f"- {family} points are found ({which}): {few} with 1,000 rows, {many} with 10,000."


def error(ladders: int) -> float:
    """Return the standard error, in points, of a share of 5 % among this many ladders."""
    return 100 * (LEVEL * (1 - LEVEL) / ladders) ** 0.5


def question(recipe: bool) -> str:
    """Return the name of the question."""
    return "this recipe" if recipe else "these runs"


def largest_share(found: Found, recipe: bool, ratio: int, members: int) -> str:
    """Return the largest share of families with a wrong verdict, in %."""
    wanted = (ratio, members, recipe)
    shares = [part.families for (truth, of), part in found.items() if (truth.ratio, truth.members, of) == wanted]
    return f"{100 * max(shares):.1f}" if shares else NONE


def of_steps(part: Shares) -> str:
    """Return the shares of steps that are right, wrong and unclear, in %."""
    right, wrong = (100 * float(share.mean()) for share in (part.right, part.wrong))
    return f"{right:.1f} / {wrong:.1f} / {abs(100 - right - wrong):.1f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate, and print the report or write it into a page between the markers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--write", type=Path, help="the page that has the markers")
    parser.add_argument("--ladders", type=int, nargs=2, default=(4_000, 1_500), help="with 1,000 and with 10,000 rows")
    given = parser.parse_args(argv)
    many, few = given.ladders
    found = simulate(many, few, MEMBERS)
    text = report(found, worst(found, 8, 2 * many), 2 * many)
    if given.write is None:
        print(text)
        return 0
    try:
        put_between(given.write, "simulation", text)
    except UsageError as reason:
        print(f"error: {reason}", file=sys.stderr)
        return reason.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
