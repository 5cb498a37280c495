"""Logistic regression without decay reaches the optimum that scikit-learn finds by another method."""

from dataclasses import replace

import numpy as np
from sklearn.linear_model import LogisticRegression

from coretx.evaluation.scores import cross_entropy
from parity_tests.bounds import OPTIMUM
from parity_tests.cases import Case, Steps, train_steps

STEPS, ROWS = 600, 200


def test_full_batch_training_ends_in_scikit_learns_optimum(engine, engines, catalogue):
    spec = catalogue.models(["logreg"])[0]
    spec = replace(spec, optimizer=replace(spec.optimizer, weight_decay=0.0))
    case = Case(spec, catalogue.tasks["sign_of_winner"], n=ROWS)
    rates = 0.3 * (1 - np.arange(STEPS) / STEPS) ** 2
    rows = np.tile(np.arange(ROWS, dtype=np.int32), (STEPS, 1))
    access = case.open(engines[engine])
    train_steps(access, case, Steps(rows, np.ones(rows.shape), rates))
    x = case.data.x.reshape(ROWS, -1).astype(np.float64)
    best = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(x, case.data.y)
    optimum = cross_entropy(best.decision_function(x)[None], case.data.y)
    assert abs(cross_entropy(access.logits(case.data.x), case.data.y) - optimum)[0] < OPTIMUM
