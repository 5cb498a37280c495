"""What every parity test shares: the engines, the catalogue, and the models it runs over."""

import pytest

from coretx.models.registry import build_models
from coretx.running.plugins import Catalogue, load_catalogue
from coretx.training.backend import Backend
from parity_tests.cases import ENGINES, ONE_TASK_PER_SHAPE, Case, load_engines, short

MODELS = tuple(spec.name for spec in build_models())


def some(*fast):
    """Return all models as parameters, those that are not named here as slow ones."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that names `model`, `engine` or `task` runs over all models, both engines, a task of each input shape."""
    every = {"model": MODELS, "engine": ENGINES, "task": ONE_TASK_PER_SHAPE}
    given = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    for name, values in every.items():
        if name in metafunc.fixturenames and not any(name in names for names in given):
            metafunc.parametrize(name, values)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured, from every process that ran some."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    measured = [text for report in reports for name, text in report.user_properties if name == "measured"]
    if measured:
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(measured))


@pytest.fixture
def measured(record_property):
    """Return a function that notes a line for the end of the run."""
    return lambda line: record_property("measured", line)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="session")
def engines(catalogue: Catalogue) -> dict[str, Backend]:
    return load_engines(catalogue)


@pytest.fixture
def short_case(catalogue: Catalogue):
    """Return a function from names to a case of reduced length."""

    def case(model: str, task: str = ONE_TASK_PER_SHAPE[0], dtype: str = "float64") -> Case:
        return Case(short(catalogue.models([model])[0]), catalogue.tasks[task], dtype)

    return case
