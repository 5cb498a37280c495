"""How numbers read on a page. A number that is missing or not finite reads as a dash."""

import math
from collections.abc import Callable, Iterable
from typing import Any

DASH = "\N{EM DASH}"
MINUS = "\N{MINUS SIGN}"
TIMES = " \N{MULTIPLICATION SIGN} "


def percent(value: float | None) -> str:
    """Return a share in percent with one decimal.

    >>> percent(0.9875)
    '98.8%'
    """
    return DASH if value is None or not math.isfinite(value) else f"{100 * value:.1f}%"


def alike(value: float) -> float:
    """Return a score rounded to nine digits: means of equal counts, added up in another order, may differ below.

    >>> sum([0.1] * 10) == 1.0, alike(sum([0.1] * 10)) == 1.0
    (False, True)
    """
    return round(value, 9) + 0.0  # no minus before a 0


def between(ends: tuple[float | None, float | None] | None, form: Callable[[float], str]) -> str:
    """Return the ends of an interval in a form for scores, a percent sign once; nothing without an interval.

    >>> between((0.61, 1.0), percent), between((0.0416, 0.05), decimal), between((None, None), percent)
    ('61.0\N{EN DASH}100.0%', '0.042\N{EN DASH}0.050', '')
    """
    low, high = ends or (None, None)
    return "" if low is None or high is None else f"{form(low).removesuffix('%')}\N{EN DASH}{form(high)}"


def span(values: Iterable[Any], form: Callable[[Any], str] = str, dash: str = "\N{EN DASH}") -> str:
    """Return the lowest and the highest value, one of them where they are equal.

    >>> span([3, 1, 2]), span(["2026", "2026"], dash=" to ")
    ('1\N{EN DASH}3', '2026')
    """
    found = sorted(values)
    return dash.join(form(value) for value in dict.fromkeys((found[0], found[-1])))


def decimal(value: float | None) -> str:
    """Return a score with three decimals, or three digits where those decimals would be zeros or too many.

    >>> decimal(0.0416), decimal(0.0), decimal(0.00004), decimal(123456.0)
    ('0.042', '0.000', '4e-05', '1.23e+05')
    """
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0 or 0.0005 <= abs(value) < 1000:
        return f"{value:.3f}"
    return f"{value:.1e}".replace(".0e", "e") if abs(value) < 1 else f"{value:.3g}"


def count(value: int | None) -> str:
    """Return a whole number with a comma between thousands.

    >>> count(23457)
    '23,457'
    """
    return DASH if value is None else f"{value:,}"


def counted(value: int, noun: str) -> str:
    """Return a count with its noun.

    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{count(value)} {noun}" + ("" if value == 1 else "s")


def seconds(value: float | None) -> str:
    """Return a duration as people say it.

    >>> seconds(3.21), seconds(75.4), seconds(7265.0)
    ('3.2 s', '1 min 15 s', '2 h 1 min')
    """
    if value is None:
        return DASH
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def plain(value: Any) -> str:
    """Return a hyperparameter's value: a number in its shortest form, a list with commas.

    >>> plain(0.1), plain([4, 2]), plain(None), plain(True)
    ('0.1', '4, 2', 'none', 'yes')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value)
    return str(value)


def signed(value: float) -> str:
    """Return a number with its sign and two decimals; what rounds to 0 has no minus.

    >>> signed(1.234), signed(-0.5), signed(-0.001)
    ('+1.23', '\N{MINUS SIGN}0.50', '+0.00')
    """
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", MINUS)


def points(share: float) -> str:
    """Return a difference of two shares in percentage points, with its sign; what rounds to 0 has no minus.

    >>> points(0.1234), points(-0.005), points(-0.0001)
    ('+12.3', '\N{MINUS SIGN}0.5', '+0.0')
    """
    return f"{round(100 * share, 1) + 0.0:+.1f}".replace("-", MINUS)


def product(*sizes: int) -> str:
    """Return a shape.

    >>> product(5, 32)
    '5 \N{MULTIPLICATION SIGN} 32'
    """
    return TIMES.join(map(str, sizes))
