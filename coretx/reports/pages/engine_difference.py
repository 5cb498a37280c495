"""The dashboard's third table of the switch between engines: JAX less PyTorch, where both have a configuration."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from coretx.reports.pages.formatting import alike
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.configurations import Configuration, ordered

ENGINES = {"jax": "JAX", "torch": "PyTorch", "difference": "Difference"}
"""The names on the switch, in its order."""


@dataclass(frozen=True)
class Difference:
    """A score of JAX less that of PyTorch, with its 95 % interval, empty for single members.

    `sign` says `more` or `less` where the interval leaves out 0, else `even`.
    """

    text: str
    interval: str
    number: float
    sign: str = "even"


def both_engines(found: Sequence[Configuration]) -> dict[str, tuple[Configuration, Configuration]]:
    """Return the configurations that both engines have, the JAX one first, by that which they have in common."""
    by_engine = {(one.setting, one.backend): one for one in found}
    return {
        one.setting: (one, by_engine[one.setting, "torch"])
        for one in found
        if one.backend == "jax" and (one.setting, "torch") in by_engine
    }


def difference_lines(
    jax: Configuration, torch: Configuration, tasks: Sequence[str], models: Sequence[str]
) -> list[tuple[str, list[dict[str, Difference] | None]]]:
    """Return each model's differences on test by task: accuracy in points and loss in nats, None where one is missing.

    The interval is Welch's, "The generalization of Student's problem when several different population variances are
    involved", 1947, over the members of either engine.
    """

    def test(configuration: Configuration, task: str, model: str) -> BenchmarkRow | None:
        return configuration.cells.get((task, model), {}).get("test")

    return [(model, [_cell(test(jax, task, model), test(torch, task, model)) for task in tasks]) for model in models]


def names_of_both(jax: Configuration, torch: Configuration, task_order: Sequence[str], model_order: Sequence[str]):
    """Return the tasks and the models that either engine has, in order."""
    places = {*jax.cells, *torch.cells}
    return ordered({task for task, _ in places}, task_order), ordered({model for _, model in places}, model_order)


def _cell(jax: BenchmarkRow | None, torch: BenchmarkRow | None) -> dict[str, Difference] | None:
    if jax is None or torch is None or None in (jax.accuracy, torch.accuracy, jax.loss, torch.loss):
        return None
    return {
        "accuracy": _difference(jax, torch, "accuracy", 100.0, "+.1f"),
        "loss": _difference(jax, torch, "loss", 1.0, "+.3f"),
    }


def _difference(jax: BenchmarkRow, torch: BenchmarkRow, name: str, scale: float, form: str) -> Difference:
    number = alike(getattr(jax, name) - getattr(torch, name))
    half = welch_half_width(getattr(jax, f"{name}_std"), jax.members, getattr(torch, f"{name}_std"), torch.members)
    ends = "" if half is None else " to ".join(f"{scale * (number + sign * half):{form}}" for sign in (-1, 1))
    apart = half is not None and abs(number) > half
    return Difference(f"{scale * number:{form}}", ends, number, ("more" if number > 0 else "less") if apart else "even")


def welch_half_width(first: float | None, n: int, second: float | None, m: int) -> float | None:
    """Return half the width of the 95 % interval for a difference of means; None where a deviation is not known.

    >>> round(welch_half_width(0.1, 5, 0.1, 5), 4), welch_half_width(0.0, 5, 0.0, 5), welch_half_width(None, 1, 0.1, 5)
    (0.1458, 0.0, None)
    """
    if first is None or second is None:
        return None
    parts = (first**2 / n, second**2 / m)
    if sum(parts) == 0:
        return 0.0
    df = sum(parts) ** 2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (m - 1))
    return float(stdtrit(df, 0.975)) * math.sqrt(sum(parts))
