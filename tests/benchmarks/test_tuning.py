"""Tuning chooses by validation alone, goes on where it stopped, and gives every rung the same budget."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import tuning
from coretx import load_results
from coretx.errors import UsageError
from coretx.models import recipes
from coretx.models.recipes import TUNED
from coretx.models.registry import build_models
from coretx.models.spec import Optimizer
from coretx.running import run_data
from coretx.tasks.sampling import Dataset
from coretx.tasks.splits import draw_splits

POINTS = len(tuning.LEARNING_RATES) * len(tuning.WEIGHT_DECAYS)


def tune(folder):
    what = ["--tasks", "has_all_tokens", "--models", "logreg", "--epochs", "3"]
    return tuning.main([*what, "--out", str(folder / "cells"), "--write", str(folder)])


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuning")
    assert tune(folder) == 0
    return folder


def test_every_point_is_measured_with_the_same_budget(tuned):
    rows = tuning.VALIDATION.read(tuned / "validation.csv")
    assert len({(row.learning_rate, row.weight_decay) for row in rows}) == len(rows) == POINTS
    assert {(row.seed, row.members, row.epochs) for row in rows} == {(tuning.SEED, tuning.MEMBERS, 3)}
    assert all(None not in (row.loss, row.accuracy, row.best_epoch) for row in rows)


def test_noise_for_test_rows_changes_no_byte_of_the_choice(tuned, tmp_path, monkeypatch):
    def noisy(*arguments):
        splits = draw_splits(*arguments)
        test, rng = splits["test"], np.random.default_rng(0)
        noise = Dataset(100 * rng.standard_normal(test.x.shape, np.float32), rng.permutation(test.y))
        return splits | {"test": noise}

    monkeypatch.setattr(run_data, "draw_splits", noisy)
    monkeypatch.setattr(run_data, "assert_disjoint", lambda task, data: None)
    monkeypatch.setattr(run_data, "scored_splits", lambda task, data, seed, protocol: data)
    assert tune(tmp_path) == 0
    scores = [result.scores for result in load_results(tmp_path / "cells")]
    assert len(scores) == POINTS
    assert all(part["test"].loss.mean() > 2 * part["val"].loss.mean() for part in scores), "was there no noise?"
    assert (tmp_path / "validation.csv").read_bytes() == (tuned / "validation.csv").read_bytes()


def test_a_second_run_trains_nothing_and_prints_the_same_recipe(tuned, capsys):
    before = (tuned / "validation.csv").read_bytes()
    assert tune(tuned) == 0
    printed = capsys.readouterr().out
    assert "training" not in printed
    rows = tuning.VALIDATION.read(tuned / "validation.csv")
    point = tuning.best_point(tuning.mean_losses(rows, "logreg"), "logreg")
    assert tuning.recipe_line("logreg", point) in printed
    assert (tuned / "validation.csv").read_bytes() == before


def test_an_interrupted_run_chooses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "run", lambda config: [])
    assert tune(tmp_path) == 130
    assert list(tmp_path.iterdir()) == []


def row(task, point, loss):
    return tuning.ValidationRow("id", "mlp", task, point, 0.1, 0.01, 0, 2, 1000, 3, loss, None, None, "unknown")


def test_a_point_that_diverged_on_one_task_is_out():
    rows = [row("a", "1x", 0.6), row("a", "lr3x", None), row("b", "1x", 0.8), row("b", "lr3x", 0.1)]
    losses = tuning.mean_losses(rows, "mlp")
    assert losses == {"1x": pytest.approx(0.7), "lr3x": None}
    assert tuning.best_point(losses, "mlp") == "1x"


def test_where_all_points_diverged_none_is_chosen():
    with pytest.raises(UsageError, match="mlp: a member diverged at every point"):
        tuning.best_point({"1x": None, "wd10x": None}, "mlp")


def test_recipes_are_the_original_s_at_the_chosen_points():
    assert tuning.tuned_optimizer("self_attention", "lr0.111x-wd10x") == Optimizer(0.0444, 0.0222, weight_decay=0.1)


def test_committed_recipe_is_what_the_committed_measurements_say():
    rows = tuning.VALIDATION.read(tuning.FOLDER / "validation.csv")
    ladder = [spec.name for spec in build_models()]
    assert len(rows) == len(ladder) * len({row.task for row in rows}) * POINTS
    assert {(row.seed, row.members, row.epochs) for row in rows} == {(tuning.SEED, tuning.MEMBERS, tuning.EPOCHS)}
    chosen = {model: tuning.best_point(tuning.mean_losses(rows, model), model) for model in ladder}
    assert {model: tuning.tuned_optimizer(model, point) for model, point in chosen.items()} == TUNED
    lines = [tuning.recipe_line(model, point) for model, point in chosen.items()]
    assert "\n".join(lines) in Path(recipes.__file__).read_text()
