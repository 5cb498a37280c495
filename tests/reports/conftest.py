"""Builders of synthetic results: what training would leave behind, made in milliseconds."""

import dataclasses
from html.parser import HTMLParser

import numpy as np
import pytest

from coretx.evaluation.scores import Predictions, score
from coretx.models.architectures import MLP
from coretx.models.spec import ModelSpec, Optimizer
from coretx.records.cell_config import CellConfig
from coretx.records.results import ModelResult, Provenance
from coretx.reports.publish import page_path, publish_pages, publish_rows
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.comparisons import ComparisonRow
from coretx.reports.tables.files import Tables
from coretx.tasks.base import Task


class SumIsPositive(Task):
    name = "sum_is_positive"
    title = "Sum > 0?"
    rule = "The sum of all features is above zero."
    sequence_length = 2
    feature_dim = 1

    def generate_candidates(self, n, rng):
        return rng.integers(-9, 10, (n, 2, 1)).astype(np.float32)

    def label(self, x):
        return (x.sum(axis=(1, 2)) > 0).astype(np.float32)

    def render(self, row):
        return " + ".join(f"{value:.0f}" for value in row.ravel())


def _history(members: int, epochs: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    time = np.linspace(0, 1, epochs)
    loss = 0.69 * np.exp(-4 * time)
    noise = rng.normal(0, 0.02, (4, members, epochs))
    return {
        "loss_train": np.abs(loss + noise[0]),
        "loss_test": np.abs(loss + 0.3 * time**2 + noise[1]) + 0.01,
        "accuracy_train": np.clip(1 - loss / 1.4 + noise[2], 0, 1),
        "accuracy_test": np.clip(0.95 - loss / 1.5 + noise[3], 0, 1),
    }


def _predictions(task: Task, n: int, members: int, noise: float, rng: np.random.Generator) -> Predictions:
    pool = task.generate_candidates(10 * n, rng)
    y = task.label(pool)
    rows = np.concatenate([rng.choice(np.flatnonzero(y == label), n // 2) for label in (0, 1)])
    x, y = pool[rows], y[rows]
    _, inverse = np.unique(x.reshape(n, -1), axis=0, return_inverse=True)
    errors = rng.normal(0, noise, (members, inverse.max() + 1))[:, inverse]  # equal inputs have equal logits
    return Predictions(x, y, (4 * (2 * y - 1) + errors).astype(np.float32))


@pytest.fixture(scope="session")
def task():
    return SumIsPositive()


@pytest.fixture(scope="session")
def make_result(task):
    """A function that makes a finished cell; `predictions` replaces the drawn ones, other names change the config."""

    def make(
        *, task=task, predictions=None, noise=4.0, weights=None, commit="0123456789abcdef", **changes
    ) -> ModelResult:
        config = CellConfig(
            task=task.name,
            model="mlp",
            backend="jax",
            seed=0,
            members=3,
            n_samples=200,
            epochs=50,
            split="original",
            recipe="original",
            dtype="float32",
            device="cpu",
            strategy="vmap",
            matmul_precision="highest",
            hyperparameters={
                "architecture": {"width": 16},
                "optimizer": {"learning_rate_start": 0.1, "weight_decay": 0.01},
            },
        )
        config = dataclasses.replace(config, **changes)
        rng = np.random.default_rng(7)
        members, n = config.members, config.n_samples
        if predictions is None:
            predictions = {split: _predictions(task, n, members, noise, rng) for split in ("train", "test")}
        if weights is None:
            shapes = {"hidden.weight": (16, 2), "hidden.bias": (16,), "final.weight": (1, 90), "final.bias": (1,)}
            weights = {name: rng.normal(size=(members, *shape)).astype(np.float32) for name, shape in shapes.items()}
        return ModelResult(
            config=config,
            provenance=Provenance(
                version="0.1.0",
                commit=commit,
                date="2026-03-01T12:00:00Z",
                device_name="Test CPU",
                versions={"jax": "0.10.2", "numpy": "2.4.6"},
                seconds={"total": 3.5, "compile": 1.5, "train": 2.0},
                command=f"python main.py --tasks {config.task} --models {config.model}",
            ),
            status="done",
            parameters=193,
            history=_history(members, config.epochs, rng),
            weights=weights,
            scores=score(predictions),
            predictions=predictions,
        )

    return make


@pytest.fixture
def publish_cell(task, tmp_path):
    """A function that writes the rows and the page of a cell, and returns the page's path."""

    def publish(result, claim="claim", out=tmp_path):
        tables, config = Tables(out), result.config
        publish_rows(result, tables)
        publish_pages([result], task, [ModelSpec(config.model, MLP(), claim, Optimizer(0.1))], tables)
        tables.flush()
        return page_path(out, config.task, config.model, config.backend, config.recipe)

    return publish


@pytest.fixture
def diverged(make_result):
    """A cell whose second member's losses stop being finite at epoch 10 of 50."""
    result = make_result()
    history = {name: values.copy() for name, values in result.history.items()}
    history["loss_train"][1, 9:] = np.nan
    history["loss_test"][1, 9:] = np.inf
    failure = "member 1 of mlp on sum_is_positive: the loss at epoch 10 is not finite"
    return dataclasses.replace(result, status="diverged", failure=failure, history=history, scores={}, predictions={})


@pytest.fixture
def make_row():
    """A function that makes a row of benchmarking.csv."""

    def make(**changes) -> BenchmarkRow:
        none = {name: None for name, kind in BenchmarkRow.__annotations__.items() if "None" in str(kind)}
        cell = {"id": "0123456789ab", "task": "sum_is_positive", "model": "mlp", "backend": "jax", "split": "test"}
        setting = dict.fromkeys(("recipe", "protocol"), "original") | {"negatives": "natural", "seed": 0, "members": 1}
        sizes = dict.fromkeys(("n_samples", "epochs", "rows", "keys"), 1000) | {"small_space": 0, "parameters": 193}
        scores = {"accuracy": 0.9875, "loss": 0.0416, "auc": 0.99, "seconds": 3.5}
        ceiling = {"view": "full", "ceiling": 1.0, "ceiling_kind": "exact", "alarm": 0}
        made = {"device": "cpu", "commit": "0123456789abcdef", "version": "0.1.0", "date": "2026-03-01T12:00:00Z"}
        return BenchmarkRow(**none | cell | setting | sizes | scores | ceiling | made | changes)

    return make


@pytest.fixture
def make_comparison():
    """A function that makes a row of comparisons.csv."""

    def make(**changes) -> ComparisonRow:
        pair = {"task": "sum_is_positive", "model": "mlp", "against": "logreg", "id": "b", "against_id": "a"}
        setting = {"backend": "jax", "protocol": "original", "negatives": "natural", "recipe": "original"}
        sizes = {"n_samples": 1000, "seed": 0, "members": 5, "family": 6, "exploratory": 0, "problems": 1000}
        runs = {"low": 0.05, "high": 0.15, "p": 0.001, "p_holm": 0.006, "p_equal": 1.0, "verdict": "better"}
        recipe = {"low": -0.05, "high": 0.25, "p": 0.1, "p_holm": 0.6, "p_equal": 1.0, "verdict": "unclear"}
        answers = {
            f"{of}_{name}": value for of, found in (("runs", runs), ("recipe", recipe)) for name, value in found.items()
        }
        return ComparisonRow(**pair | setting | sizes | {"difference": 0.1} | answers | changes)

    return make


class Page(HTMLParser):
    """A page as a browser would take it apart: its elements with their attributes, and its text."""

    def __init__(self, html: str):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts += [data] if self.elements and self.elements[-1][0] not in ("style", "script") else []

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]

    def meta(self, name: str) -> str:
        return next(
            attributes["content"]
            for attributes in self.all("meta")
            if name in (attributes.get("name"), attributes.get("http-equiv"))
        )


@pytest.fixture
def parse():
    return Page


@pytest.fixture
def one_class(task):
    """Predictions of two splits whose rows are all of class 1."""
    x = np.abs(task.generate_candidates(10, np.random.default_rng(0))) + 1
    part = Predictions(x, task.label(x), np.linspace(-1, 2, 30, dtype=np.float32).reshape(3, 10))
    return {"train": part, "test": part}
