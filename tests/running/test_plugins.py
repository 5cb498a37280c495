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


def test_catalogue_without_plugins_is_the_project():
    catalogue = load_catalogue()
    assert (list(catalogue.tasks), catalogue.models()) == (list(TASKS), build_models())


def test_task_of_a_plugin_stands_after_the_projects(plugin):
    catalogue = load_catalogue([plugin(TASK, "TASKS = [FirstIsPositive()]")])
    assert list(catalogue.tasks) == [*TASKS, "first_is_positive"]
    assert catalogue.order()["task_titles"]["first_is_positive"] == "x > 0?"


def test_plugin_leaves_the_registry_alone(plugin):
    load_catalogue([plugin(TASK, "TASKS = [FirstIsPositive()]")])
    assert "first_is_positive" not in TASKS


def test_model_of_a_plugin_may_have_one_engine(plugin):
    file = plugin(MODEL, 'MODELS = [ModelSpec("linear", Linear(), "Enough.", Optimizer(), engines=("torch",))]')
    (spec,) = load_catalogue([file]).models(["linear"])
    assert spec.engines == ("torch",)
    assert spec.hyperparameters()["architecture"] == {"class": "Linear", "width": 3}


def test_model_classes_are_handed_on_by_engine(plugin):
    catalogue = load_catalogue([plugin(MODEL, "MODELS = []")])
    assert [function() for function in catalogue.model_classes("torch")] == [{}]
    assert catalogue.model_classes("jax") == ()


def test_several_plugins_add_up(plugin):
    tasks = plugin(TASK, "TASKS = [FirstIsPositive()]", name="tasks.py")
    models = plugin(MODEL, 'MODELS = [ModelSpec("linear", Linear(), "Enough.")]', name="models.py")
    catalogue = load_catalogue([tasks, models])
    assert (list(catalogue.tasks)[-1], catalogue.models()[-1].name) == ("first_is_positive", "linear")


def test_plugin_may_postpone_its_annotations(plugin):
    """dataclasses look a class's module up in sys.modules to read annotations that are strings."""
    file = plugin("from __future__ import annotations", MODEL, 'MODELS = [ModelSpec("linear", Linear(), "Enough.")]')
    assert load_catalogue([file]).models()[-1].name == "linear"


def test_plugin_that_is_missing_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"--plugin must name a Python file, got .*/none\.py"):
        load_catalogue([tmp_path / "none.py"])


def test_folder_is_no_plugin(tmp_path):
    with pytest.raises(UsageError, match="--plugin must name a Python file"):
        load_catalogue([tmp_path])


def test_file_of_another_kind_is_no_plugin(plugin):
    with pytest.raises(UsageError, match=r"not one that ends in \.py"):
        load_catalogue([plugin("x = 1", name="plugin.txt")])


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


@pytest.mark.parametrize("name", ["../x", "<script>", "index", "a" * 65])
def test_task_with_a_hostile_name_is_refused(plugin, name):
    with pytest.raises(UsageError, match="a task's name must be"):
        load_catalogue([plugin(TASK, f"FirstIsPositive.name = {name!r}", "TASKS = [FirstIsPositive()]")])


def test_task_without_a_name_is_refused(plugin):
    with pytest.raises(UsageError, match="a task's name must be"):
        load_catalogue([plugin(TASK, "del FirstIsPositive.name", "TASKS = [FirstIsPositive()]")])


@pytest.mark.parametrize("name", ["../x", "<script>", "index", "a" * 65])
def test_model_with_a_hostile_name_is_refused(plugin, name):
    with pytest.raises(UsageError, match="a model's name must be"):
        load_catalogue([plugin(MODEL, f'MODELS = [ModelSpec({name!r}, Linear(), "None.")]')])


@pytest.mark.parametrize("name", ["mlp", "linear"])
def test_model_whose_name_is_taken_is_refused(plugin, name):
    first = 'ModelSpec("linear", Linear(), "First.")'
    with pytest.raises(UsageError, match="a model's name must be its own"):
        load_catalogue([plugin(MODEL, f'MODELS = [{first}, ModelSpec("{name}", Linear(), "Second.")]')])


@pytest.mark.parametrize("names", ["sign_of_winner", "first_is_positive"])
def test_task_whose_name_is_taken_is_refused(plugin, names):
    file = plugin(TASK, "other = FirstIsPositive()", f"other.name = {names!r}", "TASKS = [FirstIsPositive(), other]")
    with pytest.raises(UsageError, match="a task's name must be its own"):
        load_catalogue([file])


