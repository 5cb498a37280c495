"""Cells on disk: a cell is read back as it was written, or not at all."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from coretx.evaluation.ceilings import Ceiling
from coretx.evaluation.explanations import Explanation
from coretx.evaluation.groups import GroupScore
from coretx.evaluation.lengths import LengthScore
from coretx.evaluation.scores import Predictions, split_scores
from coretx.records.cell_config import CellConfig
from coretx.records.results import ModelResult, Provenance
from coretx.records.store import cell_path, load_predictions, load_result, save_result
from coretx.tasks.splits import SplitCounts

CONFIG = CellConfig(
    task="sign_of_winner",
    model="mlp",
    backend="jax",
    seed=0,
    members=2,
    n_samples=4,
    epochs=3,
    split="original",
    recipe="original",
    dtype="float32",
    device="cpu",
    strategy="vmap",
    matmul_precision="highest",
    hyperparameters={"architecture": {"class": "MLP", "width": 16}},
)
FILES = ("json", "weights.safetensors", "predictions.safetensors", "explanation.safetensors")


def explanation(rng):
    layers = {f"blocks.{i}.attention.weights": (2, 3, 3) for i in (0, 2, 10)}
    return Explanation(
        x=rng.standard_normal((4, 5, 2), dtype=np.float32),
        y=np.array([0, 0, 1, 1], np.float32),
        logits=rng.standard_normal(4, dtype=np.float32),
        attribution=rng.standard_normal((4, 5, 2), dtype=np.float32),
        attention={name: rng.random((4, *shape), dtype=np.float32) for name, shape in layers.items()},
        rows=np.array([2, 2]),
        present=np.full((2, 5, 2), 2),
        attribution_sums=rng.standard_normal((2, 5, 2)),
        attribution_sizes=rng.random((2, 5, 2)),
        attention_sums={name: rng.random((2, *shape)) for name, shape in layers.items()},
    )


def predictions(rng):
    x = rng.standard_normal((4, 5, 2), dtype=np.float32)
    y = np.array([0, 1, 0, 1], np.float32)
    return Predictions(x, y, *rng.standard_normal((2, 2, 4), dtype=np.float32))


@pytest.fixture
def result():
    rng = np.random.default_rng(0)
    answers = {split: predictions(rng) for split in ("train", "val", "test")}
    return ModelResult(
        config=CONFIG,
        provenance=Provenance("0.1.0", "abc", "2026-01-01T00:00:00+00:00", "cpu", {"numpy": "2"}, {"total": 1.5}),
        status="done",
        parameters=193,
        history={"loss_train": rng.random((2, 3)), "loss_test": rng.random((2, 3))},
        weights={"head.weight": rng.standard_normal((2, 1, 4), dtype=np.float32)},
        scores={split: split_scores(answer.logits, answer.y) for split, answer in answers.items()},
        predictions=answers,
        counts={split: SplitCounts((2, 2), (2, 2), (2, 1), 3, True) for split in answers},
        view="order-blind",
        ceilings={"order-blind": Ceiling(0.9, "estimated", 0.8), "linear": Ceiling(None, "none known")},
        alarm="it sees more than it should",
        best_epoch=np.array([2, 0], np.int32),
        last_scores={split: split_scores(answer.last_logits, answer.y) for split, answer in answers.items()},
        groups=(GroupScore("number of carries", "0", 4, 3, np.array([4, 2])),),
        lengths=(
            LengthScore(7, 5, 4, 4, np.array([0.5, 1]), np.array([0.7, 0.1])),
            LengthScore(9, 5, 4, 4, None, None),
        ),
        explanation=explanation(rng),
    )


def test_arrays_in_another_memory_order_come_back_as_they_were(result, tmp_path):
    split = result.predictions["test"]
    turned = dataclasses.replace(split, logits=np.asfortranarray(split.logits), x=np.asfortranarray(split.x))
    weights = {name: np.asfortranarray(values) for name, values in result.weights.items()}
    path = save_result(dataclasses.replace(result, predictions={"test": turned}, weights=weights), tmp_path)
    found = load_result(path)
    assert (found.predictions["test"].logits == split.logits).all()
    assert (found.predictions["test"].x == split.x).all()
    assert (found.weights["head.weight"] == result.weights["head.weight"]).all()


def test_cell_without_an_explanation_is_whole_and_has_none(result, tmp_path):
    path = save_result(dataclasses.replace(result, explanation=None), tmp_path)
    assert not path.with_suffix(".explanation.safetensors").exists()
    assert load_result(path).explanation is None


def test_predictions_load_alone_or_not_at_all(result, tmp_path):
    path = save_result(result, tmp_path)
    found = load_predictions(path)
    assert list(found) == ["train", "val", "test"]
    assert (found["test"].logits == result.predictions["test"].logits).all()
    predictions = path.with_suffix(".predictions.safetensors")
    whole = predictions.read_bytes()
    predictions.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert load_predictions(path) is None
    predictions.unlink()
    assert load_predictions(path) is None
    path.write_text("{}")
    predictions.write_bytes(whole)
    assert load_predictions(path) is None


@pytest.mark.parametrize("value", [0.0, -0.0, 2.0])
def test_rows_come_back_bit_for_bit_in_a_byte_a_feature_if_they_are_symbols(result, tmp_path, value):
    x = np.eye(5, dtype=np.float32)[np.zeros((4, 5), int)]
    x[0, 0, 0] = value
    predictions = {name: dataclasses.replace(part, x=x) for name, part in result.predictions.items()}
    path = save_result(dataclasses.replace(result, predictions=predictions), tmp_path)
    stored = load_file(path.with_suffix(".predictions.safetensors"))
    assert stored["test/x"].dtype == (np.uint8 if str(value) == "0.0" else np.float32)
    found = load_predictions(path)["test"].x
    assert (found.dtype, found.tobytes()) == (np.float32, x.tobytes())


def test_intervals_stand_beside_the_scores(result, tmp_path):
    record = json.loads(save_result(result, tmp_path).read_text())
    for part, last in (("intervals", False), ("last_intervals", True)):
        for split in result.scores:
            for name, summary in result.summaries(split, last=last).items():
                stored = record[part][split][name]
                assert (stored["mean"], stored["std"]) == (summary.mean, summary.std)
                assert (tuple(stored["members"]), tuple(stored["rows"])) == (summary.members, summary.rows)


def test_loaded_result_equals_the_saved_one(result, tmp_path, plain):
    found = load_result(save_result(result, tmp_path))
    assert plain(found) == plain(result)
    assert list(found.explanation.attention) == list(result.explanation.attention)
    assert list(found.explanation.attention_sums) == list(result.explanation.attention)


def test_parameters_come_back_in_their_order(result, tmp_path):
    """A model's page lists them as they come, and a rebuilt page must be the same page."""
    names = ["embed.weight", "head.bias", "head.weight", "mix.bias"]
    weights = {name: np.ones((2, 1 + place % 2, 3), np.float32) for place, name in enumerate(names)}
    found = load_result(save_result(dataclasses.replace(result, weights=weights), tmp_path))
    assert list(found.weights) == names


