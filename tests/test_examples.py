"""Every `>>>` example of a docstring says what the code does."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = [
    path
    for package in ("coretx", "jaxtx", "torchtx", "benchmarks", "parity_tests")
    for path in sorted((ROOT / package).rglob("*.py"))
]


def found(path):
    """Return the docstrings with examples below a file, as doctests without globals.

    From the source, since a function that is wrapped (by the hook that checks shapes, by a cache) is hidden from
    `doctest`, which would pass it over.
    """
    parser, module = doctest.DocTestParser(), ".".join(path.relative_to(ROOT).with_suffix("").parts)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        text = ast.get_docstring(node) if isinstance(node, documented) else None
        if text and ">>>" in text:
            line = node.body[0].lineno - 1
            yield parser.get_doctest(text, {}, f"{module}:{getattr(node, 'name', '')}", str(path), line)


EXAMPLES = [example for path in FILES for example in found(path)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example_is_true(example):
    example.globs = dict(vars(importlib.import_module(example.name.partition(":")[0])))
    said: list[str] = []
    failed = doctest.DocTestRunner(verbose=False).run(example, out=said.append).failed
    assert not failed, "".join(said)


def test_every_example_is_run():
    """No example is outside a docstring, where it would not be run."""
    written = sum(path.read_text(encoding="utf-8").count(">>> ") for path in FILES)
    assert written == sum(len(example.examples) for example in EXAMPLES) > 80
