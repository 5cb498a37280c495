"""A run's results are the same in both engines: what epochs measure, scores, curves, JSON, CSV, page."""

import csv
import json
import re
from html import unescape

import numpy as np
import pytest

from coretx.config import RunConfig
from coretx.evaluation.scores import split_scores
from coretx.records.store import load_result
from coretx.running.experiment import execute
from coretx.running.plan import make_plan
from coretx.tasks.splits import SPLITS
from parity_tests import referee
from parity_tests.bounds import EVALUATION, NEAR_ZERO, OWN_SCORES, WALKED_SCORES
from parity_tests.cases import ENGINES
from parity_tests.conftest import MODELS
from parity_tests.differences import gap, largest_gap, relative_gap, size

ROWS, EPOCHS = 72, 2


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Return the folder of a tiny float32 run of every model in both engines, through production's front door."""
    out = tmp_path_factory.mktemp("run")
    models = tuple(f"{model}:{engine}" for model in MODELS for engine in ENGINES)
    config = RunConfig(models=models, n_samples=(ROWS,), epochs=EPOCHS, out=out, wandb="disabled", device="cpu")
    assert execute(make_plan(config)).exit_code == 0
    return out


def cell(runs, model, engine):
    """Return the path of a cell's JSON."""
    (path,) = (runs / "artifacts" / "sign_of_winner" / "cells").glob(f"{model}.{engine}.*.json")
    return path


def test_what_epochs_measure_agrees(model, runs):
    jax, torch = (load_result(cell(runs, model, engine)).history for engine in ENGINES)
    assert jax.keys() == torch.keys()
    for name in jax:
        if name.startswith(("accuracy", "learning_rate")):
            np.testing.assert_array_equal(jax[name], torch[name], err_msg=name)
        else:
            assert relative_gap(jax[name], torch[name], scale(name, torch)) < bound(model, name), name


@pytest.mark.parametrize("model", [name for name in MODELS if "attention" in name or "transformer" in name])
def test_attention_scores_of_an_epoch_are_the_referees_of_its_own_weights(model, engine, runs, catalogue):
    """Tightly where key biases walk apart too: each engine with NumPy, from the weights that the cell reports."""
    result = load_result(cell(runs, model, engine))
    weights = {name: values[0].astype(np.float64) for name, values in result.weights.items()}
    (spec,) = catalogue.models([model])
    _, notes = referee.forward(spec.architecture, weights, result.predictions["train"].x)
    scores = next(values for name, values in notes.items() if name.endswith("attention.logits"))
    expected = {"mean": scores.mean(), "std": scores.std(), "maxabs": size(scores)}
    for name, value in expected.items():
        found = result.history[f"attn_logits_{name}"][0, result.best_epoch[0]]
        assert gap(found, value) < OWN_SCORES * size(scores), name


def scale(name, numbers):
    """Return what a metric's gap is a share of: the mean of attention scores cancels, so of the largest score."""
    return size(numbers[name.replace("_mean", "_maxabs")]) if "attn_logits_mean" in name else None


def bound(model, name):
    """Return the bound of a metric; scores of a model whose keys have a bias are moved by what has no gradient."""
    return WALKED_SCORES if "attn_logits" in name and model.endswith("transformer") else EVALUATION


def test_answers_scores_and_curves_agree(model, runs):
    jax, torch = (load_result(cell(runs, model, engine)) for engine in ENGINES)
    for split in SPLITS:
        logits = [result.predictions[split].logits for result in (jax, torch)]
        assert relative_gap(*logits) < EVALUATION
        probabilities = [1 / (1 + np.exp(-each)) for each in logits]
        assert relative_gap(*probabilities) < EVALUATION
        assert np.abs(logits[1]).min() > NEAR_ZERO, "a logit is all but 0: choose other rows"
        left, right = jax.scores[split], torch.scores[split]
        assert (left.confusion == right.confusion).all()
        for name in ("loss", "accuracy", "auc", "average_precision"):
            assert relative_gap(getattr(left, name), getattr(right, name)) < EVALUATION, name
        n = jax.config.n_samples  # among 10,000 rows some all but tie
        left, right = (split_scores(each[:, :n], jax.predictions[split].y[:n]) for each in logits)
        for curves in ("roc", "pr"):
            for one, other in zip(getattr(left, curves), getattr(right, curves), strict=True):
                assert relative_gap(one.x, other.x) < EVALUATION
                assert relative_gap(one.y, other.y) < EVALUATION


