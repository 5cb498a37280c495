"""README and docs stay true: each command runs, the plugin is a plugin, each link leads to a file."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("dev/*.md")])
README = (ROOT / "README.md").read_text()
INSTRUCTIONS = [README, *((ROOT / "docs" / name).read_text() for name in ("command_line.md", "extending.md"))]


def fenced(language: str) -> list[str]:
    return [block for page in INSTRUCTIONS for block in re.findall(rf"^```{language}\n(.*?)^```", page, re.S | re.M)]


def commands() -> list[str]:
    lines = [line.partition("#")[0].strip() for block in fenced("sh") for line in block.splitlines()]
    return list(dict.fromkeys(line for line in lines if line and line != "make test"))


def made_small(command: str, out: Path) -> list[str]:
    """The same command with two epochs, written elsewhere; of the ladders a part."""
    words = shlex.split(command)
    if words[0] == "make":
        some = " --models logreg" if words[1] in ("ladder", "published") else ""
        if words[1] == "published":
            where = ["TASKS=has_all_tokens single_digit_sum", f"SCRATCH={out}", f"PUBLISHED={out / 'published'}"]
            return [*words, *where, f"ARGS=--epochs 2{some}"]
        return [*words, f"ARGS=--epochs 2{some} --out {shlex.quote(str(out))}"]
    assert words[:2] == ["python", "main.py"], f"commands should start everything through make or main.py: {command}"
    return [sys.executable, *words[1:], "--epochs", "2", "--out", str(out)]


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"WANDB_MODE": "offline"}
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """The plugin of docs/extending.md as a file, beside main.py as far as the command can tell."""
    (code,) = (block for block in fenced("python") if "my_plugin.py" in block)
    path = tmp_path / "my_plugin.py"
    path.write_text(code)
    return path


def test_readme_has_commands():
    assert {"make run", "make ladder"} <= set(commands())


@pytest.mark.parametrize("command", commands())
def test_readme_command_runs(command, plugin, tmp_path):
    out = tmp_path / "out"
    done = run([word.replace("my_plugin.py", str(plugin)) for word in made_small(command, out)])
    assert done.returncode == 0, done.stdout + done.stderr
    if not {"--list", "--help"} & set(shlex.split(command)):
        assert (out / "benchmarks" / "index.html").exists()


def test_readme_plugin_trains_in_both_engines(plugin, tmp_path):
    command = next(command for command in commands() if "--plugin" in command)
    run([word.replace("my_plugin.py", str(plugin)) for word in made_small(command, tmp_path)])
    cells = {path.name.rsplit(".", 2)[0] for path in (tmp_path / "artifacts/last_beats_first/cells").glob("*.json")}
    assert cells == {"logreg.jax", "mean_pool.jax", "mean_pool.torch"}


def test_readme_names_files_that_exist():
    named = set(re.findall(r"`((?:coretx|jaxtx|torchtx|docs|benchmarks)/[\w./]*)`", README))
    assert named
    made = {f"benchmarks/{path.name}" for path in (ROOT / "benchmarks" / "published").iterdir()}  # by a run
    assert [path for path in sorted(named - made) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
