"""A grid of hyperparameters: every learning rate with every weight decay, trained together as groups of members."""

import math
import re
from dataclasses import dataclass, replace
from itertools import product

from coretx.errors import UsageError
from coretx.models.spec import Optimizer

FACTOR = re.compile(r"(?P<number>\d+(\.\d+)?(e[+-]?\d+)?)(?P<times>x?)")


@dataclass(frozen=True)
class GridPoint:
    """A learning rate and a weight decay, each as a multiple of the recipe's (`0.5x`) or as a value (`0.01`)."""

    learning_rate: str = "1x"
    weight_decay: str = "1x"

    @property
    def name(self) -> str:
        """The suffix of the point in names of files and logs; empty for the recipe itself.

        >>> GridPoint("0.5x", "1x").name, GridPoint("0.5x", "0").name, GridPoint().name
        ('lr0.5x', 'lr0.5x-wd0', '')
        """
        parts = (("lr", self.learning_rate), ("wd", self.weight_decay))
        return "-".join(short + value for short, value in parts if value != "1x")

    def apply(self, optimizer: Optimizer) -> Optimizer:
        """Return the optimizer at this point. A value sets the initial rate; the final rate keeps the recipe's ratio.

        If the recipe's rate starts at 0, a value sets the final rate. UsageError for a number that is not finite.

        >>> GridPoint("0.1", "2x").apply(Optimizer(0.4, 0.2, weight_decay=0.01)).learning_rate_end
        0.05
        """
        start, end = optimizer.learning_rate_start, optimizer.learning_rate_end
        if start == 0:
            end = scaled(end, self.learning_rate)
        else:
            ratio, start = end / start, scaled(start, self.learning_rate)
            end = start * ratio
        decay = scaled(optimizer.weight_decay, self.weight_decay)
        for flag, number, value in (
            ("--learning-rates", max(start, end), self.learning_rate),
            ("--weight-decays", decay, self.weight_decay),
        ):
            if not math.isfinite(number):
                raise UsageError(f"{flag} {value} is more than a number can hold: take a smaller one")
        return replace(optimizer, learning_rate_start=start, learning_rate_end=end, weight_decay=decay)


def scaled(value: float, factor: str) -> float:
    """Return value times 0.5 for `0.5x`, and 0.5 for `0.5`."""
    number = float(factor.removesuffix("x"))
    return value * number if factor.endswith("x") else number


def canonical(flag: str, text: str) -> str:
    """Return the value as the shortest text of its number, so that `1.0x` and `1x` are one point.

    >>> [canonical("--learning-rates", text) for text in ("1.0x", "1e-2", "1e+20")]
    ['1x', '0.01', '1e20']
    """
    found = FACTOR.fullmatch(text)
    number = float(found["number"]) if found else math.nan
    if found is None or not math.isfinite(number) or (flag == "--learning-rates" and number == 0):
        raise UsageError(f"{flag} takes multiples as in 0.5x, or values as in 0.01; got {text!r}")
    return repr(number).removesuffix(".0").replace("e+", "e") + found["times"]


def grid_points(learning_rates: tuple[str, ...], weight_decays: tuple[str, ...]) -> tuple[GridPoint, ...]:
    """Return every combination in order. UsageError for a value that is no number, or given twice."""
    axes = []
    for flag, values in (("--learning-rates", learning_rates), ("--weight-decays", weight_decays)):
        axes.append([canonical(flag, value) for value in values])
        if not values or len(set(axes[-1])) < len(values):
            raise UsageError(f"{flag} needs at least one value, each given once; got: {' '.join(values)}")
    return tuple(GridPoint(*point) for point in product(*axes))
