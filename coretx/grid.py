"""A grid of hyperparameters: every learning rate with every weight decay, trained together as groups of members."""

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
        """What tells the point from others in names of files and logs; empty for the recipe itself.

        >>> GridPoint("0.5x", "1x").name, GridPoint("0.5x", "0").name, GridPoint().name
        ('lr0.5x', 'lr0.5x-wd0', '')
        """
        parts = (("lr", self.learning_rate), ("wd", self.weight_decay))
        return "-".join(short + value for short, value in parts if value != "1x")

    @property
    def arguments(self) -> str:
        """The flags that ask for this point alone."""
        parts = (("--learning-rates", self.learning_rate), ("--weight-decays", self.weight_decay))
        return "".join(f" {flag} {value}" for flag, value in parts if value != "1x")

    def apply(self, optimizer: Optimizer) -> Optimizer:
        """Return the optimizer at this point. A value is the rate's start; its end keeps the recipe's ratio to it.

        >>> GridPoint("0.1", "2x").apply(Optimizer(0.4, 0.2, weight_decay=0.01)).learning_rate_end
        0.05
        """
        start = scaled(optimizer.learning_rate_start, self.learning_rate)
        return replace(
            optimizer,
            learning_rate_start=start,
            learning_rate_end=start * (optimizer.learning_rate_end / optimizer.learning_rate_start),
            weight_decay=scaled(optimizer.weight_decay, self.weight_decay),
        )


def scaled(value: float, factor: str) -> float:
    """Return value times 0.5 for `0.5x`, and 0.5 for `0.5`."""
    number = float(factor.removesuffix("x"))
    return value * number if factor.endswith("x") else number


def grid_points(learning_rates: tuple[str, ...], weight_decays: tuple[str, ...]) -> tuple[GridPoint, ...]:
    """Return every combination in order. UsageError for a value that is none, or given twice."""
    for flag, values in (("--learning-rates", learning_rates), ("--weight-decays", weight_decays)):
        for value in values:
            if FACTOR.fullmatch(value) is None or (flag == "--learning-rates" and not scaled(1.0, value) > 0):
                raise UsageError(f"{flag} takes multiples as in 0.5x, or values as in 0.01; got {value!r}")
        if not values or len({(scaled(1.0, value), value.endswith("x")) for value in values}) < len(values):
            raise UsageError(f"{flag} needs at least one value, each given once; got: {' '.join(values)}")
    return tuple(GridPoint(*point) for point in product(learning_rates, weight_decays))
