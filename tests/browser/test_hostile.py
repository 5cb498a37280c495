"""Text that comes from tasks, models and tables shows literally, wherever it reaches a page.

Every page is made twice, with a plain word in all places and with payloads in the same places: what a browser makes of
the second must be what it makes of the first, the word replaced.
"""

import dataclasses
import re
from functools import partial

import numpy as np
import pytest
from matplotlib.figure import Figure

from coretx.records.store import load_result
from coretx.reports import publish
from coretx.reports.figures import plots as figures
from coretx.reports.pages.comparison_page import compare_cells, render_comparison
from coretx.reports.pages.dashboard import render_dashboard
from coretx.reports.pages.generalisation import render_generalisation
from coretx.reports.pages.model_page import Neighbour, render_model_page
from coretx.reports.pages.task_page import render_task_page
from coretx.reports.tables.benchmark import SCORES
from coretx.reports.tables.comparisons import COMPARISONS
from coretx.reports.tables.draws import OVERLAPS, SPLIT_COUNTS
from coretx.reports.tables.files import Tables
from coretx.reports.tables.groups import LENGTHS
from coretx.reports.tables.training import COSTS, CURVES
from coretx.tasks.base import Task
from parity_tests import certificate
from parity_tests.differences import Difference

WORD = "Quux"