def test_numbers_in_the_json_agree(model, runs):
    jax, torch = (json.loads(cell(runs, model, engine).read_text()) for engine in ENGINES)
    assert jax["parameters"] == torch["parameters"]
    for record in ("scores", "history"):
        left, right = numbers(jax[record]), numbers(torch[record])
        assert left.keys() == right.keys()
        for name in left:
            assert relative_gap(left[name], right[name], scale(name, right)) < bound(model, name), name


def numbers(record, path=""):
    """Return every number of nested JSON under its path."""
    if isinstance(record, dict | list):
        items = record.items() if isinstance(record, dict) else enumerate(record)
        return {name: value for key, each in items for name, value in numbers(each, f"{path}/{key}").items()}
    return {path: np.array(record, np.float64)}


def test_numbers_in_the_csv_agree(model, runs):
    with (runs / "benchmarks" / "benchmarking.csv").open() as file:
        rows = {(r["backend"], r["split"]): r for r in csv.DictReader(file) if r["model"] == model}
    for split in SPLITS:
        for column in ("accuracy", "loss", "auc", "parameters", "epochs", "n_samples"):
            jax, torch = (np.array(float(rows[engine, split][column])) for engine in ENGINES)
            assert relative_gap(jax, torch) < EVALUATION, (split, column)


def test_scores_on_the_page_agree(model, runs):
    """The table of scores, word for word, but for a last digit that rounding may turn."""
    folder = runs / "artifacts" / "sign_of_winner"
    jax, torch = (table(folder / f"{model}{suffix}.html") for suffix in ("", ".torch"))
    assert jax
    assert len(jax) == len(torch)
    for left, right in zip(jax, torch, strict=True):
        same = left == right
        assert same or abs(float(left.strip("%")) - float(right.strip("%"))) < 1.5e-4 * 10 ** (2 * left.endswith("%"))


def table(page):
    """Return what stands in the cells of a page's table of scores."""
    (scores,) = re.findall(r'<table class="scores">.*?</table>', page.read_text(), re.S)
    return [unescape(re.sub(r"<[^>]*>", "", each)).strip() for each in re.findall(r"<t[dh].*?</t[dh]>", scores, re.S)]


def test_best_epoch_is_the_same(engines, short_case):
    """The weights of the epoch with the lowest test loss, kept while training."""
    case = short_case("mlp")
    states = {}
    for engine in ENGINES:
        access = case.open(engines[engine])
        steps, epochs = case.steps(), case.spec.optimizer.epochs
        access.train(
            case.data,
            {"test": case.test},
            rows=steps.rows.reshape(1, epochs, -1, steps.rows.shape[1]),
            weights=steps.weights.reshape(1, epochs, -1, steps.rows.shape[1]),
            learning_rate=steps.learning_rate.reshape(1, epochs, -1)[:, :, 0],
            weight_decay=np.array([0.01]),
            keep_best="test",
        )
        states[engine] = {name: v for name, v in access.state().items() if name.startswith("best")}
    assert states["jax"]["best_epoch"] == states["torch"]["best_epoch"]
    assert states["jax"].keys() == states["torch"].keys()
    assert largest_gap(states["jax"], states["torch"]) < 1e-12


def test_scores_are_those_of_the_logits(runs, model):
    """What is published follows from the stored logits: no engine computes a score."""
    path = cell(runs, model, "jax")
    published, predictions = json.loads(path.read_text())["scores"]["test"], load_result(path).predictions["test"]
    scores = split_scores(predictions.logits, predictions.y)
    assert published["loss"] == scores.loss.tolist()
    assert published["confusion"] == scores.confusion.tolist()
