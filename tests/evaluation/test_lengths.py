"""Other lengths: the task, the models that can answer, and the scores that a run writes."""

import csv
import json
import re

import numpy as np
import pytest

from coretx.cli import main
from coretx.config import RunConfig
from coretx.errors import UsageError
from coretx.evaluation.lengths import answer_lengths, draw_lengths, score_lengths, variant
from coretx.models.registry import build_models
from coretx.models.spec import InputShape
from coretx.records.store import load_result
from coretx.running.plan import make_plan
from coretx.seeds import stream
from coretx.tasks.base import Task
from coretx.tasks.negatives import MIX, exchanged
from coretx.tasks.numeric import SignOfWinner
from coretx.tasks.registry import TASKS
from coretx.tasks.sampling import prepare_data
from coretx.training.backend import load_backend
from coretx.training.loop import Population, start

SMALL = ("--epochs", "2", "--n-samples", "40", "--wandb", "disabled", "--device", "cpu")
SUMS = [("single_digit_sum", 8), ("single_digit_sum_swapped", 8), ("two_digit_sum", 11), ("multi_digit_sum", 15)]
FREE = ("self_attention", "singlelayer_transformer", "bahdanau_attention", "multilayer_transformer")
FIXED = ("logreg", "mlp", "temporal")


def candidates(task, n=4000):
    return task.generate_candidates(n, stream(0, task.name))


@pytest.mark.parametrize(("name", "length"), SUMS)
@pytest.mark.parametrize("rule", ["balanced", "original"])
def test_equations_have_more_digits_in_every_problem_and_half_are_true(name, length, rule):
    task = TASKS[name].with_negatives(rule).at_length(length)
    x = candidates(task)
    y = task.label(x)
    assert y.mean() == 0.5
    assert task.negatives == rule
    for row, label in zip(x, y, strict=True):
        sides = [re.findall(r"\d+", side) for side in task.render(row).split("=")]
        assert {len(number) for side in sides for number in side} == {TASKS[name].digits + 1}
        left, right = (sum(map(int, side)) for side in sides)
        assert (left == right) == label
    # Zero padding would make the row 012+034=046 the problem 12+34=46, which train may hold.
    operands, _ = task.parse(x.argmax(axis=2))
    assert (task.solved(operands).max(axis=1) >= 10 ** TASKS[name].digits).all()


def test_equations_of_more_digits_keep_their_keys(one_hot):
    task = TASKS["two_digit_sum"].at_length(11)
    x = one_hot("123+456=579", "456+123=579", "123+456=580", "123+457=580")
    keys = task.canonical_key(x)
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert task.label(x).tolist() == [1, 1, 0, 1]
    assert task.groups(x, task.label(x))["kind of answer"].tolist() == ["true", "true", "off_by_one", "true"]


@pytest.mark.parametrize(("name", "length"), SUMS[2:])
def test_wrong_answers_of_more_digits_are_the_true_ones_in_the_mix(name, length):
    task = TASKS[name].with_negatives("balanced").at_length(length)
    x = candidates(task)
    operands, _ = task.parse(x.argmax(axis=2))
    y = task.label(x)
    true, wrong = np.sort(operands[y == 1, -1]), np.sort(operands[y == 0, -1])
    np.testing.assert_array_equal(true, wrong)
    shares = {kind: matches[y == 0].mean() for kind, matches in task.kinds(x).items()}
    assert shares == pytest.approx({kind: part / sum(MIX.values()) for kind, part in MIX.items()}, abs=0.02)


@pytest.mark.parametrize("true", [[7], [7, 7], [7, 7, 7, 8], list(range(50))])
def test_exchanged_answers_are_wrong_however_few_there_are(true):
    true = np.array(true)
    wrong = exchanged(true, true, 2, np.random.default_rng(0))
    assert (wrong != true).all()
    assert ((wrong >= 0) & (wrong < 100)).all()


