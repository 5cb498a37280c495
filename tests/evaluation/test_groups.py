"""Groups of test rows: names of the arithmetic tasks, counts that add up, and the contract for a plugin's task."""

import json
import re

import numpy as np
import pytest

from coretx.cli import main
from coretx.errors import UsageError
from coretx.evaluation.groups import find_groups, score_groups
from coretx.records.store import load_result
from coretx.tasks.numeric import SignOfWinner
from coretx.tasks.registry import TASKS
from coretx.tasks.sampling import Dataset, prepare_data

SMALL = ("--models", "logreg", "--epochs", "2", "--n-samples", "20", "--wandb", "disabled", "--device", "cpu")
SUMS = ("single_digit_sum", "single_digit_sum_swapped", "two_digit_sum", "multi_digit_sum")


@pytest.mark.parametrize(
    ("name", "text", "groups"),
    [
        ("two_digit_sum", "17+25=42", ("true", "1", "none", "6", "2")),
        ("two_digit_sum", "17+25=32", ("carry_dropped", "1", "10s", "6", "2")),
        ("two_digit_sum", "12+34=47", ("off_by_one", "0", "1s", "6", "7")),
        ("two_digit_sum", "02+05=70", ("digits_swapped", "0", "10s, 1s", "3", "0")),
        ("multi_digit_sum", "57+65=99+23", ("true", "4", "none", "8", "3")),
        ("multi_digit_sum", "17+25=11+32", ("off_by_one", "1", "1s", "8", "2")),
    ],
)
def test_groups_of_an_equation_are_read_from_it(name, text, groups, one_hot):
    x = one_hot(text)
    found = TASKS[name].groups(x, TASKS[name].label(x))
    assert list(found) == [
        "kind of answer",
        "number of carries",
        "wrong digits of the answer",
        "digits of all numbers",
        "units digit of the answer",
    ]
    assert tuple(labels[0] for labels in found.values()) == groups


def test_one_digit_has_no_carries_and_no_columns(one_hot):
    task, x = TASKS["single_digit_sum_swapped"], one_hot("2+3=5", "5=2+3", "4=2+3")
    assert {grouping: labels.tolist() for grouping, labels in task.groups(x, task.label(x)).items()} == {
        "kind of answer": ["true", "true", "off_by_one"],
        "units digit of the answer": ["5", "5", "4"],
    }


@pytest.mark.parametrize("name", SUMS)
def test_every_grouping_divides_all_rows_and_their_right_answers(name):
    task = TASKS[name].with_negatives("balanced")
    data = prepare_data(300, 1, task=task, side="test")
    logits = np.random.default_rng(0).standard_normal((2, len(data)), dtype=np.float32)
    scores = score_groups(find_groups(task, data), logits, data.y)
    right = ((logits > 0) == data.y).sum(axis=1)
    for grouping in task.groups(data.x, data.y):
        parts = [score for score in scores if score.grouping == grouping]
        assert sum(part.rows for part in parts) == len(data)
        np.testing.assert_array_equal(sum(part.correct for part in parts), right)
        assert all(0 < part.keys <= part.rows for part in parts)
    true = next(score for score in scores if score.group == "true")
    assert true.rows == data.y.sum()


def test_carries_agree_with_sums_by_hand():
    task = TASKS["multi_digit_sum"]
    x = task.generate_candidates(300, np.random.default_rng(0))
    numbers = np.array([re.findall(r"\d+", task.render(row)) for row in x], int).reshape(-1, 2, 2)
    units = (numbers % 10).sum(axis=2) // 10
    carries = units + ((numbers // 10).sum(axis=2) + units) // 10
    assert task.groups(x, task.label(x))["number of carries"].astype(int).tolist() == carries.sum(axis=1).tolist()


class Grouped(SignOfWinner):
    def __init__(self, groups):
        self.groups = lambda x, y: groups(x)


@pytest.fixture
def data():
    x = np.arange(80, dtype=np.float32).reshape(8, 5, 2) - 40
    return Dataset(x, (x[:, 0, 0] > 0).astype(np.float32))


def test_plugin_task_may_group_by_numbers(data):
    found = find_groups(Grouped(lambda x: {"place": np.array([10, 9, 9, 2, 2, 2, 2, 2])}), data)
    counts = [(group.name, int(group.rows.sum()), group.keys) for group in found]
    assert counts == [("2", 5, 5), ("9", 2, 2), ("10", 1, 1)]


def test_task_has_no_groups_by_default(data):
    assert find_groups(TASKS["sign_of_winner"], data) == []


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (lambda x: {"a": ["1"]}, r"groups must name one group per row, shape \(8,\), but gives shape \(1,\) for 'a'"),
        (lambda x: {"a": ["b\nc"] * len(x)}, r"groupings and groups must have printable names, got 'b\\nc'"),
        (lambda x: {"": ["b"] * len(x)}, "groupings and groups must have printable names, got ''"),
    ],
)
def test_invalid_groups_are_refused(data, groups, message):
    with pytest.raises(UsageError, match=message):
        find_groups(Grouped(groups), data)


def test_run_leaves_groups_in_cell_log_and_table(tmp_path):
    assert main([*SMALL, "--tasks", "single_digit_sum", "--out", str(tmp_path)]) == 0
    (path,) = (tmp_path / "artifacts" / "single_digit_sum" / "cells").glob("*.json")
    result = load_result(path)
    of_kind = [group for group in result.groups if group.grouping == "kind of answer"]
    assert [group.group for group in of_kind] == ["off_by_one", "other", "true"]
    right = (result.predictions["test"].logits > 0) == result.predictions["test"].y
    assert sum(group.correct[0] for group in of_kind) == right.sum()
    (log,) = (tmp_path / "artifacts" / "single_digit_sum" / "runs").glob("*.jsonl")
    (done,) = [event for event in map(json.loads, log.read_text().splitlines()) if event["event"] == "model_done"]
    assert done["groups"] == [{**group.__dict__, "correct": group.correct.tolist()} for group in result.groups]
    lines = (tmp_path / "benchmarks" / "groups.csv").read_text().splitlines()
    assert len(lines) == 1 + len(result.groups)


def test_invalid_groups_stop_the_run_before_anything_is_written(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "from coretx.tasks.numeric import SignOfWinner\n"
        "class Mine(SignOfWinner):\n"
        "    name = 'mine'\n"
        "    def groups(self, x, y): return {'side': 'left'}\n"
        "TASKS = (Mine(),)\n"
    )
    out = tmp_path / "out"
    assert main([*SMALL, "--plugin", str(tmp_path / "mine.py"), "--tasks", "mine", "--out", str(out)]) == 2
    wanted = "task mine: groups must name one group per row, shape (10000,), but gives shape ()"
    assert wanted in capsys.readouterr().err
    assert not out.exists()
