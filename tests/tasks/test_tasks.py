"""Every task of the registry against its rule, written a second time in plain Python."""

import re

import numpy as np
import pytest

from coretx.errors import UsageError
from coretx.seeds import stream
from coretx.tasks.arithmetic import ARITHMETIC
from coretx.tasks.base import check_name
from coretx.tasks.registry import TASKS, get_task
from coretx.tasks.tokens import LETTERS

N = 2000
NUMERIC = ("sign_of_winner", "sign_of_second_place", "has_pos_and_neg", "any_abs_gt_one")
ORIGINAL_ORDER = (
    *("sign_of_winner", "sign_of_second_place", "has_pos_and_neg", "has_all_tokens", "any_abs_gt_one"),
    *("single_digit_sum", "single_digit_sum_swapped", "two_digit_sum", "multi_digit_sum"),
)
SHAPES = dict.fromkeys(NUMERIC, (5, 2)) | {
    "has_all_tokens": (5, 4),
    "single_digit_sum": (5, 12),
    "single_digit_sum_swapped": (5, 12),
    "two_digit_sum": (8, 12),
    "multi_digit_sum": (11, 12),
}
OTHER_LENGTHS = dict(zip(ORIGINAL_ORDER[:5], (1, 9, 3, 9, 2), strict=True))
FORMS = {
    "single_digit_sum": r"\d\+\d=\d",
    "single_digit_sum_swapped": r"\d\+\d=\d|\d=\d\+\d",
    "two_digit_sum": r"\d\d\+\d\d=\d\d",
    "multi_digit_sum": r"\d\d\+\d\d=\d\d\+\d\d",
}
NATURAL_RATE = {
    "sign_of_winner": 0.5,
    "sign_of_second_place": 0.5,
    "has_pos_and_neg": 15 / 16,
    "has_all_tokens": 240 / 1024,
    "any_abs_gt_one": 1 - 0.682689492137**10,
}


def candidates(task, n=N, seed=0):
    return task.generate_candidates(n, stream(seed, task.name))


def step_sum(step):
    total = np.float32(0)
    for value in step:
        total = np.float32(total + value)  # in float32 as the task adds, lest a near tie be ranked otherwise
    return float(total)


def by_size(row):
    return sorted((step_sum(step) for step in row), key=abs, reverse=True)


def is_true_equation(text, form):
    if not re.fullmatch(form, text):
        return False
    left, right = (sum(int(number) for number in side.split("+")) for side in text.split("="))
    return left == right


def text_of(task, row):
    return task.render(row).replace(" ", "")


ORACLES = {
    "sign_of_winner": lambda task, row: by_size(row)[0] > 0,
    "sign_of_second_place": lambda task, row: by_size(row)[1] > 0,
    "has_pos_and_neg": lambda task, row: max(by_size(row)) > 0 > min(by_size(row)),
    "any_abs_gt_one": lambda task, row: any(abs(float(value)) > 1 for step in row for value in step),
    "has_all_tokens": lambda task, row: {list(step).index(1.0) for step in row} == {0, 1, 2, 3},
} | {name: lambda task, row, form=form: is_true_equation(text_of(task, row), form) for name, form in FORMS.items()}


@pytest.fixture(params=list(FORMS))
def equation(request):
    return TASKS[request.param]


def test_registry_holds_the_tasks_of_the_original_in_its_order():
    assert tuple(TASKS) == ORIGINAL_ORDER


def test_task_has_a_name_a_rule_and_the_shape_of_the_original(task):
    assert TASKS[check_name("task", task.name)] is task
    assert task.rule.startswith("1 when ")
    assert (task.sequence_length, task.feature_dim) == SHAPES[task.name]
    for n in (N, 7):
        assert candidates(task, n).shape == (n, *SHAPES[task.name])


@pytest.mark.parametrize(
    ("name", "length"), [*((name, SHAPES[name][0]) for name in ORIGINAL_ORDER), *OTHER_LENGTHS.items()]
)
def test_label_agrees_with_the_rule_row_by_row_and_leaves_the_input_as_it_was(name, length):
    task = TASKS[name].at_length(length)
    x = candidates(task)
    assert x.shape == (N, length, SHAPES[name][1])
    before = x.tobytes()
    assert task.label(x).tolist() == [float(ORACLES[name](task, row)) for row in x]
    assert x.tobytes() == before
    assert TASKS[name].sequence_length == SHAPES[name][0]


@pytest.mark.parametrize("name", NATURAL_RATE)
def test_natural_rate_of_positives_is_that_of_the_original(name):
    n, rate = 20_000, NATURAL_RATE[name]
    found = TASKS[name].label(candidates(TASKS[name], n)).mean()
    assert abs(found - rate) < 4 * np.sqrt(rate * (1 - rate) / n)


def test_pool_of_equations_is_exactly_balanced(equation):
    assert equation.label(candidates(equation)).sum() == N / 2


def test_equations_have_their_form(equation):
    """Digits only where digits belong, so operands are zero-padded and below 10 or 100."""
    assert all(re.fullmatch(FORMS[equation.name], text_of(equation, row)) for row in candidates(equation))


