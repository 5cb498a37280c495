"""Compiled programs in jax's cache: the next process compiles none, and the caller's cache stays the caller's."""

import filecmp
import os
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from coretx.config import EngineOptions
from coretx.training.backend import load_backend
from jaxtx.backend import CACHE_BYTES, program_cache
from jaxtx.compilation import Program
from jaxtx.settings import JaxCache, update


def run(cache, size=3):
    """Return the results of a new program on `size` numbers."""
    x = jax.device_put(np.linspace(0, 1, size, dtype=np.float32), jax.devices("cpu")[0])
    return np.asarray(Program(jax.jit(partial(jnp.multiply, 2)), cache=cache).ready({"compile": 0.0}, x)(x))


def cached(folder):
    return sorted(file for file in folder.glob("*-cache") if "lambda" not in file.name)


@pytest.fixture
def callers_cache():
    """Return a function that sets the folder of the caller's cache; the settings are restored after the test."""
    before = dict(jax.config.values)

    def at(folder):
        update({"jax_compilation_cache_dir": str(folder), "jax_persistent_cache_min_compile_time_secs": 0.0})

    yield at
    update({name: value for name, value in before.items() if jax.config.values[name] != value})


@pytest.mark.parametrize("damage", [b"", b"nothing of use"])
def test_damaged_program_is_compiled_again(tmp_path, damage):
    cache = JaxCache(str(tmp_path))
    first = run(cache)
    (file,) = cached(tmp_path)
    file.write_bytes(damage)
    with pytest.warns(UserWarning, match="Error reading persistent compilation cache"):
        np.testing.assert_array_equal(run(cache), first)


def test_folder_that_refuses_costs_a_warning(tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="persistent compilation cache"):
        assert run(JaxCache(str(tmp_path / "file" / "programs"))).shape == (3,)


def test_full_folder_loses_the_programs_used_longest_ago(tmp_path):
    run(JaxCache(str(tmp_path), 2**30), size=4)
    limit = int(1.5 * sum(file.stat().st_size for file in cached(tmp_path)))
    first = cached(tmp_path)
    run(JaxCache(str(tmp_path), limit), size=5)
    assert len(cached(tmp_path)) == 1
    assert cached(tmp_path) != first


@pytest.mark.parametrize("wanted", [True, False], ids=["ours", "none"])
def test_programs_stay_out_of_the_callers_cache(callers_cache, tmp_path, wanted):
    callers_cache(tmp_path / "own")
    assert run(JaxCache(str(tmp_path / "ours")) if wanted else None).shape == (3,)
    assert len(cached(tmp_path / "ours")) == wanted
    assert not cached(tmp_path / "own")
    jax.jit(partial(jnp.multiply, 3))(np.ones(3)).block_until_ready()
    assert len(cached(tmp_path / "own")) == 1


def test_cache_is_bounded_in_the_users_folder_or_where_jax_is_told(callers_cache, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert program_cache() == JaxCache(str(tmp_path / "progressive-tx" / "jax" / "programs"), CACHE_BYTES)
    callers_cache("gs://bucket/programs")
    assert program_cache() == JaxCache("gs://bucket/programs")
    assert load_backend("jax", "cpu", (), EngineOptions(compile_cache=False))._cache is None
    assert list(tmp_path.iterdir()) == []


def test_second_run_compiles_no_program_and_leaves_the_same_bytes(program, tmp_path):
    """Of one rung the 8 members are stacked, of the other they are not (jaxtx/strategies.json)."""
    arguments = ("--models", "logreg", "mlp", "--members", 8, "--n-samples", 60, "--epochs", 2, "--wandb", "disabled")
    found = []
    for run in ("first", "second"):
        done = program(*arguments, "--out", tmp_path / run, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "cache"))
        assert done.returncode == 0, done.stderr
        found.append({file: os.stat(file).st_mtime_ns for file in cached(tmp_path / "cache")})
    assert len(found[0]) == 6  # train, logits and explain of each model
    assert found[0] == found[1]
    first, second = (sorted(Path(tmp_path / run).rglob("*.weights.safetensors")) for run in ("first", "second"))
    assert len(first) == len(second) == 2
    assert all(filecmp.cmp(one, two, shallow=False) for one, two in zip(first, second, strict=True))
