"""How numbers read on a page. A number that is not finite never reads as one."""

import math
from collections.abc import Callable
from typing import Any

DASH = "\N{EM DASH}"
MINUS = "\N{MINUS SIGN}"
TIMES = " \N{MULTIPLICATION SIGN} "


def percent(value: float) -> str:
    """Return a share in percent with one decimal.

    >>> percent(0.9875)
    '98.8%'
    """
    return f"{100 * value:.1f}%" if math.isfinite(value) else DASH


def alike(value: float) -> float:
    """Return a score without its last bits: means of equal counts, added up in another order, may differ there.

    >>> sum([0.1] * 10) == 1.0, alike(sum([0.1] * 10)) == 1.0
    (False, True)
    """
    return round(value, 9) + 0.0  # no minus before a 0


def between(ends: tuple[float, float] | None, form: Callable[[float], str]) -> str:
    """Return the ends of an interval in a form for scores, a percent sign once; nothing for none.

    >>> between((0.61, 1.0), percent), between((0.0416, 0.05), decimal), between(None, percent)
    ('61.0\N{EN DASH}100.0%', '0.042\N{EN DASH}0.050', '')
    """
    if ends is None:
        return ""
    return f"{form(ends[0]).removesuffix('%')}\N{EN DASH}{form(ends[1])}"


def decimal(value: float) -> str:
    """Return a score with three decimals, or with three digits where those would say nothing.

    >>> decimal(0.0416), decimal(0.0), decimal(0.00004), decimal(123456.0)
    ('0.042', '0.000', '4e-05', '1.23e+05')
    """
    if not math.isfinite(value):
        return DASH
    if value == 0 or 0.0005 <= abs(value) < 1000:
        return f"{value:.3f}"
    return f"{value:.1e}".replace(".0e", "e") if abs(value) < 1 else f"{value:.3g}"


def count(value: int) -> str:
    """Return a whole number with thousands set apart.

    >>> count(23457)
    '23,457'
    """
    return f"{value:,}"


def counted(value: int, noun: str) -> str:
    """Return a count with its noun.

    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{count(value)} {noun}" + ("" if value == 1 else "s")


def seconds(value: float) -> str:
    """Return a duration as people say it.

    >>> seconds(3.21), seconds(75.4), seconds(7265.0)
    ('3.2 s', '1 min 15 s', '2 h 1 min')
    """
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
