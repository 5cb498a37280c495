"""Lint gates: it runs before the tests, and pre-commit and the workflow call what the Makefile and the README name."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ["ruff check .", "ruff format --check .", "lint-imports", "pyright"]


@pytest.mark.parametrize("failing", ["lint", "test", None])
def test_ci_lints_before_it_tests_and_fails_with_either(failing, tmp_path):
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "$@"\ntest "$1" != "{failing}"\n')
    make.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run([ROOT / ".ci" / "run"], env={"PATH": path}, capture_output=True, text=True, check=False)
    assert done.stdout.split() == (["lint"] if failing == "lint" else ["lint", "test"])
    assert (done.returncode == 0) is (failing is None)


def test_lint_and_pre_commit_run_the_same_tools():
    rule = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line.removeprefix("\t$(BIN)/") for line in rule[1].splitlines()] == TOOLS
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"entry: \.venv/bin/(.*)", hooks) == TOOLS
    assert hooks.count("language: system") == len(TOOLS)


def test_the_workflow_runs_the_two_commands_of_the_readme():
    text = (ROOT / ".github" / "workflows" / "commands.yml").read_text()
    assert {"make run", "make test"} <= set(re.findall(r"- run: (.*)", text))
    readme = (ROOT / "README.md").read_text()
    assert all(re.search(rf"^{command}\b", readme, re.MULTILINE) for command in ("make run", "make test"))
