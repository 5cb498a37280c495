import numpy as np
import pytest

from coretx.evaluation.scores import Predictions
from coretx.reports.pages.misclassified import by_kind, misclassified


def predictions(values, y, logits):
    x = np.array(values, np.float32).reshape(-1, 1, 1)
    return Predictions(x, np.array(y, np.float32), np.array(logits, np.float32))


@pytest.fixture
def by_hand():
    """Three members: the input 1 is right, 2 is missed by one of them, 3 by all, 5 and 4 (there three times) by two."""
    return predictions(
        [4, 1, 2, 4, 3, 5, 4],
        [0, 1, 0, 0, 1, 1, 0],
        [
            [1, 2, -3, 1, -1, -9, 1],
            [1, 2, -3, 1, -1, -9, 1],
            [-1, 2, 3, -1, -1, 1, -1],
        ],
    )


def test_more_members_wrong_come_first_then_those_further_off(by_hand):
    assert [example.row.item() for example in misclassified(by_hand).examples] == [3, 5, 4, 2]


def test_members_wrong_are_counted(by_hand):
    assert [example.wrong for example in misclassified(by_hand).examples] == [3, 2, 2, 1]


def test_equal_rows_are_one_example_with_their_count(by_hand):
    assert [example.times for example in misclassified(by_hand).examples] == [1, 1, 3, 1]


def test_totals_count_inputs_and_rows(by_hand):
    found = misclassified(by_hand, limit=1)
    assert (len(found.examples), found.distinct, found.rows) == (1, 4, 6)


def test_predicted_is_what_most_members_answer(by_hand):
    assert [example.predicted for example in misclassified(by_hand).examples] == [0, 0, 1, 0]


def test_probability_is_the_mean_over_members():
    example = misclassified(predictions([1], [0], [[0.0], [np.log(3)]])).examples[0]
    assert example.probability == pytest.approx((0.5 + 0.75) / 2)


def test_a_draw_is_settled_by_the_mean_probability():
    assert misclassified(predictions([1], [0], [[-0.1], [5.0]])).examples[0].predicted == 1


def test_a_logit_of_zero_is_class_0():
    examples = misclassified(predictions([1, 2], [0, 1], [[0.0, 0.0]])).examples
    assert [example.label for example in examples] == [1]


def test_none_is_found_where_all_is_right():
    found = misclassified(predictions([1, 2], [0, 1], [[-5, 5]]))
    assert (found.examples, found.distinct, found.rows) == ((), 0, 0)


def test_extreme_logits_raise_no_warning():
    example = misclassified(predictions([1], [0], [[1e30]])).examples[0]
    assert example.probability == 1.0


def test_order_of_rows_does_not_change_the_order_of_examples(by_hand):
    turned = Predictions(by_hand.x[::-1], by_hand.y[::-1], by_hand.logits[:, ::-1])
    rows = [example.row.item() for example in misclassified(turned).examples]
    assert rows == [example.row.item() for example in misclassified(by_hand).examples]


@pytest.fixture
def with_kinds(task):
    """A function that makes a task with these kinds, each a rule on the one value of a row."""

    def made(**rules):
        def kinds(self, x):
            return {name: rule(x[:, 0, 0]) for name, rule in rules.items()}

        return type("Kinds", (type(task),), {"kinds": kinds})()

    return made


def test_errors_are_grouped_by_kind_and_label_those_with_most_first(with_kinds):
    task = with_kinds(
        even=lambda value: (value % 2 == 0) & (value < 9), odd=lambda value: (value % 2 == 1) & (value < 9)
    )
    found = by_kind(predictions([1, 2, 3, 4, 9, 5], [1, 1, 1, 0, 0, 1], [[-1, 1, -1, 1, 1, 1]]), task)
    assert [(kind.name, kind.label, kind.rows, kind.found.rows) for kind in found] == [
        ("odd", 1, 3, 2),
        ("even", 0, 1, 1),
        ("", 0, 1, 1),
    ]


def test_a_row_of_two_kinds_is_counted_under_the_first(with_kinds):
    both = with_kinds(a=lambda value: value > 0, b=lambda value: value > 1)
    found = by_kind(predictions([1, 2], [1, 1], [[-1, -1]]), both)
    assert [(kind.name, kind.rows) for kind in found] == [("a", 2)]


def test_margin_is_towards_the_label(by_hand):
    assert [round(example.margin, 2) for example in misclassified(by_hand).examples] == [-1.0, -5.67, -0.33, 1.0]
