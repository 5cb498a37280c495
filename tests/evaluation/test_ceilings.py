"""Ceilings: counting equals listing, and a model that sees too much raises the alarm."""

import itertools

import numpy as np
import pytest

from coretx.cli import main
from coretx.config import RunConfig
from coretx.evaluation.ceilings import Ceiling, alarm, alarm_limit, bags, ceilings, order_blind_of_space
from coretx.models.registry import build_models
from coretx.models.spec import VIEWS
from coretx.records.store import load_result
from coretx.running import experiment
from coretx.running.plan import make_plan
from coretx.tasks.arithmetic import MultiDigitSum
from coretx.tasks.base import SIDES
from coretx.tasks.equation_ceilings import additive_bound, exchangeable
from coretx.tasks.registry import TASKS
from coretx.tasks.sampling import Dataset, prepare_data
from torchtx.models.self_attention import SelfAttention

SINGLE = ["single_digit_sum", "single_digit_sum_swapped"]


@pytest.mark.parametrize("side", [None, "train", "test"])
@pytest.mark.parametrize("rule", ["balanced", "original"])
@pytest.mark.parametrize("name", SINGLE)
def test_counted_order_blind_ceiling_equals_the_listed_one(name, rule, side):
    task = TASKS[name].with_negatives(rule)
    listed = order_blind_of_space(task, side, *task.space())
    assert ceilings(task, side)["order-blind"].value == pytest.approx(listed, abs=1e-12)


class ShortSums(MultiDigitSum):
    """a+b=c+d for digits: few enough to list."""

    name = "short_sums"
    digits = 1


@pytest.fixture(scope="module", params=["balanced", "original"])
def short_sums(request):
    return ShortSums().with_negatives(request.param)


def listed_rows(task, side):
    """Return the listed inputs of a side, their labels, and their shares of the two classes together."""
    x, probability = task.space()
    kept = np.ones(len(x), bool) if side is None else task.side(x) == SIDES.index(side)
    x, shares, true = x[kept], probability[kept], task.label(x[kept]) == 1
    return x, true, shares / np.where(true, shares[true].sum(), shares[~true].sum()) / 2


@pytest.mark.parametrize("side", [None, *SIDES])
def test_counted_ceilings_of_two_operands_equal_the_listed_ones(short_sums, side):
    """On a side only equations that end with their owner count: listed row by row, counted by problem and answer."""
    x, true, shares = listed_rows(short_sums, side)
    answers = x[:, -1].argmax(axis=1)
    best = np.maximum(np.bincount(answers, shares * true), np.bincount(answers, shares * ~true)).sum()
    found = ceilings(short_sums, side)
    assert found["answer-only"].value == pytest.approx(best, abs=1e-12)
    listed = order_blind_of_space(short_sums, side, *short_sums.space())
    assert found["order-blind"].value == pytest.approx(listed, abs=1e-12)


def best_additive(x, shares, true, rng, rules):
    """Return the best accuracy of additive rules: the difference of the sides, and that with noise."""
    best = 0.0
    places = np.outer([1, 0, 1, 0, -1, 0, -1], np.arange(12.0))
    for trial in range(rules):
        sums = (x * (places + rng.normal(size=places.shape) * trial / 30)).sum(axis=(1, 2))
        order = np.argsort(sums)
        gained = np.cumsum(np.where(true, -shares, shares)[order])[np.append(np.diff(sums[order]) > 0, True)]
        best = max(best, shares[true].sum() + max(gained.max(), 0), shares[~true].sum() - min(gained.min(), 0))
    return best


@pytest.mark.parametrize("side", [None, *SIDES])
def test_no_additive_rule_on_a_side_is_above_the_bound(short_sums, side):
    x, true, shares = listed_rows(short_sums, side)
    bound = ceilings(short_sums, side)["additive"].value
    assert best_additive(x, shares, true, np.random.default_rng(0), rules=100) <= bound + 1e-12
    assert bound < 1


def test_additive_bound_on_a_side_counts_equations_that_are_there():
    """Two problems, t = 1 and w = 2: a four takes a share of each true equation, and no more than that is there."""
    answers = np.array([1, 2])
    false = np.zeros((2, 10))
    false[0, 2], false[1, 1] = 0.75, 0.25
    table = exchangeable(answers, np.array([0.5, 0.5]), false)
    assert (table[1, 2], table[2, 1], table.sum()) == (0.5, 0.25, 0.75)
    assert additive_bound(table) == 1 - 2 * 0.25 / 4
    assert exchangeable(answers, np.array([1.0, 0.0]), false).sum() == 0.75


