"""Numbers and tables as Markdown."""

from collections.abc import Sequence

from benchmarks.speed.comparison import Spread

NONE = "-"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ranged(values: Spread, digits: int = 1) -> str:
    """Return the median and the range, if there is one: of a single sample there is none.

    >>> ranged(Spread(2.0, 1.94, 2.5)), ranged(Spread(2.0, 2.0, 2.0))
    ('2.0 (1.9 to 2.5)', '2.0')
    """
    if values.low == values.high:
        return f"{values.median:,.{digits}f}"
    return f"{values.median:,.{digits}f} ({values.low:,.{digits}f} to {values.high:,.{digits}f})"


def ratio(values: Spread | None) -> str:
    """Return a ratio with its range, with two digits where it is small, or NONE."""
    return NONE if values is None else ranged(values, 2 if values.median < 2 else 1)


def percent(share: float) -> str:
    """Return a share in percent, with a digit where it is small.

    >>> percent(0.254), percent(0.0123)
    ('25 %', '1.2 %')
    """
    return f"{100 * share:.{0 if share >= 0.1 else 1}f} %"


def seconds(value: float | None) -> str:
    """Return seconds, or NONE."""
    return NONE if value is None else f"{value:,.{1 if value < 100 else 0}f} s"


def megabytes(size: float) -> str:
    """Return bytes as MB of 2^20."""
    return f"{size / 2**20:,.0f} MB"
