"""The parity certificate: one page that says how far two engines were apart, step by step, and why that is enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from coretx import durable
from coretx.reports.figures import to_svg
from coretx.reports.templating import POLICY, STYLE
from parity_tests.bounds import ENVELOPE_END
from parity_tests.trajectory import Verdict

GROUPS = {
    "loss": "loss",
    "grad_norm": "gradient norm",
    "parameters/": "parameters",
    "first_moment/": "first moments",
    "second_moment/": "second moments",
}
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9")
"""Of the palette of Okabe and Ito, "Color universal design", 2008."""

SMALLEST = 1e-18
"""Where a difference of exactly zero is drawn on the log axis."""


@dataclass(frozen=True)
class Finding:
    """One dtype's comparison: the verdict, and what differed before training, if anything did."""

    dtype: str
    verdict: Verdict | None
    sentence: str
    """What differs first, in plain words; empty where nothing does."""


@dataclass(frozen=True)
class Certificate:
    """All that the page shows."""

    model: str
    task: str
    steps: int
    findings: Sequence[Finding]
    mutants: Sequence[str]
    """A line for each mutant of this model: killed, or not seen."""
    killed: int
    versions: Mapping[str, str]

    @property
    def granted(self) -> bool:
        return all(not finding.sentence for finding in self.findings)


def write(certificate: Certificate, out: Path) -> Path:
    """Write the page and return its path."""
    path = out / "artifacts" / "_parity" / certificate.task / f"{certificate.model}.html"
    durable.write_text(path, render(certificate))
    return path


def render(certificate: Certificate) -> str:
    """Return the page as one self-contained HTML file."""
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(PAGE)
    plots = [
        (finding, figure_svg(finding) if finding.verdict is not None else None) for finding in certificate.findings
    ]
    return template.render(c=certificate, plots=plots, style=STYLE, policy=POLICY, end=f"{ENVELOPE_END:g}")


def figure_svg(finding: Finding) -> Markup:
    """Return the error of each group of quantities by step, and the envelope, on a log axis, as inline SVG."""
    verdict = finding.verdict
    assert verdict is not None
    figure = Figure(figsize=(7.2, 3.4))
    axes = figure.subplots()
    steps = np.arange(1, len(verdict.error) + 1)
    axes.fill_between(steps, SMALLEST, np.maximum(verdict.envelope, SMALLEST), color="#dcdfe4", label="envelope")
    for (group, label), colour in zip(GROUPS.items(), COLOURS, strict=True):
        errors = [values for name, values in verdict.by_quantity.items() if name.startswith(group)]
        drawn = np.maximum(np.nan_to_num(np.max(errors, axis=0), posinf=10.0), SMALLEST)
        axes.plot(steps, drawn, color=colour, linewidth=1, label=label)
    if verdict.horizon < len(steps):
        axes.axvline(verdict.horizon, color="#6b7280", linewidth=1, linestyle="--", label="asserted up to here")
    axes.set(yscale="log", xlabel="Optimizer step", ylabel="Difference / max-norm", ylim=(SMALLEST / 2, 20.0))
    figure.subplots_adjust(left=0.11, right=0.72, top=0.97, bottom=0.14)
    figure.legend(loc="upper left", bbox_to_anchor=(0.73, 0.97))
    return to_svg(figure, f"parity-{finding.dtype}", f"Difference between the engines by step in {finding.dtype}")


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Parity of {{ c.model }} on {{ c.task }}</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<h1>Parity of {{ c.model }} on {{ c.task }}</h1>
<p>{% if c.granted %}Granted: the JAX and the PyTorch engine did the same thing{% else %}Refused: the JAX and the
PyTorch engine differ{% endif %} over {{ c.steps }} optimizer steps from equal weights and batches.</p>
{% for finding, plot in plots %}
<h2>{{ finding.dtype }}</h2>
{% if finding.sentence %}<p><strong>{{ finding.sentence }}</strong></p>{% endif %}
{% if plot is not none %}
<p>Asserted for {{ finding.verdict.horizon }} of {{ c.steps }} steps, until the envelope (the same engine from weights
one unit in the last place away) passes {{ end }}.
Largest error there: {{ "%.1e"|format(finding.verdict.largest_error) }}.</p>
<figure>{{ plot }}</figure>
{% endif %}
{% endfor %}
<h2>Mutants</h2>
{% if c.mutants %}
<p>{{ c.killed }} of {{ c.mutants|length }} small faults, each put into one engine alone, were found.</p>
<ul>{% for line in c.mutants %}<li>{{ line }}</li>{% endfor %}</ul>
{% else %}
<p>None was tried: the list (parity_tests/mutants.py) has none for this model, or --mutants was not given.</p>
{% endif %}
<h2>Versions</h2>
<table><tbody>
{% for name, version in c.versions.items() %}<tr><th scope="row">{{ name }}</th><td>{{ version }}</td></tr>
{% endfor %}</tbody></table>
</main>
</body>
</html>
"""
