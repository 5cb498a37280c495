"""Tasks and models from a file of the user."""

import dataclasses
import textwrap

import pytest

from coretx.config import RunConfig
from coretx.errors import UsageError
from coretx.models.registry import build_models
from coretx.running.plan import make_plan
from coretx.running.plugins import load_catalogue, load_module
from coretx.tasks.registry import TASKS

TASK = """
import numpy as np
from coretx import Task


class FirstIsPositive(Task):
    name = "first_is_positive"
    title = "x > 0?"
    rule = "1 when the first feature is positive"

    def generate_candidates(self, n, rng):
        return rng.standard_normal((n, 5, 2), dtype=np.float32)

    def label(self, x):
        return (x[:, 0, 0] > 0).astype(np.float32)
"""
MODEL = """
from dataclasses import dataclass
from coretx import ModelSpec, Optimizer


@dataclass(frozen=True)
class Linear:
    width: int = 3


def torch_models():
    return {}
"""


@pytest.fixture
def plugin(tmp_path):
    """Return a function that writes a plugin file."""

    def write(*parts, name="mine.py"):
        path = tmp_path / name
        path.write_text("\n".join(textwrap.dedent(part) for part in parts))
        return path

    return write


def test_plugins_add_tasks_and_models_after_the_projects_own(plugin):
    """Each plugin may lack one kind, and a model may lack one engine."""
    tasks = plugin(TASK, "TASKS = [FirstIsPositive()]", name="tasks.py")
    spec = 'ModelSpec("linear", Linear(), "Enough.", Optimizer(), engines=("torch",))'
    models = plugin(MODEL, f"MODELS = [{spec}]", name="models.py")
    catalogue = load_catalogue([tasks, models])
    assert list(catalogue.tasks) == [*TASKS, "first_is_positive"]
    assert catalogue.order()["task_titles"]["first_is_positive"] == "x > 0?"
    assert "first_is_positive" not in TASKS
    *ladder, linear = catalogue.models()
    assert (tuple(ladder), linear.engines) == (build_models(), ("torch",))
    assert linear.hyperparameters()["architecture"] == {"class": "Linear", "width": 3}
    assert [function() for function in catalogue.model_classes("torch")] == [{}]
    assert catalogue.model_classes("jax") == ()


def test_plugin_may_postpone_its_annotations(plugin):
    """dataclasses look a class's module up in sys.modules to read annotations that are strings."""
    file = plugin("from __future__ import annotations", MODEL, 'MODELS = [ModelSpec("linear", Linear(), "Enough.")]')
    assert load_catalogue([file]).models()[-1].name == "linear"


@pytest.mark.parametrize("name", ["none.py", ".", "plugin.txt"], ids=["missing", "folder", "other-kind"])
def test_what_is_no_python_file_is_refused(tmp_path, name):
    (tmp_path / "plugin.txt").write_text("x = 1")
    with pytest.raises(UsageError, match=r"--plugin must name a Python file, got .*, or not one that ends in \.py"):
        load_catalogue([tmp_path / name])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("def (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("\x00", "(SyntaxError|ValueError)"),
    ],
)
def test_plugin_that_does_not_load_is_named_with_its_error(plugin, text, error):
    with pytest.raises(UsageError, match=rf"--plugin .*mine\.py could not be loaded: {error}"):
        load_catalogue([plugin(text)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(
            (f"FirstIsPositive.name = {name!r}\nTASKS = [FirstIsPositive()]", "a task's name must be")
            for name in ("../x", "<script>", "index", "a" * 65)
        ),
        ("del FirstIsPositive.name\nTASKS = [FirstIsPositive()]", "a task's name must be"),
        ("TASKS = [FirstIsPositive(), FirstIsPositive()]", "a task's name must be its own"),
        ("FirstIsPositive.name = 'sign_of_winner'\nTASKS = [FirstIsPositive()]", "a task's name must be its own"),
        ("TASKS = FirstIsPositive()", "TASKS must be a list or a tuple"),
        ("TASKS = [FirstIsPositive]", r"TASKS must hold instances of coretx\.Task, got <class"),
        ("TASKS = ['sign_of_winner']", r"TASKS must hold instances of coretx\.Task, got 'sign_of_winner'"),
    ],
)
def test_task_that_cannot_be_is_refused(plugin, text, message):
    with pytest.raises(UsageError, match=message):
        load_catalogue([plugin(TASK, text)])


INITIALIZERS = """
import functools
import numpy as np

def zeros(name, shape, rng):
    return np.zeros(shape)

def closing_over(value):
    def constant(name, shape, rng):
        return np.full(shape, value)
    return constant

@dataclass(frozen=True)
class Scaled:
    gain: float = 1.0
    def __call__(self, name, shape, rng):
        return self.gain * rng.standard_normal(shape)

@dataclass
class Loose:
    gain: float = 1.0
    def __call__(self, name, shape, rng):
        return np.zeros(shape)
"""


