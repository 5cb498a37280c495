"""The splits of a run: disjoint by construction, distinct, balanced, counted."""

import itertools

import numpy as np
import pytest

from coretx.errors import UsageError
from coretx.tasks.arithmetic import ARITHMETIC
from coretx.tasks.base import Task, row_keys
from coretx.tasks.registry import TASKS
from coretx.tasks.sampling import Dataset, prepare_data
from coretx.tasks.splits import (
    DATA_SEEDS_APART,
    SCORED_ROWS,
    assert_disjoint,
    count_splits,
    draw_splits,
    measure_overlap,
    scored_splits,
)

N = 120


@pytest.fixture
def task(task):
    return task.with_negatives("balanced")


def test_splits_share_no_row_and_no_problem(task):
    data = draw_splits(task, N, 0, "disjoint")
    assert list(data) == ["train", "val", "test"]
    for first, second in itertools.combinations(data.values(), 2):
        for keys in (row_keys, task.canonical_key):
            assert not set(keys(first.x).tolist()) & set(keys(second.x).tolist())
    assert_disjoint(task, data)
    overlap = measure_overlap(task, data, N, 0, "disjoint")
    assert (overlap.overlap_count, overlap.overlap_keys, overlap.negatives) == (0, 0, task.negatives)


def test_rows_are_distinct_balanced_and_rightly_labelled(task):
    for split in draw_splits(task, N, 0, "disjoint").values():
        assert len(set(row_keys(split.x).tolist())) == len(split)
        assert split.y.sum() == len(split) / 2
        assert task.label(split.x).tolist() == split.y.tolist()


def test_seeds_of_the_splits_are_seed_and_the_two_after(task):
    data = draw_splits(task, N, 5, "disjoint")
    for name, seed in (("train", 5), ("test", 6), ("val", 7)):
        assert data[name].x.tobytes() == prepare_data(N, seed, task=task, side=name).x.tobytes()
    assert DATA_SEEDS_APART == 3


def test_original_protocol_is_the_original_draw(task):
    data = draw_splits(task, N, 5, "original")
    assert list(data) == ["train", "test"]
    assert data["test"].x.tobytes() == prepare_data(N, 6, task=task).x.tobytes()


def test_scored_test_split_begins_with_the_rows_of_every_epoch_and_adds_new_ones(task):
    data = draw_splits(task, N, 0, "disjoint")
    scored = scored_splits(task, data, 0, "disjoint")
    first, test = data["test"], scored["test"]
    assert scored["train"] is data["train"]
    assert scored["val"] is data["val"]
    assert test.x[: len(first)].tobytes() == first.x.tobytes()
    assert test.y[: len(first)].tobytes() == first.y.tobytes()
    assert len(test) == min(SCORED_ROWS, len(draw_splits(task, SCORED_ROWS, 0, "disjoint")["test"]))
    assert len(set(row_keys(test.x).tolist())) == len(test)
    assert test.y.sum() == len(test) / 2
    assert task.label(test.x).tolist() == test.y.tolist()
    assert_disjoint(task, scored)


def test_test_split_has_at_most_scored_rows_however_many_are_wanted():
    task = TASKS["sign_of_winner"]
    data = draw_splits(task, SCORED_ROWS + 4, 0, "disjoint")
    assert len(data["train"]) == SCORED_ROWS + 4
    assert data["test"].x.tobytes() == draw_splits(task, SCORED_ROWS, 0, "disjoint")["test"].x.tobytes()
    assert len(scored_splits(task, data, 0, "disjoint")["test"]) == SCORED_ROWS


def test_original_protocol_scores_the_rows_of_every_epoch(task):
    data = draw_splits(task, N, 5, "original")
    assert scored_splits(task, data, 5, "original") == data


@pytest.mark.parametrize("name", ["has_all_tokens", "single_digit_sum", "single_digit_sum_swapped"])
def test_small_side_gives_all_rows_of_its_rarer_class_whatever_the_seed(name):
    task = TASKS[name].with_negatives("balanced")
    x, _ = task.space()
    data = {seed: draw_splits(task, 1000, seed, "disjoint") for seed in (0, 3)}
    for place, side in enumerate(("train", "val", "test")):
        rows = x[task.side(x) == place]
        rarer = rows[task.label(rows) == 1]
        for drawn in data.values():
            split = drawn[side]
            assert len(split) == 2 * len(rarer)
            assert set(row_keys(split.x[split.y == 1]).tolist()) == set(row_keys(rarer).tolist())


def test_rows_beyond_the_first_draw_come_from_the_space():
    task = TASKS["two_digit_sum"].with_negatives("original")
    true = ARITHMETIC.encode(task.tokens(task.all_problems()))
    assert prepare_data(3000, 1, task=task, side="test").y.sum() == (task.side(true) == 2).sum()


def test_counts_are_those_of_the_rows():
    task = TASKS["single_digit_sum"].with_negatives("balanced")
    data = draw_splits(task, 1000, 0, "disjoint")
    counts = count_splits(task, data, 1000, 0, "disjoint")["test"]
    texts = {task.render(row): label for row, label in zip(data["test"].x, data["test"].y, strict=True)}
    true = [text for text, label in texts.items() if label == 1]
    problems = {frozenset(text.split(" = ")[0].split(" + ")) for text in texts}
    assert counts.rows == counts.distinct_rows == (len(texts) - len(true), len(true))
    assert counts.keys == len(problems) == 6
    assert counts.distinct_keys[1] == 6
    assert counts.small_space


