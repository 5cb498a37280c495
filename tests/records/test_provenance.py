"""Digests of code: one of the code that decides weights, one of the code that decides scores."""

import ast
import textwrap

import pytest

from coretx.config import RunConfig
from coretx.records import provenance
from coretx.records.provenance import SCORES, WEIGHTS, code_of, plugin_files, source_digest
from coretx.running.plan import make_plan
from coretx.running.plugins import load_catalogue

HOME = provenance.HOME
KEPT_APART = {"display", "reports", "runlog", "api", "cli", "compare"}
"""The parts of the core that show and keep results: they must not decide weights or scores."""


def imported_by(folder, *names):
    """Return the parts of the core that these modules and packages import, each by its name below coretx."""
    files = [file for name in names for file in ((folder / name).with_suffix(".py"), *(folder / name).rglob("*.py"))]
    found = set()
    for node in (node for file in files if file.exists() for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports are not looked at here"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in found if name.startswith("coretx.")}


def test_code_that_decides_weights_imports_nothing_else_of_the_core():
    assert imported_by(HOME, *WEIGHTS) <= set(WEIGHTS)
    assert imported_by(HOME.parent, "jaxtx", "torchtx") <= set(WEIGHTS)


def test_code_that_decides_scores_imports_nothing_that_shows_or_keeps():
    assert not imported_by(HOME, *SCORES) & KEPT_APART


BODY = """
def area(side):
    return side * side
"""


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        (BODY + '"""The area of a square."""', True),
        ('"""A module."""\n# why\ndef area(side):\n    """Return it."""\n    return (side *\n            side)', True),
        (BODY + "x = 1", False),
        (BODY.replace("side * side", "side + side"), False),
        (BODY.replace("side * side", "'side'"), False),
    ],
    ids=["attribute-docstring", "words", "more", "other", "text"],
)
def test_words_and_layout_do_not_count_and_code_does(tmp_path, text, alike):
    for name, content in (("a.py", BODY), ("b.py", text)):
        (tmp_path / name).write_text(content)
    assert (source_digest(tmp_path / "a.py") == source_digest(tmp_path / "b.py")) is alike


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
    ("module", "changed"),
    [
        *((module, (True, False)) for module in ("config", "tasks/base", "models/spec", "training/loop")),
        *((module, (False, True)) for module in ("evaluation/scores", "records/results", "running/train_cell")),
        *((module, (False, False)) for module in ("records/store", "running/experiment", "reports/publish", "cli")),
    ],
)
def test_each_module_moves_the_digest_that_it_decides(module, changed, monkeypatch):
    """As a git pull does that changes it."""
    before, sources = code_of("jaxtx", {}), provenance.own_sources
    path = f"coretx/{module}.py"
    assert (HOME.parent / path).exists()

    def edited(places):
        return {name: digest + "!" * (name == path) for name, digest in sources(places).items()}

    monkeypatch.setattr(provenance, "own_sources", edited)
    after = code_of("jaxtx", {})
    assert (after.weights != before.weights, after.scores != before.scores) == changed


def written(folder, **files):
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder / "mine.py"


def test_modules_beside_a_plugin_count_where_they_are_imported(tmp_path):
    """At the top and inside functions, by any kind of statement, and the modules that they import."""
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
    """A result does not depend on the other cells of a run."""
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
