"""The origin of results: commit and versions of the program, and digests of the code that makes them."""

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from coretx.records.results import Code

HOME = Path(__file__).resolve().parents[1]

WEIGHTS = ("config", "errors", "seeds", "targets", "tasks", "models", "training")
"""The modules and packages of the core that decide weights; they import no other part of it."""
SCORES = (
    *("evaluation", "records/cell_config", "records/results"),
    *("running/plan", "running/plugins", "running/run_data", "running/train_cell"),
)
"""The modules and packages of the core that decide scores as well; no other module of the core is in a digest."""
OWN = ("coretx", "jaxtx", "torchtx")


@cache
def commit() -> str:
    """Return the git commit of this code, with `-dirty` where tracked code was changed, or `unknown`.

    Changes below benchmarks/published/ do not count: results are put there after the runs that made them.
    """
    tracked = _git("ls-files", "--error-unmatch", str(Path(__file__).resolve()))
    head = _git("rev-parse", "--short=12", "HEAD")
    if tracked is None or head is None:
        return "unknown"
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)benchmarks/published")
    return f"{head}-dirty" if changes or changes is None else head


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that take part in every result."""
    packages = ("numpy", "scipy", "scikit-learn")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def code_of(engine: str, engine_versions: Mapping[str, str], plugins: Sequence[Path] = ()) -> Code:
    """Return the digests of the code that makes a cell in the engine of this package, with these plugin files.

    Of weights: the sources of `WEIGHTS`, of the engine and of the plugins, and the versions of the packages that
    compute. Of scores: the sources of `SCORES` and the version of scikit-learn. Comments, docstrings and layout do not
    count.
    """
    version = importlib.metadata.version
    weights = {
        "sources": own_sources((*(f"coretx/{name}" for name in WEIGHTS), engine)),
        "plugins": sorted(_plugin_digest(file) for file in plugins),
        "versions": {"numpy": version("numpy"), "scipy": version("scipy"), **engine_versions},
    }
    scores = {
        "sources": own_sources(tuple(f"coretx/{name}" for name in SCORES)),
        "versions": {"scikit-learn": version("scikit-learn")},
    }
    return Code(_digest(weights), _digest(scores))


@cache
def own_sources(places: tuple[str, ...]) -> dict[str, str]:
    """Return the digest of every file of these modules and packages of ours, by its path in the program.

    Read once in a process: a later edit does not change the imported code.
    """
    files = []
    for place in places:
        folder = HOME.parent / place
        files += sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    return {file.relative_to(HOME.parent).as_posix(): source_digest(file) for file in files}


def source_digest(file: Path) -> str:
    """Return the digest of a Python file without comments, docstrings and layout."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return hashlib.sha256(file.read_bytes()).hexdigest()
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [part for part in body if not _is_text(part)]  # pyright: ignore[reportAttributeAccessIssue]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def plugin_files(file: Path) -> list[Path]:
    """Return a plugin's file and every file that it imports, directly or not, without installed packages.

    Import statements are read and not run, so an import by a name made at run time is missing.
    """
    todo, found = [file.resolve()], set()
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += _imported(path, file.resolve().parent)
    return sorted(found)


def _imported(path: Path, folder: Path) -> list[Path]:
    """Return the files that the import statements of a file may mean, its plugin being in this folder."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (SyntaxError, ValueError):
        return []
    roots, wanted = [folder, *_own_roots()], []
    for node in nodes:
        if isinstance(node, ast.Import):
            wanted += [(root, alias.name) for alias in node.names for root in roots]
        elif isinstance(node, ast.ImportFrom):
            bases = [path.parents[node.level - 1]] if node.level else roots
            wanted += [(base, f"{node.module or ''}.{a.name}".strip(".")) for a in node.names for base in bases]
    found = []
    for place, name in wanted:
        parts = name.split(".")
        for part in parts if parts[0] not in OWN else ():
            place /= part
            found += [place.with_suffix(".py"), place / "__init__.py"]
    return [file for file in found if file.is_file()]


def _own_roots() -> list[Path]:
    """Return the folders that Python imports from, without the standard library and installed packages."""
    installed = {Path(folder).resolve() for folder in sysconfig.get_paths().values()}
    places = [Path(place).resolve() for place in sys.path]
    return [place for place in places if place.is_dir() and not installed & {place, place.parent}]


def _plugin_digest(file: Path) -> str:
    folder = file.resolve().parent
    return _digest({os.path.relpath(path, folder): source_digest(path) for path in plugin_files(file)})


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _git(*args: str) -> str | None:
    """Return the output of git in the folder of this code, or None where it fails or is missing."""
    try:
        done = subprocess.run(("git", "-C", HOME, *args), capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
