"""The rules of the design that a reader would otherwise have to take on trust."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("coretx", "jaxtx", "torchtx")
ENGINE_MODELS = sorted(path.name for path in (ROOT / "jaxtx" / "models").glob("*.py"))
HEAVY = ("jax", "flax", "optax", "torch", "sklearn", "matplotlib", "wandb", "rich", "jinja2")
ONE_ENGINE = {"parameters.py", "compilation.py", "placement.py", "kernels.py", "randomness.py"}
"""Files that JAX needs and torch does not: NNX's tree needs canonical names, programs are compiled, arrays placed, and
some gradients are written out. In torch a forward pass has to be run to see whether it draws random numbers; in NNX a
model holds the streams that it draws from."""


def files(package):
    return {path.relative_to(ROOT / package).as_posix() for path in (ROOT / package).rglob("*.py")} - ONE_ENGINE


def classes(package, name):
    """Return {class: what its __init__ assigns to self, in order} of a model file."""
    tree = ast.parse((ROOT / package / "models" / name).read_text())
    return {node.name: assigned(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def assigned(node):
    init = next(item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")
    targets = [target for item in init.body if isinstance(item, ast.Assign) for target in item.targets]
    return [target.attr for target in targets if isinstance(target, ast.Attribute)]


def notes(package, name):
    """Return the names that the forward passes of a model file note, in order."""
    tree = ast.parse((ROOT / package / "models" / name).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return [call.args[0].value for call in calls if call.func.id == "record"]


def imported(module):
    """Return which of the heavy packages are there after importing the module in a fresh process."""
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_imports_keep_to_the_layers():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--config", ROOT / "pyproject.toml", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_engines_have_the_same_files():
    assert files("jaxtx") == files("torchtx")


@pytest.mark.parametrize("name", ENGINE_MODELS)
def test_engines_have_the_same_classes_and_attributes(name):
    assert classes("jaxtx", name) == classes("torchtx", name)


@pytest.mark.parametrize("name", ENGINE_MODELS)
def test_engines_note_the_same_intermediates(name):
    assert notes("jaxtx", name) == notes("torchtx", name)


@pytest.mark.parametrize("module", ["coretx", "coretx.cli", "coretx.running.plan", "coretx.training.loop"])
def test_import_is_light(module):
    """Help and usage errors must not wait for an engine, scikit-learn or matplotlib."""
    assert imported(module) == []


@pytest.mark.parametrize(("engine", "other"), [("jaxtx.backend", "torch"), ("torchtx.backend", "jax")])
def test_engine_imports_nothing_of_the_other(engine, other):
    assert other not in imported(engine)
