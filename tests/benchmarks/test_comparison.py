"""Ratios and spreads by hand; the check of equal work finds every contestant that does less."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.speed import derived
from benchmarks.speed.comparison import BOUND, disagreement, faults, geometric_mean, ratios, spread
from benchmarks.speed.torch_contestants import Ensemble, Original
from benchmarks.speed.work import Work, begin, losses, plans, train
from coretx.training.backend import load_backend

WORK = Work("mlp", members=2)


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
    begin(access, work)
    return train(access, work.data(), next(plans(work, work.n_samples, 1)))


def engine(name, work=WORK):
    return load_backend(name, "cpu").open(work.spec, work.shape, work.members)


@pytest.fixture(scope="module")
def honest():
    return losses(trained(engine("torch")))


def test_engines_agree_within_the_bound(honest):
    apart = disagreement([honest, losses(trained(engine("jax")))])
    assert apart[0] == apart[1]
    assert 0 < apart[0] < BOUND


@pytest.mark.parametrize("change", [without_last_batch, without_decay, one_row_twice])
def test_a_cheat_is_found(honest, change):
    cheat = losses(trained(Cheat(engine("torch"), change)))
    assert disagreement([honest, cheat])[1] > 5 * BOUND


@pytest.mark.parametrize("model", ["mlp", "self_attention", "multilayer_transformer"])
def test_torch_contestants_do_the_same_work(model):
    work = Work(model, members=2, epochs=2, n_samples=200)
    contestants = [
        engine("torch", work),
        Ensemble(work.spec, work.shape, 2, "fused"),
        Original(work.spec, work.shape, 2),
    ]
    histories = [trained(access, work) for access in contestants]
    assert max(disagreement([losses(history) for history in histories])) < BOUND
    for history in histories[1:]:
        assert history.keys() == histories[0].keys()
        for name, values in history.items():
            np.testing.assert_allclose(values, histories[0][name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_ensemble_refuses_unequal_rates():
    work = replace(WORK, epochs=1, n_samples=8)
    ensemble = Ensemble(work.spec, work.shape, 2, "fused")
    begin(ensemble, work)
    schedule = {"rows": np.zeros((2, 1, 1, 8), np.int32), "weights": np.ones((2, 1, 1, 8), np.float32)}
    with pytest.raises(ValueError, match="equal rates"):
        ensemble.train(
            work.data()["train"], {}, **schedule, learning_rate=np.array([[0.1], [0.2]]), weight_decay=np.zeros(2)
        )


def test_losses_that_are_not_finite_never_agree():
    fine, broken = ({"loss_train": [[1.0, value]], "loss_test": [[1.0, 1.0]]} for value in (1.0, float("nan")))
    assert disagreement([fine, broken, fine]) == [float("inf")] * 3


def test_members_are_compared_as_far_as_both_have_them():
    one, two = ({"loss_train": [[1.0]] * n, "loss_test": [[1.0]] * n} for n in (1, 2))
    other = {"loss_train": [[1.0], [3.0]], "loss_test": [[1.0], [1.0]]}
    assert disagreement([one, two, other]) == [0.0, 2.0, 2.0]


def contestant(**changes):
    start = {"measured": ["loss_train"]}
    return {
        "contestant": "jax",
        "members": 1,
        "disagreement": 0.0,
        "samples": [{"drift": 0.0}],
        "start": start,
    } | changes


def test_faults_name_who_differs():
    wrong = [
        contestant(disagreement=1.0),
        contestant(contestant="eager", samples=[{"drift": 0.0}, {"drift": 0.5}]),
        contestant(contestant="tuned", start={"measured": []}),
    ]
    said = faults("mlp", [contestant(), *wrong])
    assert [line.split(":")[0] for line in said] == [f"mlp, {name}, 1 members" for name in ("jax", "eager", "tuned")]
    assert faults("mlp", [contestant()]) == []


def test_spread_is_median_and_range():
    assert spread([5.0, 1.0, 2.0, 4.0]) == (3.0, 1.0, 5.0)


def test_ratios_are_taken_round_by_round():
    # The machine is half as fast in round 1: the ratio of medians would be 1.5, each round's is 2.
    assert ratios({0: 20.0, 1: 10.0}, {0: 10.0, 1: 5.0, 2: 10.0}) == (2.0, 2.0, 2.0)


def test_geometric_mean():
    assert geometric_mean([1.0, 10.0, 100.0]) == pytest.approx(10.0)


def model(*results):
    operations = {"forward": 100, "backward": 200, "scores": 50}
    return {"steps": 8, "operations": operations, "peak": [{"numpy": 1e6, "jax": 3e6}], "contestants": list(results)}


def result(name, members, seconds, cold=1.0):
    cores = 2 if name == "jax" else 1
    samples = [{"round": 0, "seconds": seconds, "cpu_seconds": cores * seconds, "drift": 0.0}]
    return {"contestant": name, "members": members, "samples": samples, "start": {"cold": cold}}


def test_rates_and_ratios_scale_one_member_to_many():
    jax, eager = result("jax", 4, 2.0), result("eager", 1, 4.0)
    both = model(jax, eager)
    assert derived.rates(both, jax) == {0: 16.0}
    assert derived.against(both, jax, "eager") == (8.0, 8.0, 8.0)
    assert derived.against(both, jax, "ensemble") is None
    assert derived.against(both, jax, "eager", "cpu_seconds") == (4.0, 4.0, 4.0)


def test_cold_is_the_start_and_the_rest_at_the_warm_rate():
    # 40 chunks of 25 epochs, one of them in the start.
    assert derived.cold(result("jax", 4, 2.0, cold=10.0), 4, epochs=25) == (10.0, 10.0 + 39 * 2.0)
    assert derived.cold(result("eager", 1, 2.0, cold=3.0), 4, epochs=25) == (3.0, 3.0 + 159 * 2.0)


def test_share_of_peak_counts_steps_or_evaluation_too():
    run = {"arguments": {"n_samples": 1000, "epochs": 10}}
    jax = result("jax", 2, 4.0)
    disturbed = model() | {"peak": [{"numpy": 1e5}]}
    run["models"] = {"mlp": model(jax), "temporal": disturbed}  # the run's highest peak counts, in every round
    for part in (model(jax), model(jax) | {"peak": disturbed["peak"]}):
        assert derived.share_of_peak(part, jax, run, evaluation=False).median == 300 * 1000 * 10 * 2 / 4.0 / 3e6
        assert derived.share_of_peak(part, jax, run, evaluation=True).median == 450 * 1000 * 10 * 2 / 4.0 / 3e6


def test_threads_are_as_before():
    """The contestants of this file run in this process, and must leave torch as the other tests expect it."""
    assert torch.get_num_threads() == 1
