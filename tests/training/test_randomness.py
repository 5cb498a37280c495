"""A model whose forward pass draws random numbers is refused, in both engines, before anything trains."""

import random
import re
import time
from dataclasses import dataclass

import jax
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from coretx import RunConfig, run
from coretx.errors import UsageError
from coretx.models.registry import build_models
from coretx.models.spec import ModelSpec
from coretx.training.backend import load_backend

X = np.random.default_rng(0).standard_normal((8, 5, 2), dtype=np.float32)
REFUSED = r"must answer the same rows alike each time; {} draws random numbers"


@dataclass(frozen=True)
class Drawing:
    kind: str


class TorchDrawing(nn.Module):
    def __init__(self, spec, shape):
        super().__init__()
        self.kind = spec.kind
        self.dropout = nn.Dropout(0.0 if spec.kind == "dropout of nothing" else 1e-6)  # all but surely drops nothing
        self.own = np.random.default_rng(0)
        self.scale = np.random.rand() if spec.kind == "numpy, built" else 1.0
        if spec.kind == "torch, built":
            self.scale = torch.rand(1)
        self.head = nn.Linear(shape.time * shape.feature, 1)

    def forward(self, x, note=None):
        match self.kind:
            case "dropout" | "dropout of nothing":
                x = self.dropout(x)
            case "functional dropout":
                x = nn.functional.dropout(x, 1e-6)
            case "noise in evaluation" if not self.training:
                x = x + torch.randn_like(x)
            case "numpy":
                x = x * 0 + np.random.rand() * 0
            case "python":
                x = x * random.random()
            case "own generator":
                x = x * self.own.random()
        return self.head(x.reshape(len(x), -1))[:, 0] * self.scale


class JaxDrawing(nnx.Module):
    def __init__(self, spec, shape, *, rngs):
        self.kind = spec.kind
        if spec.kind == "dropout":
            self.dropout = nnx.Dropout(0.1, rngs=rngs)
        if spec.kind == "streams":
            self.streams = rngs
        self.scale = np.random.rand() if spec.kind == "numpy, built" else 1.0
        self.head = nnx.Linear(shape.time * shape.feature, 1, rngs=rngs)

    def __call__(self, x, note=None):
        match self.kind:
            case "dropout":
                x = self.dropout(x)
            case "numpy":
                x = x * np.random.rand()
            case "python":
                x = x * random.random()
            case "clock":
                x = x * (time.perf_counter_ns() % 1_000_003)
            case "fixed key":
                x = x * jax.random.bernoulli(jax.random.key(0), 0.5, x.shape)
        return self.head(x.reshape(len(x), -1))[:, 0] * self.scale


CLASSES = {"jax": lambda: {Drawing: JaxDrawing}, "torch": lambda: {Drawing: TorchDrawing}}
NAMES = {"jax": "JaxDrawing", "torch": "TorchDrawing"}
DRAWING = {
    "jax": ("dropout", "streams", "numpy", "numpy, built", "python", "clock"),
    "torch": (
        "dropout",
        "functional dropout",
        "noise in evaluation",
        "numpy",
        "python",
        "own generator",
        "torch, built",
        "numpy, built",
    ),
}
FIXED = {"jax": ("nothing", "fixed key"), "torch": ("nothing", "dropout of nothing")}


def check(engine, kind):
    load_backend(engine, "cpu", [CLASSES[engine]]).check(ModelSpec("drawing", Drawing(kind), "None."), X)


def cases(kinds):
    return [(engine, kind) for engine, own in kinds.items() for kind in own]


@pytest.mark.parametrize(("engine", "kind"), cases(DRAWING))
def test_model_that_draws_is_refused_each_time(engine, kind):
    numpy, pytorch = np.random.get_state(), torch.get_rng_state()
    for _ in range(2):
        with pytest.raises(UsageError, match=REFUSED.format(NAMES[engine])):
            check(engine, kind)
    np.testing.assert_equal(np.random.get_state(), numpy)
    assert torch.equal(torch.get_rng_state(), pytorch)


@pytest.mark.parametrize(("engine", "kind"), cases(FIXED))
def test_model_that_draws_nothing_anew_is_taken(engine, kind):
    check(engine, kind)


def test_every_model_of_the_ladder_is_taken(engine):
    for spec in build_models():
        engine.check(spec, X)


def test_dtype_that_the_caller_has_made_torchs_default_does_not_matter():
    torch.set_default_dtype(torch.float64)
    try:
        check("torch", "nothing")
    finally:
        torch.set_default_dtype(torch.float32)


PLUGIN = """
from dataclasses import dataclass
from coretx import ModelSpec

@dataclass(frozen=True)
class Dropping:
    rate: float = 0.5

def torch_models():
    from torch import nn

    class Dropout(nn.Module):
        def __init__(self, spec, shape):
            super().__init__()
            self.dropout = nn.Dropout(spec.rate)
            self.head = nn.Linear(shape.time * shape.feature, 1)

        def forward(self, x):
            return self.head(self.dropout(x.reshape(len(x), -1)))[:, 0]

    return {Dropping: Dropout}

MODELS = [ModelSpec("dropping", Dropping(), "None.", engines=("torch",))]
"""


def test_run_refuses_it_before_anything_is_written(tmp_path):
    plugin, out = tmp_path / "mine.py", tmp_path / "out"
    plugin.write_text(PLUGIN)
    config = RunConfig(
        models=("logreg", "dropping"), plugin=(plugin,), n_samples=(40,), epochs=1, wandb="disabled", out=out
    )
    with pytest.raises(UsageError, match=re.escape("Dropout draws random numbers")):
        run(config)
    assert not list(out.rglob("*"))
