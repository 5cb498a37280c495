"""Tuning chooses by validation alone, goes on where it stopped, and gives every rung the same budget."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks import tuning
from coretx.errors import UsageError
from coretx.models import recipes
from coretx.models.recipes import TUNED
from coretx.models.registry import build_models
from coretx.models.spec import Optimizer
from coretx.running import run_data
from coretx.tasks.sampling import Dataset
from coretx.tasks.splits import draw_splits

ARGUMENTS = ("--tasks", "has_all_tokens", "--models", "logreg", "--epochs", "3")
POINTS = len(tuning.LEARNING_RATES) * len(tuning.WEIGHT_DECAYS)


def tune(out):
    return tuning.main([*ARGUMENTS, "--out", str(out)])


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    out = tmp_path_factory.mktemp("tuning")
    assert tune(out) == 0
    return out


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

    scores = []
    monkeypatch.setattr(tuning, "train_cells", seen(tuning.train_cells, scores))
    monkeypatch.setattr(run_data, "draw_splits", noisy)
    monkeypatch.setattr(run_data, "assert_disjoint", lambda task, data: None)
    monkeypatch.setattr(run_data, "scored_splits", lambda task, data, seed, protocol: data)
    assert tune(tmp_path) == 0
    assert len(scores) == POINTS
    assert all(part["test"].loss.mean() > 2 * part["val"].loss.mean() for part in scores), "was there no noise?"
    assert (tmp_path / "validation.csv").read_bytes() == (tuned / "validation.csv").read_bytes()


def seen(train, scores):
    """Return the function that trains, with the scores of every cell kept."""

    def training(*job):
        results = train(*job)
        scores.extend(result.scores for result in results)
        return results

    return training


def test_finished_populations_are_not_trained_again(tuned, monkeypatch):
    monkeypatch.setattr(tuning, "train_cells", lambda *job: pytest.fail("trained again"))
    before = (tuned / "validation.csv").read_bytes()
    assert tune(tuned) == 0
    assert (tuned / "validation.csv").read_bytes() == before


def test_committed_measurements_print_the_committed_recipe(tmp_path, monkeypatch, capsys):
    """Whatever jaxtx/strategies.json chooses by now: how members run beside each other is part of a cell's id."""
    monkeypatch.setattr(tuning, "train_cells", lambda *job: pytest.fail("trained again"))
    shutil.copy(tuning.FOLDER / "validation.csv", tmp_path)
    assert tuning.main(["--out", str(tmp_path)]) == 0
    lines = [line.partition("  #")[0] for line in capsys.readouterr().out.splitlines()]
    assert "\n".join(lines) in Path(recipes.__file__).read_text()
    assert len(lines) == len(TUNED)


def test_an_error_in_one_population_keeps_the_others_and_is_raised(tmp_path, monkeypatch):
    train = tuning.train_cells

    def failing(cells, data, on_epoch):
        if cells[0].spec.name == "mlp":
            raise RuntimeError("out of order")
        return train(cells, data, on_epoch)

    monkeypatch.setattr(tuning, "WORKERS", 1)
    monkeypatch.setattr(tuning, "train_cells", failing)
    with pytest.raises(RuntimeError, match="out of order"):
        tuning.main(["--tasks", "has_all_tokens", "--models", "logreg", "mlp", "--epochs", "1", "--out", str(tmp_path)])
    assert [row.model for row in tuning.VALIDATION.read(tmp_path / "validation.csv")] == ["logreg"] * POINTS


def test_measurements_of_another_setting_are_not_mixed_in(tuned, capsys):
    before = (tuned / "validation.csv").read_bytes()
    assert tuning.main([*ARGUMENTS[:-1], "4", "--out", str(tuned)]) == 2
    assert "from another configuration or seed: take another --out" in capsys.readouterr().err
    assert (tuned / "validation.csv").read_bytes() == before


def row(task, point, loss):
    return tuning.ValidationRow("id", "mlp", task, point, 0.1, 0.01, 0, 2, 1000, 3, loss, None, None, "unknown")


def test_a_point_that_diverged_on_one_task_is_out():
    rows = [row("a", "1x", 0.6), row("a", "lr3x", None), row("b", "1x", 0.8), row("b", "lr3x", 0.1)]
    losses = tuning.mean_losses(rows, "mlp")
    assert losses == {"1x": pytest.approx(0.7), "lr3x": None}
    assert tuning.best_point(losses, "mlp") == "1x"


def test_equal_points_give_the_first():
    assert tuning.best_point({"1x": 0.5, "wd10x": 0.5, "lr3x": 0.6}, "mlp") == "1x"


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