@pytest.mark.parametrize("value", ["FirstIsPositive", "'sign_of_winner'", "None"])
def test_what_is_no_task_is_refused(plugin, value):
    with pytest.raises(UsageError, match=r"TASKS must hold instances of coretx\.Task"):
        load_catalogue([plugin(TASK, f"TASKS = [{value}]")])


def test_task_outside_a_list_is_refused(plugin):
    with pytest.raises(UsageError, match="TASKS"):
        load_catalogue([plugin(TASK, "TASKS = FirstIsPositive()")])


@pytest.mark.parametrize("value", ["Linear()", "'mlp'", "None"])
def test_what_is_no_model_is_refused(plugin, value):
    with pytest.raises(UsageError, match=r"MODELS must hold instances of coretx\.ModelSpec"):
        load_catalogue([plugin(MODEL, f"MODELS = [{value}]")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('Linear(), "None.", engines=()', "engines?"),
        ('Linear(), "None.", engines=("numpy",)', "jax, torch"),
        ('object(), "None."', "dataclass"),
    ],
    ids=["no-engine", "unknown-engine", "no-dataclass"],
)
def test_spec_that_no_engine_can_run_is_refused(plugin, arguments, message):
    with pytest.raises(UsageError, match=message):
        load_catalogue([plugin(MODEL, f'MODELS = [ModelSpec("linear", {arguments})]')])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("Optimizer(epochs=0)", "epochs of its optimizer must be a whole number, at least 1; got 0"),
        ("Optimizer(batch_size=0)", "batch_size of its optimizer must be a whole number, at least 1; got 0"),
        ("Optimizer(-0.1)", "learning_rate_start of its optimizer must be a finite number, at least 0; got -0.1"),
        ("Optimizer(0.1, float('nan'))", "learning_rate_end of its optimizer must be a finite number, at least 0"),
        ("Optimizer(weight_decay=float('inf'))", "weight_decay of its optimizer must be a finite number, at least 0"),
        ("Optimizer(b2=1.0)", "b2 of its optimizer must be a number, at least 0 and below 1; got 1.0"),
    ],
)
def test_optimizer_that_cannot_train_is_refused(plugin, arguments, message):
    with pytest.raises(UsageError, match=f"model linear: {message}"):
        load_catalogue([plugin(MODEL, f'MODELS = [ModelSpec("linear", Linear(), "None.", {arguments})]')])


@pytest.mark.parametrize("width", ["object()", "float('nan')", "{1, 2}", "1j"])
def test_architecture_that_no_record_can_hold_is_refused(plugin, width):
    with pytest.raises(UsageError, match="model linear: the architecture's fields must be numbers, text, or tuples"):
        load_catalogue([plugin(MODEL, f'MODELS = [ModelSpec("linear", Linear({width}), "None.")]')])


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


@pytest.mark.parametrize(
    "initializer", ["lambda *_: 0", "closing_over(1)", "functools.partial(zeros)", "Scaled().__call__"]
)
def test_initializer_that_no_record_names_is_refused(plugin, initializer):
    text = f'MODELS = [ModelSpec("linear", Linear(), "None.", initializer={initializer})]'
    with pytest.raises(UsageError, match="model linear: the initializer must be a function that stands by its name"):
        load_catalogue([plugin(MODEL, INITIALIZERS, text)])


@pytest.mark.parametrize("initializer", ["Loose()", "Scaled"])
def test_initializer_that_is_no_frozen_instance_is_refused(plugin, initializer):
    text = f'MODELS = [ModelSpec("linear", Linear(), "None.", initializer={initializer})]'
    with pytest.raises(UsageError, match="model linear: the initializer must be an instance of a frozen dataclass"):
        load_catalogue([plugin(MODEL, INITIALIZERS, text)])


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
    ("kind", "fields", "message"),
    [
        ("@dataclass", "width: int = 3", "must be an instance of a frozen dataclass"),
        ("@dataclass(frozen=True)", "width: object = (1, [2])", "which cannot change; got"),
        ("@dataclass(frozen=True)", "widths: list = field(default_factory=lambda: [2])", "which cannot change; got"),
    ],
)
def test_architecture_that_can_change_is_refused(plugin, kind, fields, message):
    text = f'{kind}\nclass Own:\n    {fields}\nMODELS = [ModelSpec("linear", Own(), "None.")]'
    file = plugin(MODEL, "from dataclasses import field", text)
    with pytest.raises(UsageError, match=f"model linear: the architecture.*{message}"):
        load_catalogue([file])


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
    """As the plugin itself: a cell's digest tells of the files as they are."""
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