def test_order_blind_ceiling_of_single_digits_by_hand():
    """Original rule: each bag of three digits is right as a true sum or as false ones, whichever is likelier."""
    true, false = {}, {}
    problems = [(a, b) for a, b in itertools.product(range(10), repeat=2) if a + b < 10]
    for a, b in problems:
        for c in range(10):
            bag, table = tuple(sorted((a, b, c))), true if c == a + b else false
            table[bag] = table.get(bag, 0) + (1 if c == a + b else 1 / 9) / len(problems)
    best = sum(max(true.get(bag, 0), false.get(bag, 0)) for bag in true | false) / 2
    found = ceilings(TASKS["single_digit_sum"], None)
    assert found["order-blind"].value == pytest.approx(best, abs=1e-12)
    assert found["answer-only"].value == pytest.approx(0.62626, abs=1e-5)


@pytest.mark.parametrize("rule", ["balanced", "original"])
def test_no_additive_rule_is_above_the_bound(rule):
    """Rules of all kinds, tried: digits weighted at random, and by place value."""
    rng = np.random.default_rng(0)
    task = TASKS["single_digit_sum"].with_negatives(rule)
    x, probability = task.space()
    y = task.label(x) == 1
    bound = ceilings(task, None)["additive"].value
    assert 0.75 <= bound < 0.84
    best = 0.0
    for trial in range(500):
        weights = rng.normal(size=(5, 12)) * (trial % 2) + np.outer([1, 0, 1, 0, -1], np.arange(12.0)) * rng.normal()
        sums = (x * weights).sum(axis=(1, 2))
        for threshold in np.quantile(sums, np.linspace(0, 1, 21)):
            best = max(best, probability[(sums > threshold) == y].sum())
    assert 0.55 < best <= bound + 1e-12


def test_label_without_order_has_an_order_blind_ceiling_of_one():
    assert ceilings(TASKS["has_all_tokens"], "test")["order-blind"].value == pytest.approx(1.0)
    found = ceilings(TASKS["sign_of_winner"], "test")["order-blind"]
    assert (found.value, found.kind) == (1.0, "estimated")
    assert 0.99 < found.low < 1


def test_unknown_ceilings_are_left_out():
    assert ceilings(TASKS["sign_of_winner"], None).keys() == {"majority", "full", "order-blind"}


def test_majority_knows_half_and_the_full_view_everything():
    found = ceilings(TASKS["two_digit_sum"].with_negatives("balanced"), None)
    assert found["majority"].value == 0.5
    assert found["full"].value == 1.0
    assert found["answer-only"].value == pytest.approx(0.5, abs=1e-12)
    assert found["answer-only"].value < found["order-blind"].value < 0.83


def test_each_rung_names_its_view():
    views = {spec.name: spec.view for spec in build_models()}
    assert views == {
        "logreg": "linear",
        "mlp": "full",
        "temporal": "additive",
        "self_attention": "order-blind",
        "singlelayer_transformer": "full",
        "bahdanau_attention": "order-blind",
        "multilayer_transformer": "full",
    }
    assert set(views.values()) <= VIEWS.keys()


def test_bags_are_equal_where_only_the_order_differs():
    x = np.array([[[0], [1], [2]], [[2], [0], [1]], [[2], [2], [1]]], np.float32)
    found = bags(x)
    assert found[0] == found[1] != found[2]


def test_best_order_blind_rule_on_sampled_rows_is_no_alarm():
    """The ceiling itself, reached on a sample, lies within the limit in every one of 200 draws."""
    task = TASKS["two_digit_sum"]
    known = ceilings(task, None)
    rng = np.random.default_rng(0)
    for _ in range(200):
        accuracy = rng.binomial(1000, known["order-blind"].value, size=1) / 1000
        test = Dataset(np.zeros((1000, 1, 1), np.float32), np.zeros(1000, np.float32))
        assert alarm("order-blind", accuracy, known, test, exhausted=False) is None


def test_score_above_the_ceiling_by_more_than_chance_is_an_alarm():
    task = TASKS["multi_digit_sum"].with_negatives("balanced")
    known = {"order-blind": Ceiling(0.75, "exact"), "linear": Ceiling(None, "none known")}
    test = prepare_data(1000, 1, task=task, side="test")
    limit = alarm_limit(known["order-blind"], "order-blind", test, False, members=2)
    assert 0.8 < limit < 0.86
    message = alarm("order-blind", np.array([0.7, limit + 0.01]), known, test, exhausted=False)
    assert message.startswith("member 1 is right on 8")
    assert "the steps without their order (order-blind) cannot be right on more than" in message
    assert alarm("order-blind", np.array([0.7, limit]), known, test, exhausted=False) is None
    assert alarm("linear", np.array([1.0]), known, test, exhausted=False) is None
    assert alarm("full", np.array([1.0]), known, test, exhausted=False) is None


