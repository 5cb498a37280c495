"""Render pages from templates: everything is escaped but our own style, script and figures."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from coretx.models.spec import VIEWS
from coretx.reports.pages import formatting
from coretx.reports.pages.verdicts import p_value, sign
from coretx.reports.tables.comparisons import QUESTIONS
from coretx.reports.tables.configurations import engine_title
from coretx.tasks.splits import SPLIT_NAMES

_TEMPLATES = Path(__file__).parents[1] / "templates"

STYLE = Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))
SCRIPT = Markup((_TEMPLATES / "dashboard.js").read_text(encoding="utf-8"))

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The content security policy of a page without a script."""

SCRIPT_POLICY = f"{POLICY}; script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
"""The content security policy of a page that may run SCRIPT, by its hash, and no other script."""

FORMS = ("alike", "between", "count", "counted", "decimal", "percent", "points", "product", "seconds", "signed", "span")
"""The functions of `formatting` that templates know, as filters and by name."""


def render(template: str, **context: Any) -> str:
    """Return the page. Text that UTF-8 cannot hold (lone surrogates of a hostile name) is shown as question marks."""
    html = _ENVIRONMENT.get_template(template).render(style=STYLE, **{"policy": POLICY} | context)
    return html.encode(errors="replace").decode()


def breakable(text: str) -> Markup:
    """Return the text escaped, with places to break a line after underscores, so that long names fit narrow columns.

    >>> str(breakable("has_<b>"))
    'has_<wbr>&lt;b&gt;'
    """
    return Markup("_<wbr>").join(escape(part) for part in text.split("_"))


def make_environment(*folders: Path) -> Environment:
    """Return a Jinja environment for the templates of the reports and of these folders; everything is escaped."""
    environment = Environment(
        loader=FileSystemLoader([_TEMPLATES, *folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    forms = {name: getattr(formatting, name) for name in FORMS} | {
        "engine_title": engine_title,
        "p_value": p_value,
        "sign": sign,
    }
    environment.filters |= forms | {"breakable": breakable}
    environment.globals |= forms | {"QUESTIONS": QUESTIONS, "SPLIT_NAMES": SPLIT_NAMES, "VIEWS": VIEWS}
    return environment


_ENVIRONMENT = make_environment()