def test_cell_lies_in_files_named_by_task_model_engine_and_id(result, tmp_path):
    folder = tmp_path / "artifacts" / "sign_of_winner" / "cells"
    assert save_result(result, tmp_path) == cell_path(tmp_path, CONFIG) == folder / f"mlp.jax.{CONFIG.id}.json"
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"mlp.jax.{CONFIG.id}.{end}" for end in FILES)


def test_same_result_is_the_same_bytes(result, tmp_path):
    first, second = (save_result(result, tmp_path / name) for name in "ab")
    assert [first.with_suffix(f".{end}").read_bytes() for end in FILES] == [
        second.with_suffix(f".{end}").read_bytes() for end in FILES
    ]


@pytest.mark.parametrize("end", FILES)
def test_cell_without_one_of_its_files_is_none(result, tmp_path, end):
    path = save_result(result, tmp_path)
    path.with_suffix(f".{end}").unlink()
    assert load_result(path) is None


@pytest.mark.parametrize("end", FILES)
def test_no_flipped_or_missing_byte_goes_unseen(result, tmp_path, end):
    path = save_result(result, tmp_path)
    file = path.with_suffix(f".{end}")
    whole, unseen = file.read_bytes(), []
    flipped = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(0, len(whole), 3)]
    for data in (whole[:-2], *flipped):
        file.write_bytes(data)
        if load_result(path) is not None:
            unseen.append(data)
    assert unseen == []


@pytest.mark.parametrize("field", ["status", "parameters", "history", "provenance", "failure"])
def test_cell_without_one_of_its_fields_is_none(result, tmp_path, field):
    path = save_result(result, tmp_path)
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != field}))
    assert load_result(path) is None


@pytest.mark.parametrize("text", ["", "null", "[]", '{"sha256": {}}', '{"sha256": null}', "\x00"])
def test_file_that_is_no_cell_is_none(tmp_path, text):
    (tmp_path / "cell.json").write_text(text)
    assert load_result(tmp_path / "cell.json") is None


def test_number_that_is_not_finite_survives_as_null(result, tmp_path):
    history = {"loss_train": np.array([[0.5, np.nan, np.inf]] * 2)}
    path = save_result(dataclasses.replace(result, history=history), tmp_path)
    assert json.loads(path.read_text())["history"] == {"loss_train": [[0.5, None, None]] * 2}
    assert np.isnan(load_result(path).history["loss_train"]).tolist() == [[False, True, True]] * 2


def test_diverged_result_comes_back_without_scores(result, tmp_path):
    failed = dataclasses.replace(result, status="diverged", failure="why", scores={}, predictions={}, best_epoch=None)
    found = load_result(save_result(failed, tmp_path))
    assert (found.status, found.failure, found.scores, found.predictions) == ("diverged", "why", {}, {})
