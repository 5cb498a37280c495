"""No problem is in two splits: checked by a reader of the printed rows that shares no code with the tasks' keys.

Two rows are one problem if their text is equal, or if they are equations with the same numbers on the same sides in any
order. They also are if one is true and the other differs from it in one number: the lone number of a side, or the last
if no side has a lone number. Sameness is transitive. Real-valued rows are printed with two decimals, so there equal
values decide, not equal text.
"""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping

import pytest

from coretx.tasks.arithmetic import MultiDigitSum
from coretx.tasks.registry import TASKS
from coretx.tasks.splits import draw_splits

EQUATION = re.compile(r"\d+( \+ \d+)* = \d+( \+ \d+)*")
SYMBOLS = re.compile(r"[A-Z]( [A-Z])*")


def names(text: str, values: Iterable[float]) -> Iterator[Hashable]:
    """Yield every name of the problem of a row with this text and these values."""
    if EQUATION.fullmatch(text):
        yield from equations(text)
    elif SYMBOLS.fullmatch(text):
        yield text
    else:
        yield text.replace("-0.00", "+0.00"), tuple(value + 0.0 for value in values)


def equations(text: str) -> Iterator[Hashable]:
    """Yield the equation without its order and, if it is false, the true equation that it was made from."""
    sides = [[int(number) for number in side.split(" + ")] for side in text.split(" = ")]
    yield unordered(sides)
    wrong, right = sides if len(sides[0]) == 1 else sides[::-1]
    if sum(wrong) != sum(right):
        yield unordered([[*wrong[:-1], sum(right) - sum(wrong[:-1])], right])


def unordered(sides: list[list[int]]) -> Hashable:
    return tuple(sorted(tuple(sorted(side)) for side in sides))


def shared(texts: Mapping[str, Iterable[tuple[str, Iterable[float]]]]) -> list[dict[str, str]]:
    """Return every problem that occurs in more than one split, as a row of each split."""
    parent: dict[Hashable, Hashable] = {}

    def root(name: Hashable) -> Hashable:
        while (above := parent.setdefault(name, name)) != name:
            parent[name] = parent[above]
            name = above
        return name

    seen: list[tuple[Hashable, str, str]] = []
    for split, rows in texts.items():
        for text, values in rows:
            first, *others = names(text, values)
            for other in others:
                parent[root(other)] = root(first)
            seen.append((first, split, text))
    found: dict[Hashable, dict[str, str]] = {}
    for name, split, text in seen:
        found.setdefault(root(name), {}).setdefault(split, text)
    return [problem for problem in found.values() if len(problem) > 1]


def printed(data, render):
    """Return the text and the values of every row of each split."""
    return {split: [(render(row), row.ravel().tolist()) for row in rows.x] for split, rows in data.items()}


def rows(*texts):
    return [(text, []) for text in texts]


def found(task, n, seed):
    return shared(printed(draw_splits(task, n, seed, "disjoint"), task.render))


@pytest.mark.parametrize("seed", [0, 3, 6])
@pytest.mark.parametrize(
    "n", [1000, pytest.param(10_000, marks=pytest.mark.slow), pytest.param(30_000, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", TASKS)
def test_no_two_splits_share_a_problem(name, n, seed):
    assert found(TASKS[name].with_negatives("balanced"), n, seed) == []


class LastSolved(MultiDigitSum):
    """An earlier fault: every row is solved for the operand that is written last."""

    def splittable(self, x):
        return super().splittable(x) | True

    def generate_splittable(self, n, rng):
        return None

    def repaired(self, operands):
        return self.solved(operands)


def test_key_that_solves_for_the_last_operand_is_detected():
    """A false equation and its commuted form have different last operands, so they got different sides."""
    assert found(LastSolved().with_negatives("balanced"), 10_000, 0)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("84 + 50 = 47 + 97", "97 + 47 = 50 + 84"),
        ("84 + 50 = 47 + 97", "50 + 84 = 47 + 97"),
        ("12 + 34 = 20 + 26", "12 + 34 = 20 + 62"),
        ("12 + 34 = 20 + 26", "26 + 20 = 34 + 99"),
        ("12 + 34 = 20 + 99", "34 + 12 = 20 + 98"),
        ("2 + 3 = 5", "3 + 2 = 6"),
        ("2 + 3 = 5", "6 = 3 + 2"),
        ("A B C D A", "A B C D A"),
    ],
)
def test_one_problem_in_two_splits_is_found(train, test):
    assert shared({"train": rows("11 + 1 = 12", train), "test": rows(test, "7 + 7 = 14")}) == [
        {"train": train, "test": test}
    ]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("84 + 50 = 47 + 97", "84 + 51 = 47 + 97"),
        ("12 + 34 = 20 + 26", "12 + 34 = 21 + 25"),
        ("2 + 3 = 5", "1 + 4 = 5"),
        ("A B C D A", "A B C D B"),
    ],
)
def test_different_problems_are_not_reported(train, test):
    assert shared({"train": rows(train), "test": rows(test)}) == []


def test_sameness_is_transitive():
    train, val, third = rows("12 + 34 = 20 + 99"), rows("98 + 20 = 34 + 12"), rows("12 + 34 = 20 + 98")
    assert shared({"train": train, "val": val}) == []
    assert shared({"train": train, "val": val + third}) == [{"train": train[0][0], "val": val[0][0]}]


def test_numbers_with_equal_text_are_one_problem_only_if_equal():
    text = "[+0.12]"
    assert shared({"train": [(text, [0.121])], "test": [(text, [0.122])]}) == []
    assert shared({"train": [(text, [0.121])], "test": [(text, [0.121])]}) == [{"train": text, "test": text}]
    assert shared({"train": [("[+0.00]", [0.0])], "test": [("[-0.00]", [-0.0])]})
