"""torch's two modes: a model takes its steps of training in one, and is measured in the other."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from coretx.models.spec import InputShape, ModelSpec
from coretx.training.backend import load_backend

WEIGHTS, BIAS = np.linspace(-1, 1, 10, dtype=np.float32).reshape(1, 1, 10), np.full((1, 1), 0.5, np.float32)


@dataclass(frozen=True)
class Doubling:
    """Answers twice as much while it is trained."""


class TorchDoubling(nn.Module):
    def __init__(self, spec, shape):
        super().__init__()
        self.head = nn.Linear(shape.time * shape.feature, 1)

    def forward(self, x, note=lambda name, value: None):
        answer = self.head(x.reshape(len(x), -1))[:, 0] * (2 if self.training else 1)
        note("attention.logits", answer[:, None, None, None])
        note("attention.weights", answer[:, None, None, None])
        return answer


@pytest.fixture
def access():
    backend = load_backend("torch", "cpu", [lambda: {Doubling: TorchDoubling}])
    access = backend.open(ModelSpec("doubling", Doubling(), "None."), InputShape(5, 2), members=1)
    access.load_state({"parameters/head.weight": WEIGHTS, "parameters/head.bias": BIAS})
    return access


def train(access, rows, epochs=2):
    """Train without moving the weights."""
    batches = np.broadcast_to(np.arange(20, dtype=np.int32), (1, epochs, 1, 20))
    return access.train(
        rows["train"],
        {"test": rows["test"]},
        rows=batches,
        weights=np.ones(batches.shape, np.float32),
        learning_rate=np.zeros((1, epochs)),
        weight_decay=np.zeros(1),
    )


def answers(data):
    return data.x.reshape(len(data), -1) @ WEIGHTS[0, 0] + BIAS[0, 0]


def loss(logits, data):
    return (np.logaddexp(0, logits) - data.y * logits).sum()


def test_steps_are_taken_in_training_mode_and_splits_measured_in_evaluation_mode(access, rows):
    sums = train(access, rows)
    for epoch in (0, 1):  # the second one's steps come after a measuring
        assert sums["train/loss_sum"][0, epoch] == pytest.approx(loss(2 * answers(rows["train"]), rows["train"]))
        assert sums["test/loss_sum"][0, epoch] == pytest.approx(loss(answers(rows["test"]), rows["test"]))
        assert sums["attention/sum"][0, epoch] == pytest.approx(answers(rows["train"]).sum(), rel=1e-4)


@pytest.mark.parametrize("trained", [False, True])
def test_what_looks_at_a_population_does_so_in_evaluation_mode(access, rows, trained):
    if trained:
        train(access, rows)
    data, slope = rows["test"], WEIGHTS.reshape(5, 2)
    expected = answers(data)
    probabilities = 1 / (1 + np.exp(-expected))
    gradient = access.gradients(data.x, data.y, np.ones(12, np.float32))
    gradient_by_input, attention = access.explain(data.x)
    np.testing.assert_allclose(access.logits(data.x)[0], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(access.intermediates(data.x)["attention.logits"].ravel(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient["head.bias"].ravel(), (probabilities - data.y).mean(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(gradient_by_input, np.broadcast_to(slope, data.x.shape), rtol=1e-6)
    np.testing.assert_allclose(attention["attention.weights"].ravel(), expected, rtol=1e-4, atol=1e-5)


def test_error_in_a_step_leaves_the_model_in_evaluation_mode(access, rows, monkeypatch):
    def refuse(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.AdamW, "step", refuse)
    with pytest.raises(KeyboardInterrupt):
        train(access, rows)
    assert access.logits(rows["test"].x)[0] == pytest.approx(answers(rows["test"]), rel=1e-4, abs=1e-5)
