"""One program per model and shapes: counted in traces, since a program that is traced again is compiled again."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import chex
import numpy as np
import pytest

from coretx.models.registry import build_models
from coretx.models.spec import InputShape, Optimizer
from coretx.tasks.sampling import Dataset
from coretx.training.backend import load_backend
from coretx.training.loop import Population, start, train
from jaxtx import compilation, programs

EPOCHS = 27  # a chunk of 25, and one of 2


@pytest.fixture
def traced_once(monkeypatch):
    """Empty the cache of programs and let the next one of training be traced once, no more."""
    chex.clear_trace_counter()
    programs.build_programs.cache_clear()
    monkeypatch.setattr(programs, "train_chunk", chex.assert_max_traces(programs.train_chunk, n=1))
    yield
    programs.build_programs.cache_clear()


def train_task(task, *, members=1, strategy="loop", n=20, time=5, rate=0.1):
    """Train an mlp on a task's own rows."""
    backend = load_backend("jax", "cpu")
    spec = replace(build_models(["mlp"])[0], optimizer=Optimizer(rate, rate / 2, epochs=EPOCHS))
    rng = np.random.default_rng(len(task))
    x = rng.standard_normal((n, time, 2), dtype=np.float32)
    rows = Dataset(x, (x[:, 0].sum(axis=1) > 0).astype(np.float32))
    access = backend.open(spec, InputShape(time, 2), members, "float32", strategy)
    population = Population(spec, 0, task, members)
    start(access, population)
    return train(access, population, {"train": rows, "test": rows}, lambda record: None)


def test_tasks_members_chunks_and_rates_share_one_trace(traced_once):
    for task, members, rate in (("a", 1, 0.1), ("other", 1, 0.1), ("a", 3, 0.1), ("a", 2, 0.02)):
        assert train_task(task, members=members, rate=rate)["loss_train"].shape == (members, EPOCHS)


@pytest.mark.parametrize("other", [{"n": 21}, {"time": 6}])
def test_another_shape_is_another_trace(traced_once, other):
    """Shows that the count can fail."""
    train_task("a")
    with pytest.raises(AssertionError, match="is traced > 1 times"):
        train_task("a", **other)


def test_programs_that_two_threads_want_at_once_are_built_once(monkeypatch):
    """The first thread waits inside for the second to come, which must not."""
    original, calls, met = programs.layout, [], threading.Event()

    def waiting(*args):
        calls.append(args)
        met.set() if len(calls) > 1 else met.wait(1)
        return original(*args)

    def open_mlp(_):
        return load_backend("jax", "cpu").open(build_models(["mlp"])[0], InputShape(5, 2), 1)._programs

    monkeypatch.setattr(programs, "layout", waiting)
    programs.build_programs.cache_clear()
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(open_mlp, range(2))
    programs.build_programs.cache_clear()
    assert len(calls) == 1
    assert first is second


def test_options_that_this_xla_lacks_are_left_out(monkeypatch):
    compilation.known_options.cache_clear()
    options = {"cpu": {"xla_cpu_no_such": 1, "xla_backend_optimization_level": 1}}
    monkeypatch.setattr(compilation, "OPTIONS", options)
    assert compilation.known_options("cpu") == {"xla_backend_optimization_level": 1}
    compilation.known_options.cache_clear()
