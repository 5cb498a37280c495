import dataclasses

import numpy as np
import pytest

from coretx.evaluation.ceilings import Ceiling
from coretx.evaluation.lengths import LengthScore
from coretx.runlog.wandb import WandbLog
from coretx.training.loop import EpochRecord

PLAIN = {"loss_train", "accuracy_train", "loss_test", "accuracy_test", "grad_norm", "weight_norm", "learning_rate"}
ATTENTION = PLAIN | {"attn_logits_mean", "attn_logits_std", "attn_logits_maxabs"}
LINE_PLOTS = {"loss", "accuracy_train_history", "loss_test_history", "accuracy_test_history"}
FINAL = {
    f"{score}_{split}" for score in ("accuracy", "loss", "auc", "average_precision") for split in ("train", "test")
}
SPLIT_PANELS = {f"{split}/{panel}" for split in ("train", "test") for panel in ("roc", "pr", "confusion")}

every_kind = pytest.mark.parametrize(
    ("model", "metrics", "members"),
    [(model, metrics, members) for model, metrics in (("mlp", PLAIN), ("attention", ATTENTION)) for members in (1, 3)],
)


def keys_under(prefix, names):
    return {f"{prefix}/{name}" for name in names}


def epoch_keys(model, metrics, members):
    keys = {f"{model}/step"} | keys_under(f"{model}/metrics", metrics)
    return keys if members == 1 else keys | keys_under(f"{model}/metrics/members_std", metrics)


def plot_tables(model):
    return {f"{model}/metrics/{plot}_table" for plot in LINE_PLOTS}


@every_kind
def test_epoch_row_has_exactly_its_metrics_step_and_plots(logged, model, metrics, members):
    rows = logged(model, members).rows[:-1]
    plain, plotted = epoch_keys(model, metrics, members), epoch_keys(model, metrics, members) | plot_tables(model)
    assert [set(row) for row in rows] == [plain, plotted, plotted]


@every_kind
def test_last_row_has_exactly_final_scores_step_and_panels(logged, model, metrics, members):
    wanted = {f"{model}/step"} | keys_under(f"{model}/final", FINAL)
    wanted |= {f"{model}/{panel}_table" for panel in SPLIT_PANELS}
    if members > 1:
        wanted |= keys_under(f"{model}/final/members_std", FINAL)
    assert set(logged(model, members).rows[-1]) == wanted


def test_reported_and_last_epoch_are_both_logged(make, written):
    config = make.config(members=2, epochs=3)
    result = make.result(config)
    last = {"val": result.scores["train"], "test": result.scores["test"]}
    chosen = dataclasses.replace(result, best_epoch=np.array([0, 2]), last_scores=last)
    metrics = ("loss_train", "loss_val", "accuracy_val", "loss_test", "accuracy_test")
    run = written([config], ("epoch", "mlp", make.epoch(2, 2, metrics)), ("model_done", "mlp", chosen))
    epoch, row = run.rows
    assert {"mlp/metrics/loss_val", "mlp/metrics/accuracy_val", "mlp/metrics/loss_val_history_table"} <= epoch.keys()
    assert row["mlp/final/best_epoch"] == 1.0
    assert row["mlp/final/members_std/best_epoch"] == pytest.approx(2**0.5)
    assert row["mlp/final/last_epoch/accuracy_val"] == pytest.approx(result.scores["train"].accuracy.mean())
    assert "mlp/final/last_epoch/members_std/loss_test" in row


def test_lengths_are_logged_where_the_model_is_applicable(make, written):
    config = make.config(members=2, epochs=3)
    lengths = (
        LengthScore(7, 5, 40, 40, np.array([0.5, 1.0]), np.array([0.7, 0.1])),
        LengthScore(9, 5, 40, 40, None, None),
    )
    run = written([config], ("model_done", "mlp", dataclasses.replace(make.result(config), lengths=lengths)))
    (row,) = run.rows
    assert {key: value for key, value in row.items() if "at_length" in key} == pytest.approx(
        {
            "mlp/final/at_length/7/accuracy": 0.75,
            "mlp/final/at_length/7/loss": 0.4,
            "mlp/final/at_length/7/members_std/accuracy": 0.125**0.5,
            "mlp/final/at_length/7/members_std/loss": 0.18**0.5,
        }
    )


@every_kind
def test_panels_are_exactly_these_of_these_kinds(logged, model, metrics, members):
    kinds = {"roc": "area-under-curve/v0", "pr": "area-under-curve/v0", "confusion": "confusion_matrix/v1"}
    wanted = {f"{model}/metrics/{plot}": "wandb/lineseries/v0" for plot in LINE_PLOTS}
    wanted |= {f"{model}/{panel}": f"wandb/{kinds[panel.split('/')[1]]}" for panel in SPLIT_PANELS}
    assert {key: panel["panelDefId"] for key, panel in logged(model, members).panels.items()} == wanted


def test_step_is_the_epoch_and_hidden_and_metrics_run_against_it(logged):
    run = logged("mlp")
    assert [row["mlp/step"] for row in run.rows] == [0, 1, 2, 2]
    assert run.hidden == {"mlp/step"}
    assert run.step_metrics == {"mlp/step": "", "mlp/metrics/*": "mlp/step"}


