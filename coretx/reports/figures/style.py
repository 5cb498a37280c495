"""The colours of the figures, and matplotlib's settings."""

from typing import Any

INK, RULE, QUIET = "#1f2328", "#dcdfe4", "#6b7280"
COLOUR = {"train": "#d55e00", "val": "#009e73", "test": "#0072b2"}
"""Vermillion, bluish green and blue of Okabe and Ito, "Color universal design", 2008, safe for the colour-blind."""

SERIES = ("#0072b2", "#56b4e9", "#009e73", "#d55e00", "#e69f00", "#cc79a7", "#6b7280", "#000000")
"""For series that are no splits, of the same palette."""

LINES = ("#1f2328", "#7a828e", "#c24f00", "#b3428c", "#00795a", "#0072b2", "#8a6a00", "#5b3fb5")
"""The colours of models' lines: those of `--l0` to `--l7` in style.css, on light."""

DASHED = (1, 3, 6)
"""The dashed ones, as in style.css: no two lines that are easily confused differ in colour alone."""

PAGE_COLOURS = {
    **{colour: f"var(--l{place})" for place, colour in enumerate(LINES)},
    INK: "currentColor",
    RULE: "var(--rule)",
    QUIET: "var(--quiet)",
    COLOUR["train"]: "var(--train)",
    COLOUR["val"]: "var(--val)",
    COLOUR["test"]: "var(--test)",
}
"""The page's variable for each colour, so that a figure is legible on light and on dark."""

CHANCE: dict[str, Any] = {"color": QUIET, "linewidth": 1, "linestyle": (0, (4, 3))}

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, copied and read out
    "svg.hashsalt": "coretx",  # ids are random without it, and the same result must give the same bytes
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same layout on every machine
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "figure.figsize": (4.2, 2.8),  # inches: half the width of a page
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 1.4,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.0,
    "legend.borderaxespad": 0.0,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
}
