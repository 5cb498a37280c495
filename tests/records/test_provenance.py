"""Digests of code: what decides weights and what decides scores, and nothing else, is in them."""

import ast
import textwrap
from pathlib import Path

import pytest

from coretx.config import RunConfig
from coretx.records import provenance
from coretx.records.provenance import NEITHER, SCORES, WEIGHTS, code_of, plugin_files, source_digest
from coretx.running.plan import make_plan
from coretx.running.plugins import load_catalogue

CORE = Path(provenance.__file__).parent
MODULES = {path.stem for path in CORE.glob("*.py")} | {path.parent.name for path in CORE.glob("*/__init__.py")}


def imported_by(name):
    """Return the modules of the core that a module or package of it imports, each by its name below coretx."""
    files = [CORE / f"{name}.py"] if (CORE / f"{name}.py").exists() else list((CORE / name).rglob("*.py"))
    found = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports are not looked at here"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in found if name.startswith("coretx.")} - {name}


def test_every_module_of_the_core_is_in_one_group():
    assert WEIGHTS | SCORES | NEITHER == MODULES
    assert len(WEIGHTS) + len(SCORES) + len(NEITHER) == len(MODULES)


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_what_decides_weights_imports_nothing_else(name):
    assert imported_by(name) <= WEIGHTS


@pytest.mark.parametrize("name", sorted(SCORES))
def test_what_decides_scores_imports_nothing_that_shows_or_keeps(name):
    assert imported_by(name) <= WEIGHTS | SCORES


@pytest.mark.parametrize("engine", ["jaxtx", "torchtx"])
def test_an_engine_imports_of_the_core_what_decides_weights(engine):
    files = (CORE.parent / engine).rglob("*.py")
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    modules = [f"{node.module}.{node.names[0].name}" for node in nodes if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[1] for name in modules if name.startswith("coretx.")} <= WEIGHTS


BODY = """
def area(side):
    return side * side
"""


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ('"""A module."""\n# why\ndef area(side):\n    """Return it."""\n    return (side *\n            side)', True),
        (BODY + "x = 1", False),
        (BODY.replace("side * side", "side + side"), False),
        (BODY.replace("side * side", "'side'"), False),
    ],
    ids=["words", "more", "other", "text"],
)
def test_words_and_layout_do_not_count_and_code_does(tmp_path, text, alike):
    for name, content in (("a.py", BODY), ("b.py", text)):
        (tmp_path / name).write_text(content)
    assert (source_digest(tmp_path / "a.py") == source_digest(tmp_path / "b.py")) is alike


def test_attribute_docstrings_do_not_count(tmp_path):
    for name, text in (("a.py", "X = 1"), ("b.py", 'X = 1\n"""The first number."""')):
        (tmp_path / name).write_text(text)
    assert source_digest(tmp_path / "a.py") == source_digest(tmp_path / "b.py")


def test_engine_and_versions_decide_weights_and_not_scores():
    first, other, newer = (
        code_of("jaxtx", {"jax": "1"}),
        code_of("torchtx", {"jax": "1"}),
        code_of("jaxtx", {"jax": "2"}),
    )
    assert first == code_of("jaxtx", {"jax": "1"})
    assert len({first.weights, other.weights, newer.weights}) == 3
    assert first.scores == other.scores == newer.scores


@pytest.mark.parametrize(
    ("group", "changed"), [(WEIGHTS, (True, False)), (SCORES, (False, True)), (NEITHER, (False, False))]
)
def test_each_group_moves_its_digest_alone(group, changed, monkeypatch):
    """As a git pull does that changes a module of it."""
    digest, before = provenance._kept_digest, code_of("jaxtx", {})
    names = {name for name in group if name not in ("tasks", "models", "reports", "runlog", "__init__")}
    for name in names:
        monkeypatch.setattr(provenance, "_kept_digest", lambda file, own=name: digest(file) + "!" * (file.stem == own))
        after = code_of("jaxtx", {})
        assert (after.weights != before.weights, after.scores != before.scores) == changed, name


