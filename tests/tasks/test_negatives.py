"""Wrong answers: how much of a label each part of an input gives away, over the whole distribution and not a sample."""

import numpy as np
import pytest

from coretx.errors import UsageError
from coretx.tasks.negatives import MIX, balanced, kinds_of
from coretx.tasks.registry import TASKS

SINGLE = ["single_digit_sum", "single_digit_sum_swapped"]
DOUBLE = ["two_digit_sum", "multi_digit_sum"]
MOST = dict.fromkeys(SINGLE, 0.55) | dict.fromkeys(DOUBLE, 0.52)
"""How often the answer alone may be right under the balanced rule."""


def best_accuracy(true, false):
    """Return the best accuracy that a rule can reach which sees one value, drawn from either table at even odds."""
    return np.maximum(true, false).sum() / 2


def answer_tables(name, rule):
    """Return how likely each value of the answer is, and each digit of it, among true and among false equations."""
    answers = TASKS[name].with_negatives(rule).wrong_answers
    true = np.bincount(answers.true, answers.share, minlength=answers.modulus)
    return true, answers.share @ answers.probability


def stated_mix(name):
    """Return the share of each kind among the wrong answers of this task."""
    admitted = list(MIX) if name in DOUBLE else ["off_by_one", "other"]
    return {kind: MIX[kind] / sum(MIX[one] for one in admitted) * (kind in admitted) for kind in MIX}


