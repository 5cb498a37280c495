"""Learning curves at a fixed number of steps: which sizes, how long, and what is published of them."""

import pytest

from benchmarks import learning_curves
from benchmarks.learning_curves import POINTS, epochs_for, main, parse, requests
from coretx.errors import UsageError
from coretx.models.registry import build_models
from coretx.models.spec import ModelSpec, Optimizer


def test_sizes_double_until_the_side_has_no_more_rows():
    arguments = parse([])
    asked = {task: [config.n_samples for config in requests(task, arguments)] for task in learning_curves.TASKS[1:]}
    assert asked == {
        "single_digit_sum_swapped": [(1000,)],
        "two_digit_sum": [(1000,), (2000,), (4000,), (8000,)],
        "multi_digit_sum": [(1000,), (2000,), (4000,), (8000,), (16_000,)],
    }


def test_more_rows_are_no_more_steps():
    models = build_models(learning_curves.MODELS)
    steps = [epochs_for(16_000, rows, models) * -(-rows // 128) for rows in (68, 1000, 6068, 16_000)]
    assert steps == [16_000, 16_000, 15_984, 16_000]


def test_models_of_two_batch_sizes_are_refused():
    (mlp,) = build_models(["mlp"])
    other = ModelSpec("other", mlp.architecture, "", Optimizer(batch_size=64))
    with pytest.raises(UsageError, match="one batch size for all models, got \\[64, 128\\]"):
        epochs_for(100, 1000, [mlp, other])


def test_points_are_those_that_validation_chose_and_a_second_run_trains_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(learning_curves, "SIZES", (40, 80))
    out = ["--out", str(tmp_path / "cells"), "--write", str(tmp_path)]
    arguments = ["--tasks", "multi_digit_sum", "--models", "mlp", "--steps", "20", "--members", "2", *out]
    assert main(arguments) == 0
    table = (tmp_path / "points.csv").read_bytes()
    small, large = POINTS.read(tmp_path / "points.csv")
    assert [(p.n, p.epochs, p.steps, p.test_rows, p.chance) for p in (small, large)] == [
        (40, 20, 20, 10_000, 0.5),
        (80, 20, 20, 10_000, 0.5),
    ]
    assert (tmp_path / "multi_digit_sum.svg").read_text().startswith("<?xml")
    assert "training" in capsys.readouterr().out
    assert main(arguments) == 0
    assert "training" not in capsys.readouterr().out
    assert (tmp_path / "points.csv").read_bytes() == table
    results = learning_curves.run(next(requests("multi_digit_sum", parse(arguments))))
    losses = {result.config.id: result.scores["val"].loss.mean() for result in results}
    assert len(losses) == 3
    assert losses[small.id] == min(losses.values())