SPEC = 'ModelSpec("linear", Linear(), "None.", {})'
KINDS = """
@dataclass
class Thawed:
    width: int = 3

@dataclass(frozen=True)
class Nested:
    width: object = (1, [2])
"""


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("Linear()", r"MODELS must hold instances of coretx\.ModelSpec, got Linear"),
        (SPEC.format("engines=()"), "model linear: its engines must be one or more of jax, torch"),
        (SPEC.format('engines=("numpy",)'), r"engines must be one or more of jax, torch, got \('numpy',\)"),
        ('ModelSpec("mlp", Linear(), "None.")', "a model's name must be its own"),
        ('ModelSpec("linear", object(), "None.")', "dataclass"),
        *(
            (SPEC.format(f"Optimizer({given})"), f"model linear: {message}")
            for given, message in (
                ("epochs=0", "epochs of its optimizer must be a whole number, at least 1; got 0"),
                ("batch_size=0", "batch_size of its optimizer must be a whole number, at least 1; got 0"),
                ("-0.1", "learning_rate_start of its optimizer must be a finite number, at least 0; got -0.1"),
                ("0.1, float('nan')", "learning_rate_end of its optimizer must be a finite number, at least 0"),
                ("weight_decay=float('inf')", "weight_decay of its optimizer must be a finite number, at least 0"),
                ("b2=1.0", "b2 of its optimizer must be a number, at least 0 and below 1; got 1.0"),
            )
        ),
        *(
            (SPEC.replace("Linear()", f"Linear({width})").format(""), "fields must be numbers, text, or tuples")
            for width in ("object()", "float('nan')", "{{1, 2}}", "1j")
        ),
        *(
            (SPEC.replace("Linear()", kind).format(""), f"model linear: the architecture.*{message}")
            for kind, message in (
                ("Thawed()", "must be an instance of a frozen dataclass"),
                ("Nested()", "which cannot change; got"),
                ("Linear([2])", "which cannot change; got"),
            )
        ),
        *(
            (SPEC.format(f"initializer={given}"), "the initializer must be a function at the top of its module")
            for given in ("lambda *_: 0", "closing_over(1)", "functools.partial(zeros)", "Scaled().__call__")
        ),
        *(
            (SPEC.format(f"initializer={given}"), "the initializer must be an instance of a frozen dataclass")
            for given in ("Loose()", "Scaled")
        ),
    ],
)
def test_model_that_cannot_be_is_refused(plugin, spec, message):
    with pytest.raises(UsageError, match=message):
        load_catalogue([plugin(MODEL, INITIALIZERS, KINDS, f"MODELS = [{spec}]")])


@pytest.mark.parametrize(
    ("initializer", "record"),
    [
        ("zeros", {"function": "plugin_mine.zeros"}),
        ("Scaled(2.0)", {"class": "Scaled", "gain": 2.0}),
    ],
)
def test_initializer_stands_in_the_record_with_all_that_it_is(plugin, initializer, record):
    text = f'MODELS = [ModelSpec("linear", Linear(), "None.", initializer={initializer})]'
    (spec,) = load_catalogue([plugin(MODEL, INITIALIZERS, text)]).models(["linear"])
    assert spec.hyperparameters()["initializer"] == record


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def jax_models(): return 1 / 0", "failed: ZeroDivisionError: division by zero"),
        ("def jax_models(): import nothing_of_this_name", "failed: ModuleNotFoundError"),
        ("jax_models = {}", "failed: TypeError"),
        ("def jax_models(): return [Linear]", r"must return \{architecture: model class\}, got \["),
        ("def jax_models(): return {'linear': Linear}", r"must return \{architecture: model class\}, got \{'linear'"),
    ],
)
def test_models_that_a_plugin_does_not_give_are_one_sentence(plugin, text, message, tmp_path):
    config = RunConfig(
        models=("linear",), plugin=(plugin(MODEL, 'MODELS = [ModelSpec("linear", Linear(), "A.")]', text),)
    )
    with pytest.raises(UsageError, match=rf"--plugin .*mine\.py: jax_models\(\) {message}"):
        make_plan(dataclasses.replace(config, out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_module_that_a_plugin_imports_is_read_anew_each_time(tmp_path, monkeypatch):
    """As the plugin itself: a cell's digest describes the files of today."""
    monkeypatch.syspath_prepend(str(tmp_path))
    file, helper = tmp_path / "mine.py", tmp_path / "helper_read_anew.py"
    file.write_text("from helper_read_anew import K")
    for value in (1, 22):
        helper.write_text(f"K = {value}")
        assert vars(load_module(file))["K"] == value


def test_plugins_of_one_name_keep_their_initializers(tmp_path):
    code = """
    from coretx import ModelSpec
    from coretx.models.architectures import MLP
    def starting(name, shape, rng):
        return rng.standard_normal(shape)
    MODELS = [ModelSpec("{}", MLP(), "None.", initializer=starting)]
    """
    files = [tmp_path / folder / "mine.py" for folder in ("one", "other")]
    for file in files:
        file.parent.mkdir()
        file.write_text(textwrap.dedent(code.format(file.parent.name)))
    for spec in load_catalogue(files).models(["one", "other"]):
        assert dataclasses.replace(spec, claim="Another.").initializer is spec.initializer
