"""Where results come from: commit and version of the program, and digests of the code that makes them."""

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from coretx.records.results import Code

HOME = Path(__file__).resolve().parents[1]

WEIGHTS = ("config", "errors", "seeds", "targets", "tasks", "models", "training")
"""The modules and packages of the core that decide weights; they import none of the others."""
SCORES = (
    *("evaluation", "records/cell_config", "records/results"),
    *("running/plan", "running/plugins", "running/run_data", "running/train_cell"),
)
"""The modules and packages that decide scores besides; no other module of the core is in a digest."""
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
    """Return the versions of Python and of the packages that every result goes through."""
    packages = ("numpy", "scipy", "scikit-learn")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def code_of(engine: str, engine_versions: Mapping[str, str], plugins: Sequence[Path] = ()) -> Code:
    """Return the digests of the code that a cell is made by in the engine of this package, with these plugin files.

    Of weights: the sources of `WEIGHTS`, of the engine and of the plugins, and the versions of what computes; of
    scores: the sources of `SCORES` and the version of scikit-learn. Comments, docstrings and formatting do not count.
    """
    own = [HOME / name for name in WEIGHTS] + [HOME.parent / engine]
    known = {"numpy": importlib.metadata.version("numpy"), "scipy": importlib.metadata.version("scipy")}
    weights = {
        "sources": _sources(own),
        "plugins": sorted(_plugin_digest(file) for file in plugins),
        "versions": {**known, **engine_versions},
    }
    scores = {
        "sources": _sources([HOME / name for name in SCORES]),
        "versions": {"scikit-learn": importlib.metadata.version("scikit-learn")},
    }
    return Code(*(_digest(json.dumps(part, sort_keys=True)) for part in (weights, scores)))


def source_digest(file: Path) -> str:
    """Return the digest of a Python file without comments, docstrings and formatting."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return hashlib.sha256(file.read_bytes()).hexdigest()
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [part for part in body if not _is_text(part)]  # pyright: ignore[reportAttributeAccessIssue]
    return _digest(ast.unparse(tree))


def plugin_files(file: Path) -> list[Path]:
    """Return a plugin's file and every file that it imports, directly or not, but for those of installed packages.

    Import statements are read, nothing is run: what is imported by a name that is put together is not seen.
    """
    todo, found = [file.resolve()], set()
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += _imported(path, file.resolve().parent)
    return sorted(found)


def _imported(path: Path, folder: Path) -> list[Path]:
    """Return the files below folder that the import statements of a file may mean."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (SyntaxError, ValueError):
        return []
    roots = [folder, *_own_roots()]
    names = [(root, a.name) for node in nodes if isinstance(node, ast.Import) for a in node.names for root in roots]
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            bases = [path.parents[node.level - 1]] if node.level else roots
            names += [(base, f"{node.module or ''}.{a.name}".strip(".")) for a in node.names for base in bases]
    found = []
    for base, name in names:
        parts = name.split(".")
        places = [base.joinpath(*parts[:length]) for length in range(1, len(parts) + 1)]
        if parts[0] not in OWN:
            found += [at for place in places for at in (place.with_name(f"{place.name}.py"), place / "__init__.py")]
    return [at for at in found if at.is_file()]


def _own_roots() -> list[Path]:
    """Return the folders that Python imports from, without its own and those of installed packages."""
    installed = {Path(folder).resolve() for folder in sysconfig.get_paths().values()}
    places = [Path(place).resolve() for place in sys.path]
    return [place for place in places if place.is_dir() and not installed & {place, place.parent}]


def _plugin_digest(file: Path) -> str:
    folder = file.resolve().parent
    files = {os.path.relpath(path, folder): path for path in plugin_files(file)}
    return _digest(json.dumps({name: source_digest(path) for name, path in files.items()}, sort_keys=True))


def _sources(places: Iterable[Path]) -> dict[str, str]:
    """Return the digest of every file of these modules and packages, by its place in the program."""
    files = [file for at in places for file in (at.rglob("*.py") if at.is_dir() else [at.with_suffix(".py")])]
    return {file.relative_to(HOME.parent).as_posix(): _kept_digest(file) for file in files}


@cache
def _kept_digest(file: Path) -> str:
    """Return the digest of one of our files, read once: a later edit does not change the imported code."""
    return source_digest(file)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _git(*args: str) -> str | None:
    """Return what git says in the folder of this code, or None where it fails or is missing."""
    try:
        done = subprocess.run(("git", "-C", HOME, *args), capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
