"""The rungs of the comparison, cheap to dear: contract, initial weights, forward pass, optimizer steps."""

from collections.abc import Mapping

import numpy as np

from coretx.training.backend import Backend
from parity_tests.bounds import FORWARD, ROUND_OFF
from parity_tests.cases import ENGINES, Case, parameters
from parity_tests.differences import Difference, first_gap
from parity_tests.mutants import Mutant
from parity_tests.trajectory import Runner, first_above, follow, runner

REFERENCE = "torch"


def first_difference(
    engines: Mapping[str, Backend], case: Case, steps: int, mutant: Mutant | None = None
) -> Difference | None:
    """Return what differs first between the engines, or None; a mutant changes what its own engine is given."""
    faults = {name: mutant if mutant is not None and mutant.engine == name else None for name in ENGINES}
    left, right = (runner_of(engines[name], case, faults[name]) for name in ENGINES)
    return differs_before_training(left, right) or differs_in_training(left, right, steps)


def runner_of(backend: Backend, case: Case, mutant: Mutant | None) -> Runner:
    """Return a population with the data and steps it is given."""
    if mutant is None:
        return runner(case.open(backend), case)
    given, data, steps = mutant.given(case, case.data, case.steps())
    return Runner(given.open(backend), given, data, steps)


def differs_before_training(left: Runner, right: Runner) -> Difference | None:
    """Return the first difference in names and shapes, initial weights, or intermediates."""
    if list(left.access.manifest.items()) != list(right.access.manifest.items()):
        odd = dict(sorted(left.access.manifest.items() ^ right.access.manifest.items()))
        return Difference(f"contract/{next(iter(odd))}", 0, float("inf"), 0.0)
    x, bound = right.case.data.x, FORWARD[right.case.dtype]
    found = first_gap(
        parameters(left.access), parameters(right.access), 0.0, order=right.access.manifest, prefix="initial/"
    )
    if found:
        return found
    notes = right.access.intermediates(x)
    return first_gap(left.access.intermediates(x), notes, bound, order=notes, prefix="forward/")


def differs_in_training(left: Runner, right: Runner, steps: int) -> Difference | None:
    """Return the first difference in what steps measure and leave, by the round-off bound alone."""
    trajectory = follow(left, {"other": right}, steps)
    errors = trajectory.errors("other")
    bound = ROUND_OFF[right.case.dtype]
    return first_above(errors, dict.fromkeys(errors, np.full(steps, bound)), steps)