def test_only_the_last_operand_of_a_false_equation_is_wrong(equation):
    """Solving for the operand that may be corrupted gives a true equation whose operands are all in range."""
    x = candidates(equation)
    for row in x[equation.label(x) == 0]:
        left, right = text_of(equation, row).split("=")
        swapped = len(left) < len(right) and equation.name == "single_digit_sum_swapped"
        kept, corrupted = (right, left) if swapped else (left, right)
        solution = sum(map(int, kept.split("+"))) - sum(map(int, corrupted.split("+")[:-1]))
        assert 0 <= solution < equation.modulus


def test_corrupted_operand_takes_every_wrong_distance(equation):
    x = candidates(equation, 8000)
    found = set()
    for row in x[equation.label(x) == 0]:
        left, right = (sum(map(int, side.split("+"))) for side in text_of(equation, row).split("="))
        swapped = text_of(equation, row)[1] == "="
        found.add((left - right if swapped else right - left) % equation.modulus)
    assert found == set(range(1, equation.modulus))


def test_single_digit_pool_holds_every_problem_with_every_answer():
    task = TASKS["single_digit_sum"]
    assert len({text_of(task, row) for row in candidates(task, 10_000)}) == 550


def test_swapped_mixes_both_forms_as_the_original_does_and_each_is_balanced():
    task, n = TASKS["single_digit_sum_swapped"], 10_000
    x = candidates(task, n)
    first = np.array([text_of(task, row)[1] == "+" for row in x])
    assert abs(first.mean() - 0.55) < 4 * np.sqrt(0.55 * 0.45 / (n / 2))
    assert task.label(x)[first].mean() == task.label(x)[~first].mean() == 0.5


def test_any_single_symbol_replaced_is_labelled_by_the_rule(equation, one_hot):
    """Most of these strings are malformed: a sign among the digits, a digit where a sign belongs, two equals signs."""
    texts = [text_of(equation, row) for row in candidates(equation, 6)]
    variants = [
        text[:place] + symbol + text[place + 1 :]
        for text in texts
        for place in range(len(text))
        for symbol in "0123456789+="
    ]
    expected = [float(is_true_equation(text, FORMS[equation.name])) for text in variants]
    assert equation.label(one_hot(*variants)).tolist() == expected


LABELS = {
    "single_digit_sum": {"2+3=5": 1, "2+3=7": 0, "5=2+3": 0, "2+=+3": 0, "=+9=9": 0},
    "single_digit_sum_swapped": {"5=2+3": 1, "7=2+3": 0, "1+1+2": 0, "2=2=2": 0, "0=0=0": 0},
    "two_digit_sum": {"12+34=46": 1, "12+34=56": 0, "46=12+34": 0, "1+34=046": 0},
    "multi_digit_sum": {"12+34=20+26": 1, "12+34=20+62": 0, "12=34+20+26": 0, "00+00+00=00": 0},
}
"""True, false and malformed equations."""


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_equations_by_hand(name, one_hot):
    assert TASKS[name].label(one_hot(*LABELS[name])).tolist() == list(LABELS[name].values())


def test_exactly_zero_sum_is_not_positive():
    x = np.zeros((1, 5, 2), np.float32)
    assert [float(TASKS[name].label(x)[0]) for name in NUMERIC] == [0.0] * 4


def test_feature_of_exactly_one_does_not_exceed_one():
    assert TASKS["any_abs_gt_one"].label(np.ones((1, 5, 2), np.float32)).tolist() == [0.0]


def test_symbols_stand_in_the_order_of_the_original():
    assert (ARITHMETIC.symbols, LETTERS.symbols) == ("0123456789+=", "ABCD")


@pytest.mark.parametrize("name", [name for name in ORIGINAL_ORDER if name not in NUMERIC])
def test_token_inputs_are_one_hot(name):
    x = candidates(TASKS[name])
    assert (np.sort(x, axis=2)[:, :, :-1] == 0).all()
    assert (x.max(axis=2) == 1).all()


def test_rendered_inputs_differ_where_inputs_do(task):
    x = candidates(task, 200)
    if task.name in NUMERIC:
        x = x.round(2)  # two decimals are shown
    assert len({task.render(row) for row in x}) == len({(row + 0.0).tobytes() for row in x})


def test_title_is_another_name_of_the_task():
    assert get_task("aa+bb=cc") is TASKS["two_digit_sum"]


def test_unknown_task_is_named_with_the_choices():
    with pytest.raises(UsageError, match=r"unknown task 'sign'.*sign_of_winner, .*multi_digit_sum"):
        get_task("sign")


@pytest.mark.parametrize("name", ["a", "a" * 64, "sum_2"])
def test_name_is_accepted(name):
    assert check_name("task", name) == name


@pytest.mark.parametrize(
    "name", ["", "../x", "<script>", "index", "cells", "runs", "a" * 65, "Sum", "2nd", "a b", "a\n", "ä"]
)
def test_hostile_name_is_refused(name):
    with pytest.raises(UsageError, match="a task's name must be a lower-case letter"):
        check_name("task", name)
