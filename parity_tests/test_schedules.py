"""A rate that changes at every epoch inside one chunk: the same epochs a chunk each, and AdamW on paper."""

import numpy as np
import pytest

from coretx.evaluation.scores import probabilities
from coretx.training.backend import SECTIONS
from parity_tests import referee
from parity_tests.bounds import CHUNK, ROUND_OFF
from parity_tests.cases import Case, short
from parity_tests.differences import first_gap
from parity_tests.faults import SCHEDULE_MUTANTS
from parity_tests.mutants import planted
from parity_tests.test_mutants import label

EPOCHS = 12
"""Fewer than the longest chunk of the training loop."""

RATES = 0.1 * np.random.default_rng(0).permutation(np.arange(1.0, EPOCHS + 1)) / EPOCHS


def batches(case):
    """Return the rows and weights of the case's batches, [epoch, step, batch]: the last of an epoch is not full."""
    steps = case.steps()
    return [each.reshape(EPOCHS, -1, each.shape[1]) for each in (steps.rows, steps.weights)]


def in_chunks(backend, case, chunks):
    """Return the state after these chunks, slices of the epochs."""
    access, (rows, weights) = case.open(backend), batches(case)
    for chunk in chunks:
        access.train(
            case.data,
            {},
            rows=rows[None, chunk],
            weights=weights[None, chunk],
            learning_rate=RATES[None, chunk],
            weight_decay=np.array([case.spec.optimizer.weight_decay]),
        )
    return access.state()


def on_paper(backend, case):
    """Return the state that AdamW leaves in NumPy, with the gradient of logistic regression by hand."""
    state = case.open(backend).state()
    tensors = {name: [state[f"{section}/{name}"][0] for section in SECTIONS] for name in ("head.weight", "head.bias")}
    x = case.data.x.reshape(case.n, -1).astype(np.float64)
    for step, (rows, weights) in enumerate(
        zip(*(each.reshape(-1, each.shape[2]) for each in batches(case)), strict=True)
    ):
        logits = x[rows] @ tensors["head.weight"][0][0] + tensors["head.bias"][0]
        by_logit = weights * (probabilities(logits) - case.data.y[rows]) / weights.sum()
        slopes = {"head.weight": (by_logit @ x[rows])[None], "head.bias": by_logit.sum()[None]}
        rate = RATES[step * EPOCHS // case.steps().rows.shape[0]]
        for name, gradient in slopes.items():
            tensors[name] = list(referee.adamw(*tensors[name], gradient, step + 1, rate, case.spec.optimizer))
    return {
        f"{section}/{name}": v[None]
        for name, three in tensors.items()
        for section, v in zip(SECTIONS, three, strict=True)
    }


def first_difference(backend, name, case):
    """Return what differs first, of one chunk against AdamW on paper and against a chunk for each epoch."""
    whole, paper = in_chunks(backend, case, [slice(0, EPOCHS)]), on_paper(backend, case)
    single = in_chunks(backend, case, [slice(i, i + 1) for i in range(EPOCHS)])
    found = first_gap({key: whole[key] for key in paper}, paper, ROUND_OFF[case.dtype], order=paper)
    return found or first_gap(whole, single, CHUNK[name], order=whole)


@pytest.fixture
def case(catalogue):
    """Logistic regression over EPOCHS epochs of five steps."""
    return Case(short(catalogue.models(["logreg"])[0], EPOCHS), catalogue.tasks["sign_of_winner"])


def test_every_epoch_of_a_chunk_has_its_own_rate(engine, engines, case):
    found = first_difference(engines[engine], engine, case)
    assert found is None, found.sentence()


@pytest.mark.parametrize("mutant", SCHEDULE_MUTANTS, ids=label)
def test_rate_of_another_epoch_is_found(mutant, engines, case):
    with planted(mutant) as calls:
        found = first_difference(engines[mutant.engine], mutant.engine, case)
    assert calls.count > 0
    assert found is not None
    assert found.quantity == mutant.first[0]
