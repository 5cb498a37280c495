"""Compiled programs kept on disk: found before tracing, never for other code, and equal to what is compiled anew."""

import filecmp
import logging
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from coretx.config import EngineOptions
from coretx.models.registry import build_models
from coretx.models.spec import InputShape
from coretx.tasks.sampling import Dataset
from coretx.training.backend import load_backend
from coretx.training.loop import Population, start, train
from jaxtx import programs
from jaxtx.backend import keep_programs
from jaxtx.compilation import Program
from jaxtx.kept import Shelf, make_room, open_shelf, surroundings
from jaxtx.settings import JaxCache, update

SLOPE = 2.0


def make():
    """Return a function that tells when it is traced; jax would trace one and the same function only once."""

    def sloped(x):
        logging.getLogger(__name__).info("traced")
        return jnp.sin(x) * SLOPE

    return sloped


@pytest.fixture
def shelf(tmp_path, caplog):
    """An empty shelf."""
    caplog.set_level(logging.INFO)
    return open_shelf(tmp_path / "programs", jax.devices("cpu")[0])


def run(shelf, function=None, size=3, **settings):
    """Return what a program of its own makes of `size` numbers."""
    with jax.enable_x64(settings.pop("wide", False)):
        x = jax.device_put(np.linspace(0, 1, size, dtype=np.float32), jax.devices("cpu")[0])
        return np.asarray(Program(function or make(), shelf=shelf, **settings).ready({"compile": 0.0}, x)(x))


def traces(caplog):
    """Return how often a function was traced."""
    return [record.name for record in caplog.records].count(__name__)


def kept(shelf):
    """Return how many programs are on the shelf, and under how many codes."""
    return len([*shelf.folder.glob("*.program")]), len([*shelf.folder.glob("*.code")])


def test_program_is_found_without_a_trace(shelf, caplog):
    first, again = run(shelf), run(shelf)
    assert traces(caplog) == 1
    assert kept(shelf) == (1, 1)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    "other",
    [{"size": 4}, {"wide": True}, {"once": True}, {"precision": "default"}, {"stacked": (0,)}, {"donate": (0,)}],
    ids=lambda other: next(iter(other)),
)
def test_other_arguments_or_settings_are_another_program(shelf, other, caplog):
    run(shelf)
    run(shelf, **other)
    assert traces(caplog) == 2


def test_other_settings_of_jax_are_another_program(shelf, caplog):
    run(shelf)
    with jax.default_prng_impl("rbg"):
        run(shelf)
    assert traces(caplog) == 2


def test_class_that_has_changed_since_it_was_traced_is_neither_found_nor_kept(shelf, monkeypatch, caplog):
    """What jax and Flax remember of a trace may be of the class before."""

    class Model:
        slope = 3

    run(shelf, about=Model)
    run(shelf, about=Model)
    assert traces(caplog) == 1
    monkeypatch.setattr(Model, "slope", 4)
    run(shelf, about=Model)
    run(shelf, about=Model)
    assert traces(caplog) == 3
    assert kept(shelf)[1] == 1


def test_program_that_calls_back_is_compiled_each_time(shelf, caplog):
    def calling(x):
        logging.getLogger(__name__).info("traced")
        jax.debug.callback(print, x.sum())
        return x

    for _ in range(2):
        np.testing.assert_array_equal(run(shelf, lambda x: calling(x)), np.linspace(0, 1, 3, dtype=np.float32))
    assert kept(shelf)[0] == 0


def test_other_code_is_another_program(shelf, monkeypatch):
    run(shelf)
    monkeypatch.setitem(globals(), "SLOPE", 3.0)
    np.testing.assert_allclose(run(shelf), 3 * np.sin(np.linspace(0, 1, 3)), rtol=1e-6)
    assert kept(shelf) == (2, 2)


def test_other_code_for_the_same_program_is_traced_and_not_compiled(shelf):
    def sloped(x):
        slope = SLOPE
        return jnp.sin(x) * slope

    np.testing.assert_array_equal(run(shelf), run(shelf, sloped))
    assert kept(shelf) == (1, 2)


def test_function_that_reaches_what_has_no_name_is_traced_each_time(shelf, caplog):
    thing = object()

    for _ in range(2):
        sloped = make()
        run(shelf, lambda x, sloped=sloped: sloped(x) if thing else x)
    assert traces(caplog) == 2
    assert kept(shelf) == (1, 0)


