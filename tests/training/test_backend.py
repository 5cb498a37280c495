"""The contract of a population (coretx.training.backend.ModelAccess), kept by both engines."""

import re

import numpy as np
import pytest

from coretx.errors import UsageError
from coretx.models.registry import build_models
from coretx.tasks.sampling import Dataset
from coretx.training.backend import ENGINES, Backend, ModelAccess, load_backend
from coretx.training.batches import batch_order

LADDER = [spec.name for spec in build_models()]


@pytest.fixture(params=LADDER)
def name(request):
    return request.param


def train(access, rows, epochs, learning_rate=0.1, keep_best=None):
    orders = [batch_order(20, 8, epochs, seed=0, task="t", model="m", member=i) for i in range(access.members)]
    return access.train(
        rows["train"],
        {"test": rows["test"]},
        rows=np.stack([order for order, _ in orders]),
        weights=np.stack([weights for _, weights in orders]),
        learning_rate=np.full((access.members, len(epochs)), learning_rate),
        weight_decay=np.full(access.members, 0.01),
        keep_best=keep_best,
    )


def take_step(access, data, rows, weights):
    """Take one step of one member on these rows."""
    access.train(
        data,
        {},
        rows=np.array([[[rows]]], np.int32),
        weights=np.array([[[weights]]], np.float32),
        learning_rate=np.full((1, 1), 0.1),
        weight_decay=np.full(1, 0.01),
    )


def parameters(access):
    return {key: value for key, value in access.state().items() if key.startswith("parameters/")}


def losses(access, data):
    """Return each member's mean loss, from its logits."""
    z = access.logits(data.x).astype(np.float64)
    return (np.logaddexp(0, z) - data.y * z).mean(axis=1)


def test_engine_and_population_keep_the_protocols(opened, engine):
    assert isinstance(engine, Backend)
    assert isinstance(opened(engine, "logreg"), ModelAccess)


def test_state_holds_parameters_and_moments_under_the_names_of_the_manifest(opened, engine, name):
    access = opened(engine, name)
    shapes = {
        f"{section}/{key}": (2, *shape)
        for section in ("parameters", "first_moment", "second_moment")
        for key, shape in access.manifest.items()
    }
    assert {key: value.shape for key, value in access.state().items()} == shapes | {"step": (2,), "epoch": (2,)}


def test_both_engines_have_one_manifest(opened, name):
    jax, torch = (opened(load_backend(engine), name).manifest for engine in ENGINES)
    assert list(jax.items()) == list(torch.items())


def test_state_is_a_copy(opened, engine, rows):
    access = opened(engine, "logreg")
    state = access.state()
    before = {key: value.copy() for key, value in state.items()}
    train(access, rows, range(1))
    assert all(np.array_equal(state[key], before[key]) for key in state)


@pytest.mark.parametrize("keep_best", [None, "test"])
def test_loaded_state_goes_on_as_if_never_stopped(opened, engine, rows, keep_best):
    access = opened(engine, "self_attention")
    train(access, rows, range(2), keep_best=keep_best)
    other = opened(engine, "self_attention")
    other.load_state(access.state())
    ends = []
    for population in (access, other):
        train(population, rows, range(2, 4), keep_best=keep_best)
        ends.append({key: value.tobytes() for key, value in population.state().items()})
    assert ends[0] == ends[1]


def test_parameters_alone_start_a_fresh_optimizer(opened, engine, rows):
    access = opened(engine, "mlp")
    train(access, rows, range(1))
    access.load_state(parameters(access))
    state = access.state()
    assert not any(state[key].any() for key in state if key.startswith(("first_moment/", "second_moment/")))
    assert (state["step"].tolist(), state["epoch"].tolist()) == ([0, 0], [0, 0])


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"first_moment/head.weight": None}, "misses entry 'first_moment/head.weight'"),
        ({"parameters/head.bias": None}, "misses entry 'parameters/head.bias'"),
        ({"step": None}, "misses entry 'step'"),
        ({"parameters/tail": np.zeros(2)}, "has an unknown entry 'parameters/tail'"),
        ({"parameters/head.bias": np.zeros((3, 1))}, r"'parameters/head.bias' must have shape (2, 1), got (3, 1)"),
        ({"best_loss": np.zeros(2)}, "misses entry 'best/head.bias'"),
    ],
    ids=["no-moment", "no-parameter", "no-count", "unknown", "members", "half-a-best"],
)
def test_state_that_does_not_fit_is_refused(opened, engine, odd, message):
    access = opened(engine, "logreg")
    state = {key: value for key, value in (access.state() | odd).items() if value is not None}
    with pytest.raises(UsageError, match=re.escape(message)):
        access.load_state(state)