def written(folder, **files):
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder / "mine.py"


def test_modules_beside_a_plugin_count_where_they_are_imported(tmp_path):
    """At the top and inside functions, by statement of any kind, and those that they import."""
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "__init__.py").write_text("")
    mine = written(
        tmp_path,
        mine="import numpy\nfrom kit.rules import rule\ndef jax_models():\n    import nets\n",
        kit__rules="from . import far\nfrom .near import x",
        kit__far="import deep",
        kit__near="x = 1",
        nets="",
        deep="",
        idle="",
    )
    names = {path.relative_to(tmp_path).as_posix() for path in plugin_files(mine)}
    kit = {"kit/__init__.py", "kit/rules.py", "kit/far.py", "kit/near.py"}
    assert names == {"mine.py", "nets.py", "deep.py"} | kit


def test_modules_that_python_finds_elsewhere_count_but_for_installed_ones(tmp_path, monkeypatch):
    (tmp_path / "lib").mkdir()
    (tmp_path / "plugins").mkdir()
    helper, mine = tmp_path / "lib" / "helper.py", tmp_path / "plugins" / "mine.py"
    helper.write_text("K = 1")
    mine.write_text("import json, numpy, pytest\nfrom helper import K")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    assert plugin_files(mine) == sorted(path.resolve() for path in (helper, mine))
    before = code_of("jaxtx", {}, [mine]).weights
    helper.write_text("K = 2")
    assert code_of("jaxtx", {}, [mine]).weights != before


def test_the_programs_own_packages_are_no_part_of_a_plugin_beside_them(tmp_path):
    (tmp_path / "coretx").mkdir()
    (tmp_path / "coretx" / "__init__.py").write_text("")
    assert plugin_files(written(tmp_path, mine="from coretx import Task")) == [(tmp_path / "mine.py").resolve()]


PLUGIN = """
import numpy as np
from dataclasses import dataclass
from coretx import ModelSpec, Optimizer, Task
from coretx.models.architectures import MLP
class First(Task):
    name = "first"
    def generate_candidates(self, n, rng):
        return rng.standard_normal((n, 5, 2), dtype=np.float32)
    def label(self, x):
        return (x[:, 0, 0] > 0).astype(np.float32)
TASKS = [First()]
MODELS = [ModelSpec("wide", MLP(64), "Width.")]
"""


def test_a_plugin_counts_in_its_own_cells_alone(tmp_path):
    """A result does not depend on what else ran."""
    (tmp_path / "mine.py").write_text(PLUGIN)
    settings = {"tasks": ("sign_of_winner", "first"), "models": ("mlp", "wide"), "plugin": (tmp_path / "mine.py",)}

    def codes(**settings):
        plan = make_plan(RunConfig(out=tmp_path / "out", **settings))
        return {(run.task.name, name): cell.code for run in plan.runs for name, cell in run.cells.items()}

    before = codes(**settings)
    (tmp_path / "mine.py").write_text(PLUGIN + "x = 1")
    after = codes(**settings)
    assert {place for place in before if before[place] != after[place]} == before.keys() - {("sign_of_winner", "mlp")}
    assert codes(models=("mlp",))["sign_of_winner", "mlp"] == before["sign_of_winner", "mlp"]


def test_a_model_class_from_a_plugin_counts(tmp_path):
    """That of the ladder's own architecture too."""
    text = "def jax_models():\n    from coretx.models.architectures import MLP\n    return {MLP: object}"
    catalogue = load_catalogue([written(tmp_path, mine=text)])
    task, (mlp, logreg) = catalogue.tasks["sign_of_winner"], catalogue.models(["mlp", "logreg"])
    assert catalogue.files_of(task, mlp, "jax") == (tmp_path / "mine.py",)
    assert catalogue.files_of(task, logreg, "jax") == catalogue.files_of(task, mlp, "torch") == ()