@pytest.mark.parametrize("damage", [b"", b"nothing of use", None])
def test_damaged_program_is_compiled_again(shelf, damage, caplog):
    first = run(shelf)
    (file,) = shelf.folder.glob("*.program")
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] + b"elsewhere" if damage is None else damage)
    np.testing.assert_array_equal(run(shelf), first)
    assert traces(caplog) == 2
    run(shelf)
    assert traces(caplog) == 2


@pytest.mark.parametrize("damage", [b"", b"\0", b"\xff", b"elsewhere"])
def test_damaged_code_is_traced_again(shelf, damage, caplog):
    first = run(shelf)
    (file,) = shelf.folder.glob("*.code")
    file.write_bytes(damage)
    np.testing.assert_array_equal(run(shelf), first)
    assert traces(caplog) == 2
    assert kept(shelf) == (1, 1)
    run(shelf)
    assert traces(caplog) == 2


def test_full_folder_loses_the_programs_used_longest_ago(shelf, monkeypatch, caplog):
    def age():
        for file in shelf.folder.iterdir():
            os.utime(file, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns - 10 * 10**9))

    for size in (3, 4, 5):
        run(shelf, size=size)
        age()
    run(shelf, size=3)  # the oldest, and of use again
    assert traces(caplog) == 3
    _, *others = sorted((file.stat() for file in shelf.folder.iterdir()), key=lambda status: status.st_mtime_ns)
    monkeypatch.setattr("jaxtx.kept.LIMIT", sum(other.st_size for other in others) - 1)  # room for two, codes included
    trimmed = open_shelf(shelf.folder, shelf.device)
    assert kept(trimmed) == (2, 2)
    run(trimmed, size=3)
    run(trimmed, size=5)
    assert traces(caplog) == 3
    run(trimmed, size=4)
    assert traces(caplog) == 4


def test_folder_that_refuses_is_told_of(tmp_path, shelf):
    (tmp_path / "file").touch()
    refusing = replace(shelf, folder=tmp_path / "file" / "programs")
    with pytest.warns(UserWarning, match="compiled programs are not kept: .*--no-compile-cache does without"):
        assert run(refusing).shape == (3,)


def test_other_surroundings_are_other_programs(shelf, monkeypatch):
    device = shelf.device
    assert surroundings(device) == shelf.surroundings
    monkeypatch.setenv("XLA_FLAGS", os.environ.get("XLA_FLAGS", "") + " --xla_cpu_enable_fast_math=true")
    assert surroundings(device) != shelf.surroundings
    monkeypatch.undo()
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0")
    assert surroundings(device) != shelf.surroundings


@pytest.mark.parametrize("strategy", ["solo", "vmap"])
def test_what_is_loaded_computes_what_was_compiled(shelf, strategy, monkeypatch):
    monkeypatch.setattr("jaxtx.backend.open_shelf", lambda folder, device: shelf)
    fresh = trained(strategy, EngineOptions(compile_cache=False))
    assert not shelf.folder.exists()
    compiled = trained(strategy, EngineOptions())
    assert kept(shelf)[0] == 4  # training, measuring, logits, explanation
    monkeypatch.setattr(Shelf, "keep", None)  # whoever compiles now fails
    loaded = trained(strategy, EngineOptions())
    for one, two, three in zip(fresh, compiled, loaded, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)


def trained(strategy, options):
    """Return the state after training a rung with programs of its own, and what it makes of its rows."""
    programs.programs.cache_clear()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 5, 2), dtype=np.float32)
    rows = Dataset(x, (x[:, 0].sum(axis=1) > 0).astype(np.float32))
    (spec,) = build_models(["self_attention"])
    members = 1 if strategy == "solo" else 2
    access = load_backend("jax", "cpu", (), options).open(spec, InputShape(5, 2), members, "float32", strategy)
    population = Population(replace(spec, optimizer=replace(spec.optimizer, epochs=3)), 0, "t", members)
    start(access, population)
    train(access, population, {"train": rows, "val": rows, "test": rows}, lambda record: None)
    programs.programs.cache_clear()
    return [*access.state().values(), access.logits(x), access.explain(x)[0]]