def by_digit(table, place):
    return np.bincount(np.arange(len(table)) // 10**place % 10, table)


@pytest.mark.parametrize("name", MOST)
@pytest.mark.parametrize("digit", [None, 0, 1], ids=["answer", "units", "tens"])
def test_answer_alone_gives_nothing_away_under_the_balanced_rule(name, digit):
    tables = answer_tables(name, "balanced")
    if digit is not None:
        tables = [by_digit(table, digit) for table in tables]
    assert 0.5 - 1e-9 <= best_accuracy(*tables) <= MOST[name]
    assert np.abs(tables[0] - tables[1]).max() < 1e-12


@pytest.mark.parametrize(
    ("name", "answer", "units"),
    [
        ("single_digit_sum", 0.6263, 0.6263),
        ("single_digit_sum_swapped", 0.6263, 0.6263),
        ("two_digit_sum", 0.6250, 0.5125),
        ("multi_digit_sum", 0.5243, 0.5002),
    ],
)
def test_original_rule_gives_more_away(name, answer, units):
    tables = answer_tables(name, "original")
    assert best_accuracy(*tables) == pytest.approx(answer, abs=1e-4)
    assert best_accuracy(*(by_digit(table, 0) for table in tables)) == pytest.approx(units, abs=1e-4)


@pytest.mark.parametrize("rule", ["balanced", "original"])
@pytest.mark.parametrize("name", MOST)
def test_operands_and_their_digits_alone_give_nothing_away(name, rule):
    """The corrupted twin keeps the other operands: problem by problem, as many false equations as true ones."""
    task = TASKS[name].with_negatives(rule)
    of_problem = task.wrong_answers.probability[task.states(task.all_problems())]
    np.testing.assert_allclose(of_problem.sum(axis=1), 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", ["balanced", "original"])
@pytest.mark.parametrize("name", SINGLE)
def test_every_token_of_the_space_alone(name, rule):
    """The same over the listed space, token by token, as a model would see it."""
    task = TASKS[name].with_negatives(rule)
    x, probability = task.space()
    weighted, y = x * probability[:, None, None], task.label(x) == 1
    best = 2 * np.maximum(weighted[y].sum(axis=0), weighted[~y].sum(axis=0)).sum(axis=1) / 2
    answer = {"single_digit_sum": [4], "single_digit_sum_swapped": [0, 4]}[name]
    others = [place for place in range(5) if place not in answer]
    assert best[others] == pytest.approx(0.5, abs=1e-9)
    assert (best[answer] <= 0.55).all() == (rule == "balanced")


@pytest.mark.parametrize("name", MOST)
def test_kinds_come_in_the_stated_mix(name):
    answers = TASKS[name].with_negatives("balanced").wrong_answers
    values = np.arange(answers.modulus)[None]
    kinds = kinds_of(answers.true[:, None], answers.without_carries[:, None], values, TASKS[name].digits)
    joint = answers.share[:, None] * answers.probability
    found = {kind: joint[matches].sum() for kind, matches in kinds.items()}
    assert found == pytest.approx(stated_mix(name), abs=1e-9)


@pytest.mark.parametrize("name", MOST)
def test_every_wrong_answer_can_come_up_and_no_true_one(name):
    answers = TASKS[name].with_negatives("balanced").wrong_answers
    true = np.arange(answers.modulus) == answers.true[:, None]
    assert (answers.probability[true] == 0).all()
    assert answers.probability[~true].min() > 0


@pytest.mark.parametrize("name", MOST)
def test_drawn_equations_follow_the_table(name):
    n = 20_000
    task = TASKS[name].with_negatives("balanced")
    x = task.generate_candidates(n, np.random.default_rng(0))
    y = task.label(x)
    assert y.mean() == 0.5
    operands, well_formed = task.parse(x.argmax(axis=2))
    assert well_formed.all()
    values = [np.bincount(operands[y == label, -1] // 10 ** (task.digits - 1), minlength=10) for label in (0, 1)]
    assert np.abs(values[0] - values[1]).max() < 5 * np.sqrt(n / 10)
    kinds = task.kinds(x)
    assert np.sum(list(kinds.values()), axis=0).tolist() == (1 - y).tolist(), "one kind for each false equation"
    shares = {kind: matches[y == 0].mean() for kind, matches in kinds.items()}
    assert shares == pytest.approx(stated_mix(name), abs=0.02)


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("single_digit_sum", "2+3=6", "off_by_one"),
        ("single_digit_sum", "2+3=9", "other"),
        ("single_digit_sum_swapped", "4=2+3", "off_by_one"),
        ("two_digit_sum", "17+25=43", "off_by_one"),
        ("two_digit_sum", "17+25=32", "carry_dropped"),
        ("two_digit_sum", "17+25=52", "off_by_ten"),
        ("two_digit_sum", "17+22=29", "off_by_ten"),
        ("two_digit_sum", "17+25=24", "digits_swapped"),
        ("two_digit_sum", "17+25=99", "other"),
        ("two_digit_sum", "17+25=42", None),
        ("two_digit_sum", "17=25+42", None),
        ("multi_digit_sum", "17+25=11+21", "carry_dropped"),
        ("multi_digit_sum", "17+25=11+32", "off_by_one"),
        ("multi_digit_sum", "12+34=20+62", "digits_swapped"),
    ],
)
def test_kind_is_read_from_the_row(name, text, kind, one_hot):
    found = [name for name, matches in TASKS[name].kinds(one_hot(text)).items() if matches[0]]
    assert found == ([] if kind is None else [kind])


def test_rule_is_a_task_of_its_own_and_the_same_each_time():
    task = TASKS["single_digit_sum"]
    balanced = task.with_negatives("balanced")
    assert task.negatives == "original"
    assert balanced.negatives == "balanced"
    assert task.with_negatives("original") is balanced.with_negatives("original") is task
    assert balanced.with_negatives("balanced") is task.with_negatives("balanced") is balanced
    natural = TASKS["sign_of_winner"]
    assert natural.with_negatives("balanced") is natural
    assert natural.negatives == "natural"


def test_solving_again_gives_the_same_table():
    task = TASKS["single_digit_sum_swapped"].with_negatives("balanced")
    first = task.wrong_answers.probability.tobytes()
    del vars(task)["wrong_answers"]
    assert task.wrong_answers.probability.tobytes() == first


def test_space_of_two_digit_sums_can_be_listed_and_that_of_four_numbers_not():
    x, probability = TASKS["two_digit_sum"].space()
    assert x.shape == (505_000, 8, 12)
    assert probability.sum() == pytest.approx(1, abs=1e-9)
    assert TASKS["multi_digit_sum"].space() is None


@pytest.mark.parametrize("name", SINGLE)
def test_listed_space_has_the_probabilities_of_the_draw(name):
    task = TASKS[name].with_negatives("balanced")
    x, probability = task.space()
    assert probability.sum() == pytest.approx(1, abs=1e-12)
    assert probability[task.label(x) == 1].sum() == pytest.approx(0.5, abs=1e-12)
    texts = [task.render(row) for row in x]
    assert len(set(texts)) == len(texts)
    drawn = [task.render(row) for row in task.generate_candidates(20_000, np.random.default_rng(0))]
    assert set(drawn) <= set(texts)
    shares = np.array([drawn.count(text) for text in texts[:100]]) / len(drawn)
    assert np.abs(shares - probability[:100]).max() < 5 * np.sqrt(probability.max() / len(drawn))


def test_problems_without_a_table_are_refused():
    """Two of three answers are 0, so two of three wrong ones would be 1, but only one of three may be."""
    answers = np.array([0, 0, 1])
    with pytest.raises(UsageError, match=r"need a table of wrong answers .* none exists .*--negatives original"):
        balanced(answers, answers, digits=1)
