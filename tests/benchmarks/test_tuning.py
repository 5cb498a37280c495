"""Tuning chooses by validation alone, goes on where it stopped, and gives every rung the same budget."""

import json

import numpy as np
import pytest

from benchmarks import tuning
from coretx.data import Dataset
from coretx.errors import UsageError
from coretx.models.registry import build_models
from coretx.splits import draw_splits

ARGUMENTS = ("--tasks", "has_all_tokens", "--models", "logreg", "--epochs", "3")


def tune(out):
    return tuning.main([*ARGUMENTS, "--out", str(out)])


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    out = tmp_path_factory.mktemp("tuning")
    assert tune(out) == 0
    return out


def test_every_point_is_measured_with_the_same_budget(tuned):
    measured = json.loads((tuned / "measured.json").read_text())
    cells = list(measured["cells"].values())
    assert len(cells) == len(tuning.LEARNING_RATES) * len(tuning.WEIGHT_DECAYS)
    assert len({(cell["learning_rate_start"], cell["weight_decay"]) for cell in cells}) == len(cells)
    assert all(len(cell[name]) == tuning.MEMBERS for cell in cells for name in ("loss", "accuracy", "best_epoch"))
    assert (measured["setting"]["members"], measured["setting"]["epochs"]) == (tuning.MEMBERS, 3)


def test_noise_for_test_rows_changes_no_byte_of_the_choice(tuned, tmp_path, monkeypatch):
    def noisy(*arguments):
        splits = draw_splits(*arguments)
        test, rng = splits["test"], np.random.default_rng(0)
        noise = Dataset(rng.standard_normal(test.x.shape, np.float32), rng.permutation(test.y))
        return splits | {"test": noise}

    monkeypatch.setattr(tuning, "draw_splits", noisy)
    monkeypatch.setattr(tuning, "assert_disjoint", lambda task, data: None)
    assert tune(tmp_path) == 0
    assert (tmp_path / "chosen.json").read_bytes() == (tuned / "chosen.json").read_bytes()
    losses = [json.loads((out / "measured.json").read_text())["cells"] for out in (tmp_path, tuned)]
    assert losses[0] == losses[1]


def test_finished_populations_are_not_trained_again(tuned, monkeypatch):
    monkeypatch.setattr(tuning, "trained", lambda *job: pytest.fail("trained again"))
    before = (tuned / "chosen.json").read_bytes()
    assert tune(tuned) == 0
    assert (tuned / "chosen.json").read_bytes() == before


def test_measurements_of_another_setting_are_not_mixed_in(tuned, capsys):
    assert tuning.main([*ARGUMENTS[:-1], "4", "--out", str(tuned)]) == 2
    assert "take another --out" in capsys.readouterr().err


def test_a_point_that_diverged_is_out():
    losses = {"a": {"1x": 0.6, "lr0.1x": None}, "b": {"1x": 0.6, "lr0.1x": 0.1}}
    assert tuning.best_point(losses, "mlp") == "1x"
    assert tuning.summary(losses, "1x")["loss"] == {"1x": 0.6, "lr0.1x": None}


def test_equal_points_give_the_first():
    assert tuning.best_point({"a": {"1x": 0.5, "wd10x": 0.5}}, "mlp") == "1x"


def test_where_all_points_diverged_none_is_chosen():
    with pytest.raises(UsageError, match="mlp: a member diverged at every point"):
        tuning.best_point({"a": {"1x": None, "wd10x": 0.1}, "b": {"1x": 0.1, "wd10x": None}}, "mlp")


def test_a_recipe_is_written_from_all_tasks_and_models_or_not_at_all(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tuning, "TUNED", tmp_path / "tuned.json")
    assert tuning.main([*ARGUMENTS, "--out", str(tmp_path), "--write"]) == 2
    assert "--write takes all tasks and all models" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


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
    cells = json.loads((tmp_path / "measured.json").read_text())["cells"].values()
    assert {cell["model"] for cell in cells} == {"logreg"}


def test_recipes_are_the_original_s_at_the_chosen_points():
    (found,) = tuning.recipes({"self_attention": "lr0.111x-wd10x"}).values()
    assert found == {"learning_rate_start": 0.0444, "learning_rate_end": 0.0222, "weight_decay": 0.1}


def test_tuned_recipe_names_the_ladder_s_models_alone():
    ladder = {spec.name for spec in build_models()}
    assert set(tuning.recipes(dict.fromkeys(ladder, "1x"))) == ladder
    assert set(json.loads(tuning.TUNED.read_text())) <= ladder