@pytest.mark.parametrize(("members", "means", "stds"), [(1, [1, 2, 3], [None] * 3), (3, [2, 3, 4], [1, 1, 1])])
def test_members_are_logged_as_mean_and_sample_std(logged, members, means, stds):
    rows = logged("mlp", members).rows[:-1]  # in the first row 1, or 1, 2, 3
    assert [row["mlp/metrics/accuracy_train"] for row in rows] == means
    assert [row.get("mlp/metrics/members_std/accuracy_train") for row in rows] == stds


def test_long_cell_logs_scalars_at_every_epoch_and_plots_at_the_middle_and_the_last(logged):
    run = logged("mlp", epochs=120)
    rows = run.rows[:-1]
    assert [row["mlp/metrics/loss_test"] for row in rows] == [epoch + 2 for epoch in range(120)]
    assert [row["mlp/step"] for row in rows if "mlp/metrics/loss_table" in row] == [60, 119]
    assert run.table("mlp/metrics/loss_test_history") == [["loss_test", epoch, epoch + 2] for epoch in range(120)]


def test_roc_of_one_member_has_both_classes_and_class_one_is_that_of_the_scores(logged, make):
    curve = make.result(make.config("mlp")).scores["test"].roc[0]
    rows = logged("mlp").table("mlp/test/roc")
    assert {row[0] for row in rows} == {"0", "1"}
    assert [row[1:] for row in rows if row[0] == "1"] == [[x, y] for x, y in zip(curve.x, curve.y, strict=True)]


def test_confusion_counts_every_row_of_every_member(logged):
    assert sum(row[2] for row in logged("mlp", 3).table("mlp/train/confusion")) == 3 * 40


def test_final_scores_are_those_of_the_result(logged, make):
    scores = make.result(make.config("mlp", members=3)).scores["test"]
    row = logged("mlp", 3).rows[-1]
    assert row["mlp/final/accuracy_test"] == scores.accuracy.mean()
    assert row["mlp/final/members_std/auc_test"] == pytest.approx(scores.auc.std(ddof=1), rel=1e-12)


def test_config_holds_every_hyperparameter_and_the_overlap(logged, make):
    config = logged("mlp").config
    cell = make.config("mlp")
    assert config["cells"] == {"mlp": {"id": cell.id, **cell.as_dict()}}
    assert (config["overlap"]["overlap_count"], config["commit"], config["version"]) == (2, "abc", "0.1.0")


def test_run_is_named_by_task_seed_and_n_and_says_that_it_is_done(logged):
    run = logged("mlp")
    assert (run.project, run.name) == ("transformer-scratchpad-toy", "seed 0, n 40")
    assert (run.exit_code, run.summary["mlp/final/status"]) == (0, "done")


def test_cost_ceiling_and_alarm_of_a_model_are_in_the_summary(make, written):
    config = make.config("mlp")
    known = {"view": "linear", "ceilings": {"linear": Ceiling(0.75, "exact")}, "alarm": "above its ceiling"}
    run = written([config], ("model_done", "mlp", dataclasses.replace(make.result(config), **known)))
    wanted = {"parameters": 7, "seconds": 2.5, "ceiling": 0.75, "alarm": "above its ceiling"}
    assert {name: run.summary[f"mlp/final/{name}"] for name in wanted} == wanted


def test_diverged_model_leaves_its_status_and_no_score(make, written):
    config = make.config("mlp")
    run = written([config], ("model_done", "mlp", make.diverged(config)))
    assert run.rows == []
    assert {key: value for key, value in run.summary.items() if "final" in key} == {
        "mlp/final/status": "diverged",
        "mlp/final/failure": "member 0, epoch 1: loss nan",
        "mlp/final/parameters": 7,
        "mlp/final/seconds": 1.0,
    }


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_metric_that_is_not_finite_in_some_member_is_left_out(make, written, value):
    metrics = {"loss_train": np.array([1.0, value]), "grad_norm": np.array([2.0, 2.0])}
    run = written([make.config("mlp", members=2)], ("epoch", "mlp", EpochRecord(0, metrics)))
    assert run.rows == [{"mlp/step": 0, "mlp/metrics/grad_norm": 2, "mlp/metrics/members_std/grad_norm": 0}]


def test_models_of_one_run_may_come_interleaved(make, written):
    models, losses = ("mlp", "logreg"), {"mlp": 1.0, "logreg": 2.0}
    calls = [
        ("epoch", model, EpochRecord(epoch, {"loss_train": np.array([losses[model]])}))
        for epoch in range(3)
        for model in models
    ]
    run = written([make.config(model) for model in models], *calls)
    steps = [(row.get("mlp/step"), row.get("logreg/step")) for row in run.rows]
    assert steps == [(0, None), (None, 0), (1, None), (None, 1), (2, None), (None, 2)]
    for model, loss in losses.items():
        assert run.table(f"{model}/metrics/loss") == [["loss_train", epoch, loss] for epoch in range(3)]


def test_several_runs_may_be_open_at_once(read_back, make, said, tmp_path):
    logs = [WandbLog("offline", tmp_path, said.append) for _ in range(2)]
    for log in logs:
        log.start(make.run(make.config("mlp")))
    for log in logs:
        log.epoch("mlp", make.epoch(0))
        log.finish("done")
    assert [len(run.rows) for run in read_back(tmp_path)] == [1, 1]


@pytest.mark.parametrize(("status", "exit_code"), [("failed", 1), ("interrupted", 130)])
def test_run_that_is_not_done_ends_with_its_exit_code(make, written, status, exit_code):
    assert written([make.config("mlp")], status=status).exit_code == exit_code
