"""Passes in blocks of rows give what a pass over all rows gives, in both engines."""

from dataclasses import replace

import numpy as np
import pytest

from coretx import data
from coretx.backend import load_backend
from coretx.data import Dataset
from coretx.models.registry import build_models
from coretx.models.spec import InputShape, Optimizer
from coretx.training import Population, start, train

MODELS = ("mlp", "self_attention", "multilayer_transformer")


@pytest.fixture(scope="module", params=["jax", "torch"])
def opened_afresh(request):
    """Return a function that opens a model of the ladder with programs of its own, in float64."""
    engine = load_backend(request.param, "cpu")

    def open_population(name):
        if request.param == "jax":
            from jaxtx.programs import programs

            programs.cache_clear()
        spec = replace(build_models([name])[0], optimizer=Optimizer(0.05, 0.01, epochs=3))
        access = engine.open(spec, InputShape(5, 2), 2, "float64")
        population = Population(spec, 0, "t", 2, "float64")
        start(access, population)
        return access, population

    return open_population


def rows(n, seed):
    x = np.random.default_rng(seed).standard_normal((n, 5, 2), dtype=np.float32)
    return Dataset(x, (x[:, 0].sum(axis=1) > 0).astype(np.float32))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows_per_block", [10, 8])
def test_blocks_measure_what_one_pass_measures(opened_afresh, monkeypatch, name, rows_per_block):
    splits = {"train": rows(30, 0), "test": rows(20, 1)}  # in whole blocks of 10; of 8 with a rest in either split
    found = []
    for steps in (5 * 100, 5 * rows_per_block):
        monkeypatch.setattr(data, "STEPS_PER_BLOCK", steps)
        access, population = opened_afresh(name)
        history = train(access, population, splits, lambda record: None)
        found.append(history | {"logits": access.logits(splits["test"].x)})
    assert found[0].keys() == found[1].keys()
    for key, values in found[0].items():
        np.testing.assert_allclose(found[1][key], values, rtol=1e-11, err_msg=key)


def test_logits_of_blocks_stand_in_the_order_of_the_rows(opened_afresh, monkeypatch):
    monkeypatch.setattr(data, "STEPS_PER_BLOCK", 5 * 4)
    access, _ = opened_afresh("mlp")
    x = rows(10, 2).x
    one_by_one = np.concatenate([access.logits(x[i : i + 1]) for i in range(10)], axis=1)
    np.testing.assert_allclose(access.logits(x), one_by_one, rtol=1e-12)
