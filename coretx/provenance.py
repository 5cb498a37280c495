"""Where results come from: commit and version of the code that makes them."""

import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path

HOME = Path(__file__).resolve().parent


@cache
def commit() -> str:
    """Return the git commit of this code, with `-dirty` where tracked code was changed, or `unknown`.

    Changes below benchmarks/ do not count: a run makes them itself.
    """
    tracked = _git("ls-files", "--error-unmatch", Path(__file__).name)
    head = _git("rev-parse", "--short=12", "HEAD")
    if tracked is None or head is None:
        return "unknown"
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)benchmarks")
    return f"{head}-dirty" if changes or changes is None else head


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that every result goes through."""
    packages = ("numpy", "scikit-learn")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def _git(*args: str) -> str | None:
    """Return what git says in the folder of this code, or None where it fails or is missing."""
    try:
        done = subprocess.run(("git", "-C", HOME, *args), capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
