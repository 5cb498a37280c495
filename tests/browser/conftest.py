"""A browser, and every kind of page to open in it, made once by a small run."""

import os
import re
import shutil
from pathlib import Path

import axe_playwright_python
import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Dialog, Page, Request, sync_playwright

from coretx.compare import compare
from parity_tests import certificate
from parity_tests.differences import Difference
from parity_tests.trajectory import Verdict

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")

PLUGIN = """
import dataclasses
import numpy as np
from coretx import Optimizer, Task
from coretx.models.registry import build_models

class Parted(Task):
    name = "parted"
    title = 'Is <b>it</b> "more" & above?'
    rule = "1 when the sum of all features is above zero; </p><script>alert(1)</script> stays text"

    def generate_candidates(self, n, rng):
        return rng.standard_normal((n, self.sequence_length, self.feature_dim), dtype=np.float32)

    def label(self, x):
        return (x.sum(axis=(1, 2)) > 0).astype(np.float32)

    def groups(self, x, y):
        return {"first <step>": np.where(x[:, 0, 0] > 0, "up & away", "down <i>")}

    def at_length(self, length):
        return self.resized(length)

TASKS = [Parted()]
MODELS = [dataclasses.replace(build_models(["logreg"])[0], name="diverging", optimizer=Optimizer(1e30, 0.0))]
"""

RUN = (
    *("--tasks", "parted", "has_all_tokens", "--models", "logreg", "mlp", "self_attention", "mlp:torch", "diverging"),
    *("--members", "2", "--epochs", "3", "--n-samples", "40", "--eval-lengths", "8", "--backend", "jax"),
)


@pytest.fixture(scope="session")
def find_chromium():
    """A function that returns the path of Chromium; without one it skips the test, or fails it where CI=true."""

    def find() -> str:
        path = shutil.which("chromium")
        if path is None:
            end = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            end("pages are not checked: there is no `chromium` on the path (Debian: apt-get install chromium)")
        return path

    return find


@pytest.fixture(scope="module")
def browser(find_chromium):
    """Chromium, without a window. Of a module, not of the session: while it is open, an event loop runs."""
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def out(find_chromium, program, tmp_path_factory) -> Path:
    """The folder of a run with all kinds of pages: two tasks, both engines, a cell that diverged; a certificate."""
    find_chromium()
    folder = tmp_path_factory.mktemp("pages")
    plugin = folder / "plugin.py"
    plugin.write_text(PLUGIN)
    done = program(*RUN, "--plugin", plugin, "--out", folder)
    assert done.returncode == 1, done.stderr[-3000:]  # 1: a cell diverged
    certificate.write(_certificate(), folder)
    compare("jax", "torch", folder, folder / "comparison.html", [plugin])
    return folder


def _certificate() -> certificate.Certificate:
    """Return a certificate that was refused: it has every part that the page can have."""
    steps = np.geomspace(1e-15, 1e-9, 20)
    errors = dict.fromkeys(("loss", "grad_norm", "parameters/a", "first_moment/a", "second_moment/a"), steps)
    verdict = Verdict(steps, 10 * steps, 0 * steps + 0.1, errors, errors, 15, None)
    found = Difference("forward/logits", 0, 0.5, 1e-9)
    return certificate.Certificate(
        model="self_attention",
        task="has_all_tokens",
        steps=20,
        findings=[certificate.Finding("float64", verdict, None), certificate.Finding("float32", verdict, found)],
        trials=[certificate.Trial("scale left out", "jax", found), certificate.Trial("bias left out", "torch", None)],
        settings={"seed": 0, "n_samples": 40},
        versions={"jax": "0.10.2", "torch": "2.13.0"},
        command="python -m parity_tests --models self_attention --tasks has_all_tokens",
    )


@pytest.fixture(scope="session")
def pages(out) -> list[Path]:
    """All pages below the folder, the dashboard first."""
    return sorted(out.rglob("*.html"), key=lambda path: (path.parent.name != "benchmarks", path))


@pytest.fixture(scope="session")
def kinds(pages) -> list[Path]:
    """One page of each kind: of those whose sections are the same, the first."""
    found = {tuple(re.findall(r'<h2 id="([\w-]+)"', path.read_text())): path for path in reversed(pages)}
    return list(found.values())[::-1]


class Visit:
    """A tab that opens pages from disk, and what they do that they should not: say anything, or ask for more."""

    def __init__(self, context: BrowserContext):
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self._address = ""
        self.page.on("console", lambda message: self.complaints.append(f"says {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"fails with {error}"))
        self.page.on("dialog", self._dismiss)
        self.page.on("request", self._look_at)

    def open(self, path: Path) -> Page:
        self.complaints = []
        self._address = path.as_uri()
        self.page.goto(self._address)
        return self.page

    def _dismiss(self, dialog: Dialog) -> None:
        self.complaints.append(f"asks {dialog.message}")
        dialog.dismiss()

    def _look_at(self, request: Request) -> None:
        if request.url != self._address:
            self.complaints.append(f"gets {request.url}")


@pytest.fixture
def visit(browser):
    """A function that opens a tab with these settings; all are closed after the test."""
    contexts: list[BrowserContext] = []

    def open_tab(width: int = 1280, scheme: str = "light", scripts: bool = True) -> Visit:
        viewport = {"width": width, "height": 900}
        contexts.append(browser.new_context(viewport=viewport, color_scheme=scheme, java_script_enabled=scripts))
        return Visit(contexts[-1])

    yield open_tab
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    return AXE.read_text()
