"""The parameters of a model as a table: shape, norm, range and a tiny histogram of each tensor."""

import math
from typing import Any

import numpy as np

from coretx.reports.pages.formatting import MINUS, count, decimal, product

BINS = 24


def tensor_row(name: str, weight: np.ndarray) -> dict[str, Any]:
    """Return the line of one tensor [member, ...], of its first member.

    `bins` counts its entries in bins of equal width from the lowest to the highest; none for a single value, and for
    values that are not all finite.
    """
    values = np.asarray(weight[0], np.float64)
    row = {"name": name, "shape": product(*values.shape) or "scalar", "count": count(values.size)}
    if not np.isfinite(values).all():
        return row | {"norm": "not finite", "range": "", "bins": [], "alt": ""}
    low, high = float(values.min()), float(values.max())
    ends = [decimal(end).replace("-", MINUS) for end in dict.fromkeys((low, high))]
    # Of values that differ in the last bits alone no bins can be made.
    spread = high - low > 1e-12 * max(abs(low), abs(high))
    bins = np.histogram(values, bins=min(BINS, values.size), range=(low, high))[0].tolist() if spread else []
    most = int(np.argmax(bins)) if bins else 0
    width = (high - low) / max(len(bins), 1)
    peak = f"{decimal(low + most * width)} and {decimal(low + (most + 1) * width)}"
    return row | {
        "norm": f"{math.sqrt(float(np.square(values).sum())):.4g}",
        "range": " to ".join(ends),
        "bins": bins,
        "alt": f"{count(values.size)} values from {decimal(low)} to {decimal(high)}, most between {peak}",
    }
