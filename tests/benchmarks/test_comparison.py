"""Ratios by hand; the frozen torch does what the engines do; the check of equal work finds every cheat."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.speed import frozen_torch
from benchmarks.speed.comparison import BOUND, against, difference, disagreement, faults, find, rates
from benchmarks.speed.frozen_torch import FrozenTorch
from benchmarks.speed.work import Work, plans, train
from benchmarks.speed.worker import OPTIMIZERS, losses
from coretx.models.registry import build_models
from coretx.training.backend import load_backend
from coretx.training.loop import start

WORK = Work("mlp", members=2)
LADDER = [spec.name for spec in build_models()]


class Cheat:
    """A population that trains as told, but for what `change` does to its schedule."""

    def __init__(self, access, change):
        self.access, self.change = access, change

    def __getattr__(self, name):
        return getattr(self.access, name)

    def train(self, *data, keep_best, **schedule):
        changed = self.change({name: np.copy(value) for name, value in schedule.items()})
        return self.access.train(*data, **changed, keep_best=keep_best)


def without_last_batch(schedule):
    return schedule | {name: schedule[name][:, :, :-1] for name in ("rows", "weights")}


def without_decay(schedule):
    return schedule | {"weight_decay": 0 * schedule["weight_decay"]}


def one_row_twice(schedule):
    schedule["rows"][:, 0, 0] = schedule["rows"][:, 0, 1]
    return schedule


def trained(access, work=WORK):
    start(access, work.population)
    data = work.data()
    return train(access, data, next(plans(work, len(data["train"]), 1)))


def engine(name, work=WORK):
    return load_backend(name, "cpu").open(work.spec, work.shape, work.members)


@pytest.fixture(scope="module")
def honest():
    return losses(trained(engine("jax")))


@pytest.mark.parametrize("model", LADDER)
def test_frozen_torch_trains_as_the_torch_engine_does(model):
    """Bit for bit, with selection on validation as in the command line.

    Where the engine's arithmetic changes on purpose, a bound takes the place of equality: the copy stays as it is.
    """
    work = Work(model, epochs=2, n_samples=200, protocol="disjoint")
    frozen, ours = FrozenTorch(work.spec, work.shape), engine("torch", work)
    assert frozen.manifest == ours.manifest
    found, wanted = trained(frozen, work), trained(ours, work)
    best = {f"best/{name}": value.numpy()[None] for name, value in frozen.best.items()}
    assert found.keys() == wanted.keys()
    for name, values in (found | frozen.state() | best).items():
        np.testing.assert_array_equal(values, (wanted | ours.state())[name], err_msg=name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS[1:])
@pytest.mark.parametrize("model", LADDER)
def test_every_adamw_does_the_same_work(model, optimizer):
    work = Work(model, epochs=2, n_samples=200)
    histories = [trained(FrozenTorch(work.spec, work.shape, name), work) for name in ("default", optimizer)]
    assert difference(*map(losses, histories)) < BOUND


def test_frozen_torch_imports_nothing_of_the_engine():
    imports = re.findall(r"^\s*(?:from|import) (\w+)", Path(frozen_torch.__file__).read_text(), re.MULTILINE)
    assert {"torch", "coretx"} <= set(imports)
    assert "torchtx" not in imports


def test_contestants_agree_within_the_bound(honest):
    frozen = losses(trained(FrozenTorch(WORK.spec, WORK.shape), Work("mlp")))
    apart = disagreement([honest, frozen])
    assert apart[0] == apart[1]
    assert 0 < apart[0] < BOUND


@pytest.mark.parametrize("change", [without_last_batch, without_decay, one_row_twice])
def test_a_cheat_is_found(honest, change):
    assert difference(honest, losses(trained(Cheat(engine("jax"), change)))) > 5 * BOUND


def test_losses_that_are_not_finite_never_agree():
    fine, broken = ({"loss_train": [[1.0, value]], "loss_test": [[1.0, 1.0]]} for value in (1.0, float("nan")))
    assert disagreement([fine, broken, fine]) == [float("inf")] * 3


def test_members_are_compared_as_far_as_both_have_them():
    one, two = ({"loss_train": [[1.0]] * n, "loss_test": [[1.0]] * n} for n in (1, 2))
    other = {"loss_train": [[1.0], [3.0]], "loss_test": [[1.0], [1.0]]}
    assert disagreement([one, two, other]) == [0.0, 2.0, 2.0]


def record(contestant="jax", members=1, seconds=1.0, **changes):
    samples = [{"round": 0, "seconds": seconds, "drift": 0.0}]
    start = {"measured": ["loss_train"], "disagreement": 0.0, "samples": samples}
    return {"contestant": contestant, "members": members} | start | changes


def test_faults_name_who_differs():
    drifted = [{"round": 0, "seconds": 1.0, "drift": 0.5}]
    wrong = [record(disagreement=1.0), record("eager", samples=drifted), record("tuned", measured=[])]
    said = faults("mlp", [record(), *wrong])
    assert [line.split(":")[0] for line in said] == [f"mlp, {name}, 1 members" for name in ("jax", "eager", "tuned")]
    assert faults("mlp", [record()]) == []


def test_torch_s_rate_with_one_member_is_its_rate_with_any_number():
    model = {"steps": 8, "contestants": [record("jax", 4, 2.0), record("eager", 1, 4.0), record("tuned", samples=[])]}
    jax = find(model, "jax", 4)
    assert rates(model, jax) == {0: 16.0}
    assert against(model, jax, "eager") == (8.0, 8.0, 8.0)
    assert find(model, "jax", 1) is against(model, jax, "tuned") is None
