"""Passes in blocks of rows give what a pass over all rows gives, in both engines."""

from dataclasses import replace

import numpy as np
import pytest

from coretx.models.registry import build_models
from coretx.models.spec import InputShape, Optimizer
from coretx.tasks.sampling import Dataset
from coretx.training import batches
from coretx.training.backend import load_backend
from coretx.training.loop import Population, start, train

MODELS = ("mlp", "self_attention", "multilayer_transformer")


@pytest.fixture(scope="module", params=["jax", "torch"])
def opened_afresh(request):
    """Return a function that opens a model of the ladder with programs of its own, in float64."""
    engine = load_backend(request.param, "cpu")

    def open_population(name):
        if request.param == "jax":
            from jaxtx.programs import build_programs

            build_programs.cache_clear()
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
        monkeypatch.setattr(batches, "STEPS_PER_BLOCK", steps)
        access, population = opened_afresh(name)
        history = train(access, population, splits, lambda record: None)
        found.append(history | {"logits": access.logits(splits["test"].x)})
    assert found[0].keys() == found[1].keys()
    for key, values in found[0].items():
        np.testing.assert_allclose(found[1][key], values, rtol=1e-11, err_msg=key)


def test_logits_of_blocks_stand_in_the_order_of_the_rows(opened_afresh, monkeypatch):
    monkeypatch.setattr(batches, "STEPS_PER_BLOCK", 5 * 4)
    access, _ = opened_afresh("mlp")
    x = rows(10, 2).x
    one_by_one = np.concatenate([access.logits(x[i : i + 1]) for i in range(10)], axis=1)
    np.testing.assert_allclose(access.logits(x), one_by_one, rtol=1e-12)


@pytest.fixture
def trained_in(monkeypatch):
    """Return a function that trains a model in JAX, its batches whole or in blocks that hold so many numbers."""
    from jaxtx import blocks
    from jaxtx.programs import build_programs

    def train_in(name, numbers, batch, strategy):
        monkeypatch.setattr(blocks, "TRAINED_AT_ONCE", numbers)
        build_programs.cache_clear()
        spec = replace(build_models([name])[0], optimizer=Optimizer(0.002, 0.001, epochs=3, batch_size=batch))
        access = load_backend("jax", "cpu").open(spec, InputShape(5, 2), 2, "float64", strategy)
        population = Population(spec, 0, "t", 2, "float64")
        start(access, population)
        history = train(access, population, {"train": rows(30, 0)}, lambda record: None)
        state, sections = access.state(), ("parameters", "first_moment", "second_moment")
        # A section as one vector: a key's bias has no gradient but round-off, and is equal to nothing by itself.
        tensors = {s: np.concatenate([v.ravel() for n, v in state.items() if n.startswith(s)]) for s in sections}
        return blocks.rows_trained(access._layout, batch), history, tensors

    yield train_in
    build_programs.cache_clear()


@pytest.mark.parametrize("name", MODELS)
# 3 batches, the last of them half filled; one, its last block filled alone
@pytest.mark.parametrize(("strategy", "batch"), [("loop", 32), ("vmap", 12)])
def test_batch_in_blocks_of_two_trains_as_a_whole_one(trained_in, name, strategy, batch):
    whole, history, state = trained_in(name, 2**20, batch, strategy)
    size, history_in_blocks, state_in_blocks = trained_in(name, 1, batch, strategy)
    assert (whole, size) == (batch, 2)
    for expected, found in ((history, history_in_blocks), (state, state_in_blocks)):
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            np.testing.assert_allclose(found[key], values, rtol=0, atol=1e-10 * np.abs(values).max(), err_msg=key)


@pytest.mark.parametrize(("time", "trained", "measured"), [(5, 128, 4253), (64, 16, 102), (512, 2, 1)])
def test_batch_parts_into_equal_blocks_of_what_a_cache_holds(time, trained, measured):
    from jaxtx.blocks import rows_measured, rows_trained

    spec = build_models(["multilayer_transformer"])[0]
    layout = load_backend("jax", "cpu").open(spec, InputShape(time, 2), 1)._layout
    assert (rows_trained(layout, 128), rows_measured(layout)) == (trained, measured)
    elsewhere = replace(layout, one_cpu=False)
    assert (rows_trained(elsewhere, 128), rows_measured(elsewhere)) == (128, 65_536 // time)
