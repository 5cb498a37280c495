"""Where two numbers are equal, or one is none: a logit of 0, equal validation losses, a loss that turns NaN."""

import numpy as np
import pytest

from coretx.evaluation.scores import split_scores
from coretx.tasks.sampling import Dataset
from coretx.training.loop import epoch_metrics, first_divergence
from parity_tests.cases import parameters, with_parameters
from parity_tests.faults import TIE_MUTANTS
from parity_tests.mutants import planted


def train(access, case, rates, data=None):
    """Train an epoch at each of these rates, without decay, choosing by the test rows, and return the sums."""
    train, val = data or (case.data, case.test)
    steps, epochs = case.steps().part(slice(0, 5)), len(rates)
    return access.train(
        train,
        {"val": val},
        rows=np.tile(steps.rows, (1, epochs, 1, 1)),
        weights=np.tile(steps.weights, (1, epochs, 1, 1)),
        learning_rate=np.array([rates], np.float64),
        weight_decay=np.zeros(1),
        keep_best="val",
    )


def check_threshold(backend, case):
    """A head of zeros gives logits of exactly 0: class 0, while training, after an epoch, and in the scores."""
    access = case.open(backend)
    zero = {name: 0 * v if name.startswith("head.") else v for name, v in parameters(access).items()}
    with_parameters(access, zero)
    few = (np.arange(case.n) < 20).astype(np.float32)  # of class 1: equal classes would hide which one it is
    sums = train(access, case, [0.0], [Dataset(split.x, few) for split in (case.data, case.test)])
    assert sums["train/correct"].tolist() == sums["val/correct"].tolist() == [[case.n - 20]]
    logits = access.logits(case.test.x)
    assert not logits.any()
    scores = split_scores(logits, few)
    assert scores.accuracy.tolist() == [1 - 20 / case.n]
    assert scores.confusion.tolist() == [[case.n - 20, 0], [20, 0]]


def check_equal_losses(backend, case):
    """Epochs at a rate of 0 leave equal losses, within a chunk and over two: the first of them is the best."""
    access = case.open(backend)
    losses = [train(access, case, rates)["val/loss_sum"][0] for rates in ([0.0] * 3, [0.0] * 2)]
    assert len(set(np.concatenate(losses).tolist())) == 1
    assert access.state()["best_epoch"].tolist() == [0]


def check_loss_that_turns_nan(backend, case):
    """The best epoch before it stays the best, within the chunk and after it, with its own weights."""
    good, access = case.open(backend), case.open(backend)
    train(good, case, [0.1])
    history = epoch_metrics(train(access, case, [0.1, np.nan, 0.1]))
    assert np.isfinite(history["loss_val"]).tolist() == [[True, False, False]]
    assert first_divergence(history) == (0, 1)
    train(access, case, [0.1])
    found, wanted = access.state(), good.state()
    for name in ("best_epoch", "best_loss", *(f"best/{name}" for name in access.manifest)):
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


CHECKS = (check_threshold, check_equal_losses, check_loss_that_turns_nan)


@pytest.mark.parametrize("check", CHECKS)
def test_both_engines_do_the_same_where_numbers_tie(check, engine, engines, short_case):
    check(engines[engine], short_case("logreg"))


@pytest.mark.parametrize(
    ("check", "mutant"), [(check, mutant) for check, own in zip(CHECKS, TIE_MUTANTS, strict=True) for mutant in own]
)
def test_other_side_of_a_tie_is_found(check, mutant, engines, short_case):
    with planted(mutant) as calls, pytest.raises(AssertionError):
        check(engines[mutant.engine], short_case(mutant.model))
    assert calls.count > 0
