"""Rows to train on: their draw, the checks of a task's contract, and the order of batches."""

import copy
import itertools
import random

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import numpy as np
import pytest

from coretx.errors import UsageError
from coretx.seeds import stream
from coretx.tasks.base import SIDES, Task, row_keys
from coretx.tasks.registry import TASKS
from coretx.tasks.sampling import Dataset, overlap_count, prepare_data
from coretx.training.batches import batch_order

STREAM = {"seed": 0, "task": "t", "model": "m", "member": 0}


class LastBit(Task):
    """Numbers 0 to 3; label 1 for 1 and 3."""

    name = "last_bit"
    sequence_length = 1
    feature_dim = 1

    def generate_candidates(self, n, rng):
        return rng.integers(4, size=(n, 1, 1)).astype(np.float32)

    def label(self, x):
        return (x[:, 0, 0] % 2).astype(np.float32)


class Broken(LastBit):
    """LastBit with something wrong about its inputs or labels."""

    def __init__(self, inputs=lambda x: x, labels=lambda y: y):
        self.inputs, self.labels = inputs, labels

    def generate_candidates(self, n, rng):
        return self.inputs(super().generate_candidates(n, rng))

    def label(self, x):
        return self.labels(super().label(x))


@pytest.mark.parametrize("n", [100, 101])
def test_rows_are_balanced_with_the_odd_one_negative_and_shuffled_and_labelled_by_the_rule(task, n):
    data = prepare_data(n, 0, task=task)
    assert (len(data), data.y.sum()) == (n, n // 2)
    assert 0 < data.y[: n // 2].sum() < n // 2
    assert task.label(data.x).tolist() == data.y.tolist()


def test_rows_come_from_the_candidates_of_the_seed(task):
    pool = task.generate_candidates(1000, stream(3, task.name, purpose="data"))
    assert set(row_keys(prepare_data(100, 3, task=task).x).tolist()) <= set(row_keys(pool).tolist())


def test_seed_alone_decides_the_rows(task):
    first, again, other = (prepare_data(50, seed, task=task) for seed in (0, 0, 1))
    assert (first.x.tobytes(), first.y.tobytes()) == (again.x.tobytes(), again.y.tobytes())
    assert first.x.tobytes() != other.x.tobytes()


def test_task_can_be_named():
    assert prepare_data(10, 0, task="aa+bb=cc").x.tobytes() == prepare_data(10, 0, task="two_digit_sum").x.tobytes()


def test_class_is_drawn_with_replacement():
    data = prepare_data(100, 0, task=LastBit())
    assert sorted(np.unique(data.x)) == [0, 1, 2, 3]


@pytest.mark.parametrize("side", SIDES)
def test_rows_of_every_seed_are_on_the_side(task, side):
    """So train of one seed shares no problem with test of another."""
    for seed in (0, 1, 2, 3, 17):
        data = prepare_data(100, seed, task=task, side=side)
        assert set(task.side(data.x)) == {SIDES.index(side)}


def test_odd_number_on_a_side_has_one_more_of_class_0():
    data = prepare_data(101, 0, task=TASKS["sign_of_winner"], side="test")
    assert (len(data), data.y.sum()) == (101, 50)


@pytest.mark.parametrize("label", [0, 1])
def test_absent_class_is_named_with_its_task(label):
    task = Broken(labels=lambda y: np.full_like(y, 1 - label))
    with pytest.raises(UsageError, match=f"last_bit: both classes must occur .* none has label {label}"):
        prepare_data(10, 0, task=task)


@pytest.mark.parametrize("n", [3, 0, -1])
def test_too_few_rows_are_refused(n):
    with pytest.raises(UsageError, match=f"at least 4, two rows of each class; got {n}"):
        prepare_data(n, 0, task=LastBit())


@pytest.mark.parametrize(
    ("inputs", "got"),
    [
        (lambda x: x.astype(np.float64), r"float64 \(512, 1, 1\)"),
        (lambda x: x[:-1], r"float32 \(511, 1, 1\)"),
        (lambda x: x[:, :, 0], r"float32 \(512, 1\)"),
        (lambda x: x.repeat(2, axis=2), r"float32 \(512, 1, 2\)"),
        (lambda x: x.tolist(), r"float64 \(512, 1, 1\)"),
        (lambda x: None, r"object \(\)"),
    ],
    ids=["dtype", "too-few", "axis", "features", "list", "None"],
)
def test_wrong_candidates_are_refused(inputs, got):
    with pytest.raises(
        UsageError, match=rf"last_bit: generate_candidates must return float32 of shape \(512, 1, 1\), got {got}"
    ):
        prepare_data(10, 0, task=Broken(inputs=inputs))


@pytest.mark.parametrize(
    ("labels", "got"),
    [
        (lambda y: y > 0, r"bool \(512,\)"),
        (lambda y: y[:, None], r"float32 \(512, 1\)"),
        (lambda y: y[1:], r"float32 \(511,\)"),
        (lambda y: y * 2, r"float32 \(512,\) with values \[0.0, 2.0\]"),
        (lambda y: np.where(y > 0, np.float32(np.nan), y), r"float32 \(512,\) with values"),
    ],
    ids=["dtype", "axis", "too-few", "two", "nan"],
)
def test_wrong_labels_are_refused(labels, got):
    with pytest.raises(UsageError, match=rf"last_bit: label must return .* of shape \(512,\), got {got}"):
        prepare_data(10, 0, task=Broken(labels=labels))


@pytest.mark.parametrize("side", [None, "test"])
@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, r"\+inf"), (-np.inf, "-inf")])
def test_feature_that_is_no_finite_number_is_refused_with_its_row(value, shown, side):
    def planted(x):
        x[7, 0, 0] = value
        return x

    with pytest.raises(UsageError, match=rf"last_bit: features must be finite .* row 7 of .* is \"\[.?{shown}\]\""):
        prepare_data(10, 0, task=Broken(inputs=planted), side=side)


