"""The parity certificate: one page that says how far two engines were apart, step by step, and why that is enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from coretx.records import durable
from coretx.reports.figures import style as figure_style
from coretx.reports.figures.plots import to_svg
from coretx.reports.figures.style import COLOUR
from coretx.reports.pages.model_figures import LISTED, Plot, Table
from coretx.reports.pages.templating import POLICY, STYLE, make_environment
from parity_tests.bounds import ALLOWED_ENVELOPES, ENVELOPE_END, ROUND_OFF, TANH_ULPS
from parity_tests.differences import Difference, plain_name
from parity_tests.trajectory import Verdict

GROUPS = {
    "loss": "Loss",
    "grad_norm": "Gradient norm",
    "parameters/": "Parameters",
    "first_moment/": "First moments",
    "second_moment/": "Second moments",
}
"""What is drawn: the largest of all quantities that begin like this."""

COLOURS = {"float64": COLOUR["test"], "float32": COLOUR["train"]}

SMALLEST = 1e-17
"""Where the log axis begins."""


@dataclass(frozen=True)
class Finding:
    """One dtype's comparison: the verdict, and what differs first, if anything does."""

    dtype: str
    verdict: Verdict | None
    difference: Difference | None

    @property
    def sentence(self) -> str:
        """What differs first, in plain words; empty where nothing does."""
        return self.difference.sentence() if self.difference else ""

    def facts(self, steps: int) -> dict[str, str]:
        """Return the figures of the verdict under their labels, each a dash where nothing was trained."""
        labels = ("Steps asserted", "Largest error", "Envelope", "Largest share of the bound", "Copies part at step")
        if self.verdict is None:
            return dict.fromkeys(labels, "-")
        v = self.verdict
        figures = f"{v.largest_error:.1e}", f"{v.largest_envelope:.1e}", f"{v.largest_share:.2f}"
        parting = "not at all" if v.horizon == steps else str(v.horizon)
        return dict(zip(labels, (f"{v.horizon} of {steps}", *figures, parting), strict=True))


@dataclass(frozen=True)
class Trial:
    """One fault that was put into one engine, and what differed first; None where it was not seen.

    `stale` says why the fault could not be put there, empty where it could: then nothing was found.
    """

    name: str
    engine: str
    found: Difference | None
    stale: str = ""


@dataclass(frozen=True)
class Certificate:
    """All that the page shows."""

    model: str
    task: str
    steps: int
    findings: Sequence[Finding]
    trials: Sequence[Trial]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    command: str

    @property
    def granted(self) -> bool:
        """Whether nothing differs, and every fault that was tried was found."""
        return all(finding.difference is None for finding in self.findings) and self.killed == len(self.trials)

    @property
    def killed(self) -> int:
        return sum(trial.found is not None for trial in self.trials)


def write(certificate: Certificate, out: Path) -> Path:
    """Write the page and return its path."""
    path = out / "artifacts" / "_parity" / certificate.task / f"{certificate.model}.html"
    durable.write_text(path, render(certificate))
    return path


def render(certificate: Certificate) -> str:
    """Return the page as one self-contained HTML file."""
    environment = make_environment(Path(__file__).parent)
    environment.filters |= {"plain": plain_name, "short": short}
    verdicts = {finding.dtype: finding.verdict for finding in certificate.findings if finding.verdict is not None}
    columns = [finding.facts(certificate.steps) for finding in certificate.findings]
    page = environment.get_template("certificate.html").render(
        c=certificate,
        facts={label: [column[label] for column in columns] for label in columns[0]},
        plots=[plot(verdicts, group, label) for group, label in GROUPS.items()] if verdicts else [],
        style=STYLE,
        policy=POLICY,
        end=f"{ENVELOPE_END:g}",
        envelopes=f"{ALLOWED_ENVELOPES:g}",
        tanh=f"{TANH_ULPS:g}",
        round_off={dtype: f"{bound:g}" for dtype, bound in ROUND_OFF.items()},
    )
    return page.encode(errors="replace").decode()  # as the pages of a run: UTF-8 holds no half of a pair


def short(error: float) -> str:
    """Return a difference with two digits; the very same number has none.

    >>> short(2.34e-12), short(0.0)
    ('2.3e-12', 'none')
    """
    return f"{error:.1e}" if error else "none"


def plot(verdicts: Mapping[str, Verdict], group: str, label: str) -> Plot:
    """Return the error of one group of quantities by step, with its envelope, on a log axis, and a few steps of it."""
    with matplotlib.rc_context(figure_style.STYLE):
        figure = Figure(figsize=(4.6, 2.9))
        axes = figure.subplots()
        for dtype, verdict in verdicts.items():
            steps, colour = np.arange(1, len(verdict.error) + 1), COLOURS[dtype]
            envelope, error = drawable(largest(verdict.reached, group)), drawable(largest(verdict.by_quantity, group))
            axes.plot(steps, envelope, color=colour, linewidth=0.9, linestyle=(0, (3, 2)))
            axes.plot(steps, error, color=colour, linewidth=1.1, marker=".", markersize=1.8)
            if verdict.horizon < len(steps):
                axes.axvline(verdict.horizon, color=colour, linewidth=0.8, linestyle=":")
        axes.set(yscale="log", xlabel="Optimizer step", ylabel="Difference / max-norm", ylim=(SMALLEST / 3, 10.0))
        axes.set_yticks([1e-16, 1e-12, 1e-8, 1e-4, 1.0])
        axes.minorticks_off()
    figure.subplots_adjust(left=0.17, right=0.98, top=0.97, bottom=0.17)
    prefix = f"parity-{label.lower().replace(' ', '-')}"
    alt = f"{label}: difference between the engines by step, with the envelope"
    return Plot(to_svg(figure, prefix, alt), label, listed(verdicts, group))


def listed(verdicts: Mapping[str, Verdict], group: str) -> Table:
    """Return what the figure of a group draws, at a few steps from the first to the last."""
    columns = {}
    for dtype, verdict in verdicts.items():
        columns[dtype] = largest(verdict.by_quantity, group)
        columns[f"{dtype}, envelope"] = largest(verdict.reached, group)
    steps = min(map(len, columns.values()))
    places = np.unique(np.linspace(0, steps - 1, min(steps, LISTED)).astype(int))
    rows = [[f"{i + 1:,}", *(short(values[i]) for values in columns.values())] for i in places.tolist()]
    return Table(["Step", *columns], rows)


def largest(by_quantity: Mapping[str, np.ndarray], group: str) -> np.ndarray:
    """Return the largest of the group's quantities after each step."""
    return np.max([values for name, values in by_quantity.items() if name.startswith(group)], axis=0)


def drawable(errors: np.ndarray) -> np.ndarray:
    """Return the errors made fit for a log axis: a gap where they are 0."""
    return np.where(errors == 0, np.nan, np.clip(errors, SMALLEST, 10.0))
