"""What counts as a right answer: one function, by which every accuracy of the program goes."""

import numpy as np
import pytest

from coretx import targets
from coretx.config import EngineOptions
from coretx.evaluation.groups import find_groups, score_groups
from coretx.evaluation.lengths import score_lengths
from coretx.evaluation.scores import Predictions, split_scores
from coretx.models.architectures import MLP
from coretx.models.spec import InputShape, ModelSpec, Optimizer
from coretx.reports.pages.misclassified import misclassified
from coretx.reports.tables.comparisons import row_scores
from coretx.tasks.registry import TASKS
from coretx.tasks.sampling import prepare_data
from coretx.training.backend import ENGINES, load_backend
from coretx.training.loop import Population, start, train

TASK = TASKS["two_digit_sum"]


def scored():
    """Return the accuracy that each part of the core gives to answers that are all right, and to their errors."""
    data = prepare_data(40, 0, task=TASK)
    logits = np.where(data.y > 0.5, 1.0, -1.0)[None].astype(np.float32)
    predictions = Predictions(data.x, data.y, logits)
    scores = split_scores(logits, data.y)
    length = TASK.sequence_length
    return {
        "scores": scores.accuracy.item(),
        "confusion": np.trace(scores.confusion) / 40,
        "groups": score_groups(find_groups(TASK, data), logits, data.y)[0].accuracy.item(),
        "lengths": score_lengths(TASK, {length: data}, {length: logits})[0].accuracy.item(),
        "comparisons": row_scores(predictions).mean(),
        "misclassified": 1 - misclassified(predictions, "test").rows / 40,
    }


def test_every_score_of_the_core_goes_by_it(monkeypatch):
    assert set(scored().values()) == {1.0}
    monkeypatch.setattr(targets, "right", lambda logits, y: logits != logits)
    assert set(scored().values()) == {0.0}


@pytest.mark.parametrize("name", ENGINES)
def test_every_accuracy_of_a_history_goes_by_it(name, rows, monkeypatch):
    monkeypatch.setattr(targets, "right", lambda logits, y: logits == logits)
    backend = load_backend(name, "cpu", options=EngineOptions(compile_cache=False))
    spec = ModelSpec("constant", MLP(width=13), "none", Optimizer(batch_size=7, epochs=2))
    population = Population(spec, 0, "t", 2, "float32")
    access = backend.open(spec, InputShape(5, 2), 2, "float32")
    start(access, population)
    history = train(access, population, rows, lambda *_: None)
    found = [history[f"accuracy_{split}"] for split in rows]
    assert all((values == 1).all() for values in found)
