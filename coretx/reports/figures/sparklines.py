"""The shapes of figures as small as a word, for the macros `sparkline` and `tiny_histogram` of parts.html."""

import math
from collections.abc import Sequence

from coretx.reports.figures.curves import POINTS

WIDTH, HEIGHT = 100, 24
"""The box that the shapes fill, in units of the SVG; the stylesheet says how large it stands on the page."""

MARGIN = 2
"""What a line keeps free above and below, so that its width is not cut off."""


def polyline(values: Sequence[float | int]) -> str:
    """Return the points of a line through the values, the lowest at the bottom; flat ones lie in the middle.

    Values that are not finite are left out, in their place; of more than 400 values every k-th and the last are drawn.

    >>> polyline([0.0, 1.0, 0.5]), polyline([3.0]), polyline([math.nan])
    ('0,22 50,2 100,12', '0,12 100,12', '')
    """
    step = -(-len(values) // (POINTS - 1)) or 1
    places = sorted({*range(0, len(values), step), len(values) - 1}) if values else []
    finite = [(place, values[place]) for place in places if math.isfinite(values[place])]
    if not finite:
        return ""
    if len(values) == 1:
        finite = [(0, values[0]), (1, values[0])]
    low, high = min(value for _, value in finite), max(value for _, value in finite)
    last = max(len(values) - 1, 1)

    def height(value: float | int) -> float:
        return 0.5 if high == low else (value - low) / (high - low)

    return " ".join(
        f"{WIDTH * place / last:.4g},{HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * height(value):.4g}"
        for place, value in finite
    )


def bars(counts: Sequence[int]) -> str:
    """Return the path of a bar for each count, from left to right, the highest as high as the box.

    >>> bars([1, 2]), bars([0, 0])
    ('M0 24V12H50V24ZM50 24V0H100V24Z', '')
    """
    most = max(counts, default=0)
    ends = [f"{WIDTH * place / len(counts):.4g}" for place in range(len(counts) + 1)] if counts else []
    return "".join(
        f"M{ends[place]} {HEIGHT}V{HEIGHT - HEIGHT * value / most:.4g}H{ends[place + 1]}V{HEIGHT}Z"
        for place, value in enumerate(counts)
        if value
    )
