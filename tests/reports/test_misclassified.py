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


def test_examples_that_more_members_miss_come_first_then_by_distance_and_equal_rows_are_one(by_hand):
    found = [(e.row.item(), e.wrong, e.times, round(e.margin, 2)) for e in misclassified(by_hand, "test").examples]
    assert found == [(3, 3, 1, -1.0), (5, 2, 1, -5.67), (4, 2, 3, -0.33), (2, 1, 1, 1.0)]


def test_totals_count_inputs_and_rows(by_hand):
    found = misclassified(by_hand, "test", limit=1)
    assert (len(found.examples), found.distinct, found.rows) == (1, 4, 6)


def test_probability_is_the_mean_over_members():
    example = misclassified(predictions([1], [0], [[0.0], [np.log(3)]]), "test").examples[0]
    assert example.probability == pytest.approx((0.5 + 0.75) / 2)


def test_a_logit_of_zero_is_class_0():
    examples = misclassified(predictions([1, 2], [0, 1], [[0.0, 0.0]]), "test").examples
    assert [example.label for example in examples] == [1]


def test_none_is_found_where_all_is_right():
    found = misclassified(predictions([1, 2], [0, 1], [[-5, 5]]), "test")
    assert (found.examples, found.distinct, found.rows) == ((), 0, 0)


def test_extreme_logits_raise_no_warning():
    example = misclassified(predictions([1], [0], [[1e30]]), "test").examples[0]
    assert example.probability == 1.0


def test_order_of_rows_does_not_change_the_order_of_examples(by_hand):
    turned = Predictions(by_hand.x[::-1], by_hand.y[::-1], by_hand.logits[:, ::-1])
    rows = [example.row.item() for example in misclassified(turned, "test").examples]
    assert rows == [example.row.item() for example in misclassified(by_hand, "test").examples]


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
    wanted = [("odd, label 1", 3, 2), ("even, label 0", 1, 1), ("label 0", 1, 1)]
    assert [(kind.name, kind.of, kind.rows) for kind in found] == wanted


def test_a_row_of_two_kinds_is_counted_under_the_first(with_kinds):
    both = with_kinds(a=lambda value: value > 0, b=lambda value: value > 1)
    found = by_kind(predictions([1, 2], [1, 1], [[-1, -1]]), both)
    assert [(kind.name, kind.rows) for kind in found] == [("a, label 1", 2)]
