import numpy as np
import pytest

from coretx.reports.misclassified import misclassified
from coretx.results import Predictions


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