def test_original_draw_counts_repeats_once():
    task = TASKS["single_digit_sum"]
    counts = count_splits(task, draw_splits(task, 1000, 0, "original"), 1000, 0, "original")["test"]
    assert counts.rows == (500, 500)
    assert counts.distinct_rows[1] == 55
    assert counts.keys == 30
    assert not counts.small_space


@pytest.mark.parametrize(("name", "small"), [("sign_of_winner", False), ("has_all_tokens", True)])
@pytest.mark.parametrize("n", [40, 1000])
def test_small_space_does_not_depend_on_the_number_of_rows_wanted(name, small, n):
    task = TASKS[name]
    counts = count_splits(task, draw_splits(task, n, 0, "disjoint"), n, 0, "disjoint")
    assert [counts[part].small_space for part in ("val", "test")] == [small, small]


@pytest.fixture
def true_rows(one_hot):
    """Return a function that gives these true equations as a split."""
    return lambda *texts: Dataset(one_hot(*texts), np.ones(len(texts), np.float32))


def test_overlap_is_counted_as_rows_and_as_problems(true_rows):
    data = {"train": true_rows("1+2=3"), "test": true_rows("1+2=3", "2+1=3", "4+1=5")}
    found = measure_overlap(TASKS["single_digit_sum"], data, 3, 0, "original")
    assert (found.overlap_count, found.overlap_keys, found.test_total) == (1, 2, 3)


@pytest.mark.parametrize(
    ("planted", "message"),
    [
        ("3+2=5", r'train and test must share nothing, but "3 \+ 2 = 5" of test is the same problem as a row of train'),
        ("2+3=5", r'train and test must share nothing, but "2 \+ 3 = 5" of test is also in train'),
    ],
)
def test_overlap_names_an_offending_row(planted, message, true_rows):
    data = {"train": true_rows("2+3=5", "1+1=2"), "val": true_rows("4+4=8"), "test": true_rows("0+1=1", planted)}
    with pytest.raises(UsageError, match=message):
        assert_disjoint(TASKS["single_digit_sum"], data)


class Numbers(Task):
    """Numbers below `size`, in one step; label 1 for odd ones."""

    name = "numbers"
    sequence_length = 1
    feature_dim = 1

    def __init__(self, size=40, key=None, label=None, listed=False):
        self.size, self.key, self.rule_, self.listed = size, key, label, listed

    def generate_candidates(self, n, rng):
        return rng.integers(self.size, size=(n, 1, 1)).astype(np.float32)

    def label(self, x):
        y = (x[:, 0, 0] % 2).astype(np.float32)
        return y if self.rule_ is None else self.rule_(x, y).astype(np.float32)

    def canonical_key(self, x):
        return super().canonical_key(x) if self.key is None else self.key(x)

    def space(self):
        half = np.arange(self.size // 2, dtype=np.float32)[:, None, None]
        return (half, np.full(len(half), 1 / len(half))) if self.listed else None


ROW = r'"\[\+\d+\.00\]"'


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Numbers(label=lambda x, y: np.arange(len(x)) % 2), rf"label must depend on the row alone, but {ROW}"),
        (Numbers(label=lambda x, y: 0 * y), rf"both classes must occur .* none has label 1, all are like {ROW}"),
        (Numbers(label=lambda x, y: x[:, 0, 0] == 7), rf"\w+ has [01] with label 1, the label of {ROW}"),
        (Numbers(key=lambda x: np.zeros(len(x))), rf"canonical_key must tell problems apart.*it gives 1 among.*{ROW}"),
        (Numbers(key=lambda x: np.arange(len(x))), rf"canonical_key must depend on the row alone, but {ROW}"),
        (Numbers(key=lambda x: x[:, 0]), r"canonical_key must return one key per row, shape \(\d+,\), got \(\d+, 1\)"),
        (Numbers(size=4), r"needs 2 distinct rows of either class, but \w+ has [01] with label [01], the label of"),
        (Numbers(listed=True), rf"space must hold every input that generate_candidates draws, but the key of {ROW}"),
    ],
    ids=["order", "one-class", "one-row", "one-key", "key-order", "key-shape", "tiny", "not-in-space"],
)
def test_task_that_cannot_be_split_is_refused_with_a_row(task, message):
    with pytest.raises(UsageError, match=f"^task numbers: .*{message}"):
        draw_splits(task, 40, 0, "disjoint")


def test_unlisted_small_space_gives_all_rows_found():
    data = draw_splits(Numbers(), 1000, 0, "disjoint")
    assert sum(len(split) for split in data.values()) <= 40
    assert all(split.y.sum() == len(split) / 2 for split in data.values())


@pytest.mark.parametrize("side", ["train", "val", "test"])
def test_rare_class_is_drawn_until_it_is_full(side):
    """Of 20 steps one in a thousand lacks a token: some draws bring no such row at all."""
    task = TASKS["has_all_tokens"].at_length(20)
    data = prepare_data(40, 1, task=task, side=side)
    assert (len(data), data.y.sum()) == (40, 20)