PAYLOADS = (
    "javascript:alert(1)",
    "<script>alert(1)</script>",
    "<ScRiPt src=//x/y.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "data:text/html,<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "'><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' onfocus='alert(1)' autofocus='",
    "x onclick=alert(1) y=",
    "` onerror=alert(1) `",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=//x></object>",
    "<embed src=//x>",
    "<base href=//x/>",
    "<meta http-equiv=refresh content='0;url=//x'>",
    '<meta name="cell-id" content="x">',
    "<link rel=stylesheet href=//x/y.css>",
    "<style>@import url(//x);</style>",
    "<style>body{display:none}</style>",
    "<form action=//x><input name=a><button>go</button></form>",
    "<a href=javascript:alert(1)>here</a>",
    "<a href=//x target=_blank>there</a>",
    "<video src=//x autoplay></video>",
    "<body onload=alert(1)>",
    "<html lang=xx>",
    "<details open ontoggle=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<table><tr><td>cell</td></tr></table>",
    "</td></tr></table><p>outside",
    "</main></body></html>after",
    "<!-- a comment",
    "--> no comment",
    "<![CDATA[ data ]]>",
    "<?xml version='1.0'?>",
    "<!doctype html>",
    "<!ENTITY x SYSTEM 'file:///etc/passwd'>&x;",
    "&lt;b&gt; &amp; &quot; &#39; &nbsp;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "{{ 7 * 7 }}{% raw %}{# gone #}",
    "${7 * 7} #{7 * 7} <%= 7 * 7 %>",
    "{{ ''.__class__.__mro__ }}",
    "$\\frac{1}{$ and $x^{2}$",
    "../../../../etc/passwd",
    "'; DROP TABLE models; --",
    '=HYPERLINK("//x")',
    "\u202eright to left\u202c and \u200bnothing",
    "\ud800 half a pair \udfff",
    "z\u0351\u036b\u0343a\u0323\u0348l\u0324\u0353g\u0323o",
    "\U0001f469\u200d\U0001f52c \u4e2d\u6587 \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "_under_scores_" + "without_a_break" * 8,
)

CHUNKS = [" ".join(PAYLOADS[start::12]) for start in range(12)]
"""Five payloads each; every chunk begins with another kind."""

DUMP = """
() => {
  const shown = ["aria-label", "class", "content", "data-model", "title", "value", "role", "aria-labelledby"];
  const dump = (node) => {
    const parts = [];
    for (const child of node.childNodes) {
      const text = child.nodeType === Node.TEXT_NODE ? child.data : child.tagName === "WBR" ? "" : null;
      if (text === null) parts.push(child.nodeType === Node.ELEMENT_NODE ? dump(child) : ["comment", child.data]);
      else if (typeof parts.at(-1) === "string") parts.push(parts.pop() + text);
      else parts.push(text);
    }
    const names = node.getAttributeNames().sort();
    return [node.tagName, names, ...shown.map((name) => node.getAttribute(name)), ...parts];
  };
  return dump(document.documentElement);
}
"""

SCHEMES = "[...new Set([...document.querySelectorAll('a')].map((link) => new URL(link.href).protocol))]"

CELL_ID = re.compile(r"\b[0-9a-f]{12}\b")
"""A hash of the configuration, and so of the texts."""

FIGURE = Figure(figsize=(0.1, 0.1))
"""The figure of every page with many of them: fast to draw."""
TO_SVG = figures.to_svg


def reworded(dump, text):
    """Return the dump with the word replaced by the text, as a page can hold it."""
    if isinstance(dump, list):
        return [reworded(part, text) for part in dump]
    return dump.replace(WORD, text.encode(errors="replace").decode()) if isinstance(dump, str) else dump


def first_difference(found, expected):
    """Return the innermost parts in which two dumps differ first; None where they are the same."""
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        return next((pair for pair in map(first_difference, found, expected) if pair is not None), None)
    if found == expected or not isinstance(found, str) or not isinstance(expected, str):
        return None if found == expected else (found, expected)
    start = next((place for place, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), 0)
    return found[start:], expected[start:]


def filled(record, text, keep=()):
    """Return a dataclass whose strings begin with the text and stay as different as they were."""
    strings = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    changed = {name: text + value for name, value in strings.items() if isinstance(value, str) and name not in keep}
    return dataclasses.replace(record, **changed)


def renamed(mapping, text):
    return {text + name: text + value if isinstance(value, str) else value for name, value in mapping.items()}


def hostile_task(text, *, kinds=False):
    class Hostile(Task):
        name = f"{text}parted"
        title = rule = text

        def generate_candidates(self, n, rng):
            return rng.standard_normal((n, self.sequence_length, self.feature_dim), dtype=np.float32)

        def label(self, x):
            return (x.sum(axis=(1, 2)) > 0).astype(np.float32)

        def render(self, row):
            return text

        def step_names(self, row):
            return [text] * len(row)

        def kinds(self, x):
            return {f"{text}kind": x[:, 0, 0] > 0} if kinds else {}

        def feature_names(self):
            return [f"{text}{number}" for number in range(self.feature_dim)]

    return Hostile()


def model_page(out, text, monkeypatch):
    """The page of a cell that is done, with an alarm and neighbours; figures are their alternative text alone."""
    row, gain = _rows(out, text)[0], _tables(out, text)[3][0]
    around = [Neighbour(place, row, f"{place}.html", text, text, text, gain) for place in ("Before", "After")]
    return _model_page(out, "self_attention", text, monkeypatch, neighbours=around)


def diverged_page(out, text, monkeypatch):
    return _model_page(out, "diverging", text, monkeypatch)


def _model_page(out, model, text, monkeypatch, **more):
    with monkeypatch.context() as patch:
        patch.setattr(figures, "to_svg", lambda figure, prefix, alt: TO_SVG(FIGURE, prefix, alt))
        return render_model_page(_result(out, model, text), hostile_task(text, kinds=True), claim=text, **more)


def _result(out, model, text):
    (path,) = (out / "artifacts" / "parted" / "cells").glob(f"{model}.*.json")
    result = load_result(path)
    config = filled(result.config, text)
    config = dataclasses.replace(config, hyperparameters=renamed(config.hyperparameters, text))
    made = filled(result.provenance, text)
    date = result.provenance.date  # shown shortened
    made = dataclasses.replace(made, commit=text, date=date, versions=renamed(made.versions, text))
    return dataclasses.replace(
        result,
        config=config,
        provenance=made,
        weights=renamed(result.weights, text),
        failure=text if result.failure else None,
        alarm=text,
        groups=tuple(filled(group, text) for group in result.groups),
    )


def _rows(out, text):
    kept = ("id", "split", "view", "date", "commit")  # a date and a commit are shown shortened
    return [filled(row, text, kept) for row in Tables(out)[SCORES].rows]


def _order(out):
    titles = {row.task: row.task for row in Tables(out)[SCORES].rows}
    return {"task_order": [], "model_order": [], "task_titles": titles}


def _tables(out, text):
    """Return the rows of benchmarking.csv, overlap.csv, splits.csv and comparisons.csv."""
    tables = Tables(out)
    overlaps, splits, comparisons = (tables[table].rows for table in (OVERLAPS, SPLIT_COUNTS, COMPARISONS))
    return (
        _rows(out, text),
        [filled(row, text) for row in overlaps],
        [filled(row, text, keep=("part",)) for row in splits],
        [filled(row, text, keep=("id", "against_id", "runs_verdict", "recipe_verdict")) for row in comparisons],
    )


def dashboard(out, text, monkeypatch):
    tables, kept = Tables(out), ("id", "epochs", "accuracy_train", "accuracy_test")
    curves = [filled(row, text, kept) for row in tables[CURVES].rows]
    costs = [filled(row, text, ("id",)) for row in tables[COSTS].rows]
    return render_dashboard(
        *_tables(out, text),
        curves,
        costs,
        **_order(out),
        has_page=lambda row: publish.has_page(row, out),
    )


def task_page(out, text, monkeypatch):
    has_page = partial(publish.has_page, out=out)
    return render_task_page(hostile_task(text), *_tables(out, text), [], {}, model_order=[], has_page=has_page)


def generalisation(out, text, monkeypatch):
    lengths = Tables(out)[LENGTHS].rows
    return render_generalisation(_rows(out, text), [filled(row, text, keep=("id",)) for row in lengths], **_order(out))


def parity_certificate(out, text, monkeypatch):
    found = Difference("loss", 0, 0.5, 1e-9)
    return certificate.render(
        certificate.Certificate(
            model=text,
            task=text,
            steps=20,
            findings=[certificate.Finding(text, None, found)],
            trials=[certificate.Trial("scale", text, found), certificate.Trial("bias", text, None)],
            settings={"seed": text},
            versions={"jax": text},
            command="python -m parity_tests",
        )
    )


def comparison(out, text, monkeypatch):
    """The page of two runs that have one cell in common and one that stands alone each."""
    result, other = _result(out, "self_attention", text), _result(out, "diverging", text)
    alone = dataclasses.replace(other, config=dataclasses.replace(other.config, task=f"{text}alone"))
    found = compare_cells([result, other], [result, alone], {result.config.task: hostile_task(text)})
    order = {"task_order": [], "model_order": []}
    sides = ([result, other], [result, alone])
    return render_comparison(found, (text, text), sides, links=(_no_page, _no_page), titles={}, **order)


def _no_page(result):
    return None


KINDS = {
    "model page": model_page,
    "diverged": diverged_page,
    "dashboard": dashboard,
    "task page": task_page,
    "generalisation": generalisation,
    "certificate": parity_certificate,
    "comparison": comparison,
}


def test_there_are_sixty_different_payloads():
    assert len(set(PAYLOADS)) == 60
    assert sorted(payload for chunk in range(12) for payload in PAYLOADS[chunk::12]) == sorted(PAYLOADS)


@pytest.mark.filterwarnings("ignore:Glyph")  # matplotlib has no letters for some of them; the browser has
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_text_shows_literally(kind, out, visit, monkeypatch, tmp_path):
    def opened(text):
        path = tmp_path / "page.html"
        path.write_text(CELL_ID.sub("id", KINDS[kind](out, text, monkeypatch)))
        page = tab.open(path)
        assert tab.complaints == []
        assert set(page.evaluate(SCHEMES)) <= {"file:"}
        return page.evaluate("document.body.innerText"), page.evaluate(DUMP)

    tab = visit()
    text, plain = opened(WORD)
    assert text.count(WORD) > 5
    for chunk in CHUNKS:
        _, dump = opened(chunk)
        assert first_difference(dump, reworded(plain, chunk)) is None, chunk