def test_refused_state_leaves_the_population_as_it_was(opened, engine, rows):
    access = opened(engine, "logreg")
    before = access.logits(rows["test"].x)
    with pytest.raises(UsageError):
        access.load_state({})
    assert np.array_equal(access.logits(rows["test"].x), before)


def test_sums_count_every_row_once_an_epoch_and_the_state_every_step(opened, engine, rows):
    access = opened(engine, "logreg")
    sums = train(access, rows, range(2))
    assert (access.state()["step"].tolist(), access.state()["epoch"].tolist()) == ([6, 6], [2, 2])
    counts = {key: sums[key].tolist() for key in ("train/count", "train/steps", "test/count")}
    assert counts == {"train/count": [[20, 20]] * 2, "train/steps": [[3, 3]] * 2, "test/count": [[12, 12]] * 2}


def test_running_sums_are_those_of_the_weights_before_each_step(opened, engine, rows):
    """At learning rate 0 nothing moves, so the running loss is the exact one, smaller last batch and all."""
    access = opened(engine, "mlp", dtype="float64")
    sums = train(access, rows, range(1), learning_rate=0.0)
    assert sums["train/loss_sum"][:, 0] / 20 == pytest.approx(losses(access, rows["train"]), rel=1e-12)


def test_padded_rows_change_nothing(opened, engine, rows):
    """The last batch is padded with row 0: its value must not matter to a step on the others."""
    ends = []
    for value in (0.0, 100.0):
        x = rows["train"].x.copy()
        x[0] = value
        access = opened(engine, "mlp", members=1)
        take_step(access, Dataset(x, rows["train"].y), rows=[1, 2, 3, 0, 0], weights=[1, 1, 1, 0, 0])
        ends.append({key: value.tobytes() for key, value in parameters(access).items()})
    assert ends[0] == ends[1]


def test_first_step_is_adamw_on_paper(opened, engine, rows):
    """From zero moments Adam's first step is lr * g / (|g| + eps), and decay takes lr * 0.01 of the old value."""
    access = opened(engine, "mlp", members=1, dtype="float64")
    before = parameters(access)
    gradient = access.gradients(rows["train"].x[:8], rows["train"].y[:8], np.ones(8))
    take_step(access, rows["train"], rows=range(8), weights=np.ones(8))
    for key, value in parameters(access).items():
        g = gradient[key.removeprefix("parameters/")]
        step = 0.1 * (g / (np.abs(g) + 1e-8) + 0.01 * before[key])
        assert value == pytest.approx(before[key] - step, rel=1e-9, abs=1e-12), key


def test_best_weights_are_those_of_the_epoch_of_lowest_loss(opened, engine, rows):
    opposite = Dataset(rows["test"].x, 1 - rows["test"].y)  # the better the training, the worse this split
    access = opened(engine, "mlp")
    sums = train(access, rows | {"test": opposite}, range(12), learning_rate=0.3, keep_best="test")
    loss = sums["test/loss_sum"] / sums["test/count"]
    state = access.state()
    assert state["best_epoch"].tolist() == loss.argmin(axis=1).tolist()
    assert state["best_loss"] == pytest.approx(loss.min(axis=1), rel=1e-6)
    assert (state["best_epoch"] < 11).all()
    access.load_state({f"parameters/{key}": state[f"best/{key}"] for key in access.manifest})
    assert losses(access, opposite) == pytest.approx(state["best_loss"], rel=1e-5)


def test_best_is_kept_over_chunks(opened, engine, rows):
    whole, chunks = (opened(engine, "mlp") for _ in range(2))
    train(whole, rows, range(12), learning_rate=0.3, keep_best="test")
    for epochs in (range(5), range(5, 12)):
        train(chunks, rows, epochs, learning_rate=0.3, keep_best="test")
    assert {k: v.tobytes() for k, v in whole.state().items()} == {k: v.tobytes() for k, v in chunks.state().items()}


def test_members_differ(opened, engine, rows):
    access = opened(engine, "mlp", members=3)
    train(access, rows, range(1))
    first, second, third = access.logits(rows["test"].x).tolist()
    assert first != second != third != first


def test_member_does_not_depend_on_how_many_there_are(opened, engine, rows):
    """In float64: one member alone and among three are compiled apart, and float32 sums may round apart."""
    alone, among = (opened(engine, "mlp", members, dtype="float64") for members in (1, 3))
    for access in (alone, among):
        train(access, rows, range(3))
    assert among.logits(rows["test"].x)[0] == pytest.approx(alone.logits(rows["test"].x)[0], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("numpy",), "unknown backend 'numpy'; choose from: jax, torch"),
        (("torch", "tpu"), "backend torch runs on cpu, gpu, got --device tpu"),
    ],
    ids=["engine", "device"],
)
def test_engine_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        load_backend(*arguments)


def test_engine_that_is_not_installed_comes_with_the_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=re.escape("pip install 'torch>=2.13,<2.14'")):
        load_backend("torch")