@pytest.mark.parametrize(
    ("ceiling", "rows", "members", "limit"),
    [
        (0.75, 500, 1, 0.8675394),  # ln(1 / 10^-6) = 13.8155106, and sqrt(13.8155106 / (2 * 500)) = 0.1175394
        (0.75, 500, 64, 0.8840686),  # ln(64 / 10^-6) = 13.8155106 + 4.1588831 = 17.9743937, and its root is 0.1340686
        (0.1, 10, 1, 0.9311291),  # sqrt(13.8155106 / (2 * 10)) = 0.8311291
        (0.5, 10, 1, 1.0),  # no accuracy is above 1
    ],
)
def test_limit_by_hand(ceiling, rows, members, limit):
    """Hoeffding: each member's mean of n rows exceeds its expectation by t with probability <= exp(-2 n t^2)."""
    test = Dataset(np.zeros((rows, 1, 1), np.float32), np.zeros(rows, np.float32))
    assert alarm_limit(Ceiling(ceiling, "exact"), "linear", test, False, members) == pytest.approx(limit, abs=1e-7)


FIRST_SYMBOL = """
import numpy as np
from coretx import Task

class FirstSymbol(Task):
    name = "first_symbol"
    feature_dim = 4
    def generate_candidates(self, n, rng):
        return np.eye(4, dtype=np.float32)[rng.integers(4, size=(n, 5))]
    def label(self, x):
        return (x[:, 0].argmax(axis=1) < 2).astype(np.float32)
    def space(self):
        x = np.eye(4, dtype=np.float32)[np.indices((4,) * 5).reshape(5, -1).T]
        return x, np.full(len(x), 1 / len(x))

TASKS = [FirstSymbol()]
"""


@pytest.mark.parametrize("planted", [False, True])
def test_position_planted_into_self_attention_sets_off_the_alarm(planted, tmp_path, monkeypatch, capsys):
    forward = SelfAttention.forward

    def sees_the_first_step(self, x, *rest):
        marked = x.clone()
        marked[:, 0] *= 3
        return forward(self, marked, *rest)

    if planted:
        monkeypatch.setattr(SelfAttention, "forward", sees_the_first_step)
    (tmp_path / "first.py").write_text(FIRST_SYMBOL)
    run = ("--models", "self_attention:torch", "--epochs", "40", "--wandb", "disabled", "--device", "cpu")
    where = ("--plugin", str(tmp_path / "first.py"), "--tasks", "first_symbol", "--out", str(tmp_path))
    assert main([*run, *where]) == int(planted)
    printed = capsys.readouterr().out
    assert ("alarm: self_attention on first_symbol: member 0 is right on" in printed) == planted
    page = (tmp_path / "artifacts" / "first_symbol" / "self_attention.torch.html").read_text()
    assert ("Above its ceiling" in page) == planted
    assert "its ceiling is" in page
    assert ("alarm</small>" in (tmp_path / "benchmarks" / "index.html").read_text()) == planted
    (cell,) = (tmp_path / "artifacts" / "first_symbol" / "cells").glob("*.json")
    assert (load_result(cell).alarm is not None) == planted
    assert main([*run, *where, "--reuse"]) == int(planted), "a reused cell keeps its alarm"
    printed = capsys.readouterr().out
    assert "reused" in printed
    assert ("alarm: self_attention on first_symbol: member 0 is right on" in printed) == planted


@pytest.mark.parametrize("alarming", [False, True])
def test_following_process_ends_with_the_exit_code_of_the_leader(alarming, tmp_path, monkeypatch):
    if alarming:
        monkeypatch.setattr("coretx.running.run_data.ceilings", lambda task, side: {"linear": Ceiling(0.0, "exact")})
    config = RunConfig(models=("logreg",), n_samples=(1000,), epochs=2, wandb="disabled", quiet=True, out=tmp_path)
    plan = make_plan(config)
    lead, follow = experiment.execute(plan), experiment.follow(plan)
    assert (lead.exit_code, follow.exit_code) == (int(alarming), int(alarming))
    (led,), (followed,) = ([(r.alarm, r.counts, r.provenance.command) for r in run.results] for run in (lead, follow))
    assert led == followed


def test_limit_on_an_exhausted_side_is_the_best_on_its_rows():
    x = np.array([[[0], [1]], [[1], [0]], [[1], [1]], [[0], [1]]], np.float32)
    test = Dataset(x, np.array([1, 0, 1, 1], np.float32))
    assert alarm_limit(Ceiling(0.5, "exact"), "order-blind", test, True, members=1) == 0.75