@pytest.mark.parametrize("when", ["while it is written", "when it is put in its place"])
def test_write_that_fails_leaves_no_file_behind(shelf, monkeypatch, when):
    def refuse(*arguments):
        raise OSError("no space left on device")

    def full(*arguments, **settings):
        file = temporary_file(*arguments, **settings)
        file.write = refuse
        return file

    temporary_file = tempfile.NamedTemporaryFile
    if when == "while it is written":
        monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    else:
        monkeypatch.setattr(os, "replace", refuse)
    with pytest.warns(UserWarning, match="not kept: no space left"):
        shelf.link("code", "name")
    assert list(shelf.folder.iterdir()) == []


@pytest.mark.parametrize("method", ["stat", "unlink"])
def test_file_that_vanishes_does_not_stop_the_trimming(tmp_path, monkeypatch, method):
    paths = [tmp_path / name for name in "abcd"]
    for age, path in enumerate(paths):
        path.write_bytes(bytes(10))
        os.utime(path, ns=(10**9 * -age, 10**9 * -age))
    original = getattr(Path, method)

    def vanishing(path, **settings):
        if path == paths[2]:
            raise FileNotFoundError(path)
        return original(path, **settings)

    monkeypatch.setattr(Path, method, vanishing)
    make_room(tmp_path, 15)
    monkeypatch.undo()
    assert [path.name for path in paths if path.exists()] == ["a", "c"]


@pytest.fixture
def callers_cache():
    """Return a function that sets the folder of jax's own cache; all is put back after the test."""
    before = dict(jax.config.values)

    def at(folder):
        update({"jax_compilation_cache_dir": str(folder), "jax_persistent_cache_min_compile_time_secs": 0.0})

    yield at
    update({name: value for name, value in before.items() if jax.config.values[name] != value})


def test_folder_that_is_a_url_is_left_to_jax(callers_cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    callers_cache("gs://bucket/programs")
    before = dict(jax.config.values)
    assert keep_programs(jax.devices("cpu")[:1], wanted=True) == JaxCache("gs://bucket/programs")
    assert jax.config.values == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wanted", [True, False], ids=["shelf", "nothing"])
def test_programs_of_one_device_stay_out_of_the_callers_cache(shelf, callers_cache, tmp_path, wanted):
    callers_cache(tmp_path / "own")
    assert run(shelf if wanted else None).shape == (3,)
    assert not list(tmp_path.glob("own/*-cache"))
    jax.jit(make())(np.ones(3)).block_until_ready()
    assert len(list(tmp_path.glob("own/*-cache"))) == 1


def test_programs_for_jax_s_cache_lie_in_its_folder_and_the_callers_do_not(callers_cache, tmp_path):
    callers_cache(tmp_path / "own")
    assert run(JaxCache(str(tmp_path / "ours"))).shape == (3,)
    ours = list(tmp_path.glob("ours/*-cache"))
    assert ours
    assert not list(tmp_path.glob("own/*-cache"))
    jax.jit(make())(np.ones(3)).block_until_ready()
    assert list(tmp_path.glob("ours/*-cache")) == ours
    assert len(list(tmp_path.glob("own/*-cache"))) == 1


def test_second_run_traces_no_program_and_leaves_the_same_bytes(program, tmp_path):
    """Of one rung the 8 members are stacked, of the other they are not (jaxtx/strategies.json)."""
    arguments = ("--models", "logreg", "mlp", "--members", 8, "--n-samples", 60, "--epochs", 2, "--wandb", "disabled")
    cache, found = tmp_path / "cache", []
    for run in ("first", "second"):
        done = program(*arguments, "--out", tmp_path / run, JAX_COMPILATION_CACHE_DIR=str(cache))
        assert done.returncode == 0, done.stderr
        found.append({file: file.stat().st_ino for file in cache.rglob("*.*")})
    assert [file.suffix for file in found[0]].count(".code") == 8
    assert found[0] == found[1]
    first, second = (sorted((tmp_path / run / "artifacts").rglob("*.safetensors")) for run in ("first", "second"))
    assert len(first) == len(second) == 6
    assert all(filecmp.cmp(one, two, shallow=False) for one, two in zip(first, second, strict=True))
