"""What every test shares: one thread for torch, no W&B, the program as a process, small data."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from coretx.models.registry import build_models
from coretx.models.spec import InputShape
from coretx.tasks.sampling import Dataset
from coretx.training.backend import ENGINES, Backend, ModelAccess, load_backend
from coretx.training.loop import Population, start

ROOT = Path(__file__).resolve().parents[1]

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, and in every program that a test starts
os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # compiled programs, should a test move HOME
os.environ.setdefault("WANDB_MODE", "disabled")  # away from the user's login; tests of W&B say what they want

hypothesis.settings.register_profile("same-every-time", derandomize=True, deadline=None, database=None, max_examples=50)
hypothesis.settings.load_profile("same-every-time")


def pytest_terminal_summary(terminalreporter):
    """Say in one line that the pages were not looked at, which dots do not tell."""
    skipped = [report for report in terminalreporter.getreports("skipped") if "tests/browser/" in report.nodeid]
    if skipped:
        terminalreporter.line(f"{len(skipped)} tests in tests/browser: {skipped[0].longrepr[2]}")


@pytest.fixture(scope="session", params=list(ENGINES))
def engine(request):
    """Each engine in turn."""
    return load_backend(request.param, "cpu")


@pytest.fixture(scope="session")
def program():
    """Return a function that runs main.py with these arguments to its end."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, ROOT / "main.py", *map(str, arguments)],
            env={**os.environ, "WANDB_MODE": "disabled", "PYTHONUNBUFFERED": "1", **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def rows() -> dict[str, Dataset]:
    """A train and a test split of 20 and 12 rows of 5 steps with 2 features: 3 batches of 8, the last one of 4."""
    rng = np.random.default_rng(0)

    def draw(n: int) -> Dataset:
        x = rng.standard_normal((n, 5, 2), dtype=np.float32)
        return Dataset(x, (x[:, 0].sum(axis=1) > 0).astype(np.float32))

    return {"train": draw(20), "test": draw(12)}


@pytest.fixture(scope="session")
def one_hot():
    """Return a function that codes equations of one length, given as text."""

    def code(*texts: str) -> np.ndarray:
        return np.eye(12, dtype=np.float32)[[["0123456789+=".index(symbol) for symbol in text] for text in texts]]

    return code


@pytest.fixture(scope="session")
def opened():
    """Return a function that opens a population of the ladder on inputs of 5 x 2, with its initial weights."""

    def open_population(engine: Backend, name: str, members: int = 2, dtype: str = "float32") -> ModelAccess:
        (spec,) = build_models([name])
        access = engine.open(spec, InputShape(5, 2), members, dtype)
        start(access, Population(spec, 0, "t", members, dtype))
        return access

    return open_population


@pytest.fixture(scope="session")
def plain():
    """Return a function that gives a record with bytes for arrays, which == can compare."""

    def plainly(value):
        if dataclasses.is_dataclass(value):
            return {field.name: plainly(getattr(value, field.name)) for field in dataclasses.fields(value)}
        if isinstance(value, dict):
            return {name: plainly(item) for name, item in value.items()}
        if isinstance(value, tuple | list):
            return [plainly(item) for item in value]
        return (value.shape, value.dtype, value.tobytes()) if isinstance(value, np.ndarray) else value

    return plainly