@pytest.mark.parametrize("name", ["sign_of_winner", "has_all_tokens", "two_digit_sum"])
def test_own_length_is_the_test_split(name):
    task = TASKS[name]
    (data,) = draw_lengths(task, [task.sequence_length], 50, 0, "disjoint").values()
    test = prepare_data(50, 1, task=task, side="test")
    assert (data.x.tobytes(), data.y.tobytes()) == (test.x.tobytes(), test.y.tobytes())


def test_a_long_string_of_symbols_is_drawn_without_a_list_of_all():
    task = TASKS["has_all_tokens"]
    assert task.at_length(11).space() is None
    (data,) = draw_lengths(task, [11], 40, 0, "disjoint").values()
    assert (len(data), data.y.mean()) == (40, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--eval-lengths", "0"], "--eval-lengths takes numbers of steps, at least 1 and each once; got 0 among 0"),
        (["--eval-lengths", "7", "7"], "at least 1 and each once; got 7 among 7 7"),
        (
            ["--tasks", "two_digit_sum", "--eval-lengths", "10"],
            "--eval-lengths 10: task two_digit_sum has no inputs of that length; choose from: 8, 11, 14, 17",
        ),
        (["--tasks", "has_pos_and_neg", "--eval-lengths", "1"], "no inputs of that length; choose from: 2 or more"),
        (["--tasks", "any_abs_gt_one", "--eval-lengths", "40"], "--eval-lengths 40: task any_abs_gt_one: both classes"),
    ],
)
def test_impossible_length_is_exit_code_2_and_writes_nothing(arguments, message, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([*SMALL, "--models", "self_attention", "--out", str(out), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()


class Stiff(SignOfWinner):
    name = "stiff"
    at_length = Task.at_length


class Loose(SignOfWinner):
    at_length = Task.resized


class Growing(SignOfWinner):
    def at_length(self, length):
        other = self.resized(length)
        other.feature_dim = 3
        return other


def test_task_has_only_its_own_length_by_default():
    assert variant(Stiff(), 5).sequence_length == 5
    with pytest.raises(UsageError, match="--eval-lengths 7: the length of task stiff cannot vary, all inputs have 5"):
        variant(Stiff(), 7)
    assert draw_lengths(Loose(), [7], 8, 0, "original")[7].x.shape == (8, 7, 2)


def test_variant_with_other_features_is_refused():
    message = r"at_length\(7\) must give inputs of 7 steps with 2 features, but gives 7 with 3"
    with pytest.raises(UsageError, match=message):
        draw_lengths(Growing(), [7], 8, 0, "original")


def answers(engine, name, members=2):
    """Return rows of lengths 5 and 9, a model with its initial weights, and its answers on them."""
    (spec,) = build_models([name])
    strategy = engine.strategy(spec, members)
    access = engine.open(spec, InputShape(5, 2), members, "float32", strategy)
    start(access, Population(spec, 0, "t", members))
    data = draw_lengths(TASKS["sign_of_winner"], [5, 9], 20, 0, "disjoint")
    return data, access, answer_lengths(engine, spec, access, data, "float32", strategy)


@pytest.mark.parametrize("name", FREE)
def test_model_of_any_length_answers_alike_in_both_engines(name):
    found = {}
    for engine in ("jax", "torch"):
        data, access, found[engine] = answers(load_backend(engine, "cpu"), name)
        np.testing.assert_allclose(found[engine][5], access.logits(data[5].x), rtol=1e-5, atol=1e-6)
    assert found["jax"][9].shape == (2, 20)
    np.testing.assert_allclose(found["jax"][9], found["torch"][9], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FIXED)
def test_model_whose_shape_fixes_the_length_is_not_applicable(name, engine):
    data, access, found = answers(engine, name)
    np.testing.assert_allclose(found[5], access.logits(data[5].x), rtol=1e-5, atol=1e-6)
    assert found[9] is None
    _, other = score_lengths(TASKS["sign_of_winner"], data, found)
    assert (other.length, other.trained, other.rows, other.accuracy, other.loss) == (9, 5, 20, None, None)


def test_score_is_the_share_of_right_answers_of_these_members():
    task = TASKS["sign_of_winner"]
    data = draw_lengths(task, [9], 20, 0, "disjoint")
    right = np.where(data[9].y > 0, 1.0, -1.0)
    logits = np.stack([right, -right, np.ones(20)])
    (score,) = score_lengths(task, data, {9: logits[1:3]})
    assert score.accuracy.tolist() == [0, 0.5]
    assert score.loss == pytest.approx([np.log1p(np.e), (np.log1p(np.e) + np.log1p(1 / np.e)) / 2])
    assert (score.rows, score.keys) == (20, 20)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run at two other lengths, of a fixed and a free model, the free one in both engines."""
    out = tmp_path_factory.mktemp("lengths")
    models = ("--models", "mlp", "bahdanau_attention", "bahdanau_attention:torch", "--members", "2")
    assert main([*SMALL, *models, "--eval-lengths", "9", "5", "--out", str(out)]) == 0
    return out


def results(out):
    found = [load_result(path) for path in (out / "artifacts" / "sign_of_winner" / "cells").glob("*.json")]
    return {f"{result.config.model}.{result.config.backend}": result for result in found}


def test_run_leaves_scores_at_every_length(finished):
    found = results(finished)
    for name, result in found.items():
        other, own = result.lengths
        assert (other.length, own.length, result.config.eval_lengths) == (9, 5, (9, 5))
        np.testing.assert_array_equal(own.accuracy, result.scores["test"].accuracy)
        assert own.loss == pytest.approx(result.scores["test"].loss, rel=1e-5)
        assert (other.accuracy is None) == name.startswith("mlp")
    one, other = (found[f"bahdanau_attention.{engine}"].lengths[0] for engine in ("jax", "torch"))
    assert one.loss == pytest.approx(other.loss, rel=1e-3)


def test_run_leaves_rows_log_and_pages(finished):
    rows = list(csv.DictReader((finished / "benchmarks" / "lengths.csv").read_text().splitlines()))
    applicable = {(row["model"], row["backend"]): row["applicable"] for row in rows if row["length"] == "9"}
    free = {("bahdanau_attention", engine): "1" for engine in ("jax", "torch")}
    assert applicable == {("mlp", "jax"): "0"} | free
    assert all((row["accuracy"] == "") == (row["applicable"] == "0") for row in rows)
    (log,) = (finished / "artifacts" / "sign_of_winner" / "runs").glob("*.jsonl")
    done = [event for event in map(json.loads, log.read_text().splitlines()) if event["event"] == "model_done"]
    assert [[score["length"] for score in event["lengths"]] for event in done] == [[9, 5]] * 3
    page = (finished / "artifacts" / "sign_of_winner" / "mlp.html").read_text()
    assert "not applicable: the shape of the model fixes the length" in page
    assert "--eval-lengths 9 5" in page
    assert '<a href="generalisation.html">' in (finished / "benchmarks" / "index.html").read_text()


def test_rebuilt_pages_are_the_same(finished):
    paths = [*(finished / "benchmarks").glob("*.html"), *(finished / "artifacts").glob("*/*.html")]
    before = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.unlink()
    assert main(["--rebuild-reports", "--out", str(finished)]) == 0
    assert {path: path.read_bytes() for path in paths} == before


def test_lengths_change_no_weight(finished, tmp_path):
    assert main([*SMALL, "--models", "mlp", "--members", "2", "--out", str(tmp_path)]) == 0
    (plain,) = results(tmp_path).values()
    with_lengths = results(finished)["mlp.jax"]
    assert plain.config.id != with_lengths.config.id
    for name, values in plain.weights.items():
        np.testing.assert_array_equal(values, with_lengths.weights[name])


def test_plan_checks_lengths_before_anything_else(tmp_path):
    with pytest.raises(UsageError, match="--eval-lengths 10: task two_digit_sum"):
        make_plan(RunConfig(tasks=("sign_of_winner", "two_digit_sum"), eval_lengths=(10,), out=tmp_path))