def test_infinity_in_a_listed_space_is_refused_with_its_row():
    class Listed(LastBit):
        def space(self):
            return np.array([0, 1, 2, 3, np.inf], np.float32)[:, None, None], np.full(5, 0.2)

        def problems(self):
            return row_keys(np.arange(4, dtype=np.float32)[:, None, None]), np.array([1, 2, 1, 2])

    with pytest.raises(UsageError, match=r'last_bit: features must be finite .* row 4 of space is "\[\+inf\]"'):
        prepare_data(40, 0, task=Listed(), side="train")


OWN = np.random.default_rng(0)
OTHER_SOURCES = {
    "numpy": lambda n: np.random.randint(40, size=n),
    "python": lambda n: [random.randrange(40) for _ in range(n)],
    "fresh": lambda n: np.random.default_rng().integers(40, size=n),
    "own": lambda n: OWN.integers(40, size=n),
}


@pytest.mark.parametrize("side", [None, "train"])
@pytest.mark.parametrize("source", OTHER_SOURCES)
def test_candidates_from_another_generator_are_refused(source, side):
    def drawn(x):
        return np.array(OTHER_SOURCES[source](len(x)), np.float32)[:, None, None]

    rows = r'"\[\+\d+.00\]"'
    message = rf"last_bit: generate_candidates must draw with the rng .* gave {rows} and {rows} as row \d+"
    with pytest.raises(UsageError, match=message):
        prepare_data(4, 0, task=Broken(inputs=drawn), side=side)


@pytest.mark.parametrize("side", [None, "train"])
def test_label_that_changes_is_refused_with_a_row(side):
    calls = itertools.count()
    task = Broken(labels=lambda y: y if next(calls) % 2 else 1 - y)
    with pytest.raises(
        UsageError, match=r'last_bit: label must depend on the row alone, but "\[\+\d.00\]" has label 0'
    ):
        prepare_data(4, 0, task=task, side=side)


@pytest.mark.parametrize("side", [None, "test"])
@pytest.mark.parametrize("name", ["has_pos_and_neg", "two_digit_sum"])
def test_contract_is_checked_once_and_each_pool_is_labelled_once(name, side):
    """Several draws of candidates, or one and the rows of the space; and one more call on the rows that are drawn."""
    task = copy.copy(TASKS[name])
    labelled, drawn = [], []
    task.label = lambda x: labelled.append(len(x)) or TASKS[name].label(x)
    task.generate_candidates = lambda n, rng: drawn.append(n) or TASKS[name].generate_candidates(n, rng)
    data = prepare_data(3000, 0, task=task, side=side)
    pools = [n for n in drawn if n == 30_000]
    space = [len(rows[0]) for rows in [task.space()] if rows and side]
    assert labelled == [*pools, *space, len(data)]
    assert drawn == [*pools, 64, 64]


small_rows = hypothesis.extra.numpy.arrays(
    np.float32, st.tuples(st.integers(1, 8), st.just(2), st.just(1)), elements=st.sampled_from([0.0, -0.0, 1.0, -1.5])
)


def dataset(x):
    return Dataset(x, np.zeros(len(x), np.float32))


@hypothesis.given(train=small_rows, test=small_rows)
def test_overlap_counts_rows_that_occur_in_train(train, test):
    seen = {tuple(float(value) for value in row.ravel()) for row in train}  # 0.0 == -0.0, and both hash alike
    expected = sum(tuple(float(value) for value in row.ravel()) in seen for row in test)
    assert overlap_count(dataset(train), dataset(test)) == expected


@pytest.mark.parametrize(
    ("n", "batch", "shape"),
    [(20, 8, (3, 8)), (16, 8, (2, 8)), (5, 8, (1, 5)), (1, 1, (1, 1)), (1000, 128, (8, 128))],
)
def test_every_epoch_is_a_permutation_of_all_rows_in_batches_of_one_shape(n, batch, shape):
    """The end of the last batch is filled with rows that exist, which weigh nothing."""
    rows, weights = batch_order(n, batch, range(3), **STREAM)
    assert rows.shape == weights.shape == (3, *shape)
    assert ((rows >= 0) & (rows < n)).all()
    filled = np.arange(np.prod(shape)) < n
    for epoch in range(3):
        assert weights[epoch].ravel().tolist() == filled.tolist()
        assert sorted(rows[epoch].ravel()[filled]) == list(range(n))


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"task": "u"}, {"model": "n"}, {"member": 1}], ids=lambda c: next(iter(c))
)
def test_order_differs_with_each_part_of_the_name(change):
    first, _ = batch_order(20, 8, range(1), **STREAM)
    second, _ = batch_order(20, 8, range(1), **STREAM | change)
    assert first.tolist() != second.tolist()
