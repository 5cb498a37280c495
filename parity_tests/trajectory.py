"""Several populations side by side, one optimizer step at a time, compared after every step."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from coretx.backend import SECTIONS, ModelAccess
from coretx.data import Dataset
from parity_tests.bounds import ALLOWED_ENVELOPES, ENVELOPE_END, NO_GRADIENT, ROUND_OFF
from parity_tests.cases import Case, Steps, nudged, parameters, train_steps, with_parameters
from parity_tests.differences import Difference, gap, size

MEASURED = ("count", "loss", "correct", "grad_norm")
"""What a step measures, before its tensors; an earlier one is named first."""


@dataclass(frozen=True)
class Runner:
    """One population with the data and the steps that it is given: the case's own, unless a mutant changes them."""

    access: ModelAccess
    case: Case
    data: Dataset
    steps: Steps

    def step(self, i: int) -> dict[str, np.ndarray]:
        """Take step i and return everything that is compared, in the order in which it comes to be."""
        sums = {
            name.removeprefix("train/"): value[:, 0]
            for name, value in train_steps(self.access, self.case, self.steps.part(slice(i, i + 1)), self.data).items()
        }
        state = self.access.state()
        sections = ("first_moment", "second_moment", "parameters")
        tensors = {f"{s}/{name}": state[f"{s}/{name}"] for s in sections for name in self.access.manifest}
        measured = {
            "count": sums["count"],
            "loss": sums["loss_sum"] / sums["count"],
            "correct": sums["correct"],
            "grad_norm": sums["grad_norm_sum"],
        }
        return measured | tensors | {"weight_norm": sums["weight_norm_sum"], "steps": state["step"]}


def runner(access: ModelAccess, case: Case) -> Runner:
    """Return the population with the case's own data and steps."""
    return Runner(access, case, case.data, case.steps())


def perturbed(access: ModelAccess, case: Case, seed: int) -> Runner:
    """Return the population with every initial weight moved by one unit in the last place."""
    with_parameters(access, nudged(parameters(access), seed))
    return runner(access, case)


@dataclass(frozen=True)
class Trajectory:
    """How far each other population was from the reference after every step.

    `gaps` are the largest absolute differences, inf where either side is not finite; `scale` is the max-norm of each
    quantity over the reference's run.
    """

    quantities: tuple[str, ...]
    gaps: Mapping[str, Float[np.ndarray, "step quantity"]]
    scale: Float[np.ndarray, " quantity"]

    @property
    def without_gradient(self) -> set[str]:
        """Parameters whose gradient was nothing but rounding all through: the bias of a softmax attention's keys.

        Softmax does not see what is added to all logits of a query, so that the true gradient is zero; Adam divides
        what rounding leaves by its own size and walks off at random.
        """
        moments = {q.partition("/")[2]: s for q, s in zip(self.quantities, self.scale, strict=True) if "first_" in q}
        largest = max(moments.values())
        return {name for name, moment in moments.items() if moment < NO_GRADIENT * largest}

    def errors(self, other: str) -> dict[str, Float[np.ndarray, " step"]]:
        """Return each quantity's gap as a share of its max-norm over the run.

        Of parameters without a gradient, the moments are taken as shares of the model's largest, and their values
        are left out.
        """
        dead = self.without_gradient
        largest = {
            s: max(v for q, v in zip(self.quantities, self.scale, strict=True) if q.startswith(s)) for s in SECTIONS
        }
        errors = {}
        for place, quantity in enumerate(self.quantities):
            section, _, name = quantity.partition("/")
            if name in dead and section == "parameters":
                continue
            scale = largest[section] if name in dead else self.scale[place]
            errors[quantity] = self.gaps[other][:, place] / (scale or 1.0)
        return errors


def follow(reference: Runner, others: Mapping[str, Runner], steps: int) -> Trajectory:
    """Take this many steps with all of them and return the gaps after each."""
    gaps: dict[str, list[list[float]]] = {name: [] for name in others}
    scale: dict[str, float] = {}
    for i in range(steps):
        left = reference.step(i)
        scale = {name: max(scale.get(name, 0.0), size(value)) for name, value in left.items()}
        for other, right in others.items():
            found = right.step(i)
            gaps[other].append([gap(value, found[name]) for name, value in left.items()])
    return Trajectory(tuple(scale), {name: np.array(rows) for name, rows in gaps.items()}, np.array([*scale.values()]))


@dataclass(frozen=True)
class Verdict:
    """What a trajectory says about two engines.

    `horizon` is the number of steps that are asserted: up to where the envelope passes ENVELOPE_END. `error` and
    `envelope` are the largest of all quantities after each step.
    """

    error: Float[np.ndarray, " step"]
    envelope: Float[np.ndarray, " step"]
    by_quantity: Mapping[str, Float[np.ndarray, " step"]]
    horizon: int
    difference: Difference | None

    @property
    def largest_error(self) -> float:
        """The largest error of any quantity at any step that is asserted."""
        return float(self.error[: self.horizon].max(initial=0.0))


def judge(trajectory: Trajectory, other: str, envelopes: tuple[str, ...], dtype: str) -> Verdict:
    """Return whether `other` stayed as near to the reference as its own copies, moved by one ulp, did.

    Each quantity may differ by ROUND_OFF, or by ALLOWED_ENVELOPES times what the same quantity of the reference has
    differed by so far from copies of itself.
    """
    errors, *copies = (trajectory.errors(name) for name in (other, *envelopes))
    errors.pop("correct")  # a count jumps where a logit is all but 0: test_evaluation compares those that are not
    steps = len(trajectory.gaps[other])
    reached = {q: np.maximum.accumulate(np.max([copy[q] for copy in copies], axis=0)) for q in errors}
    envelope = np.max([*reached.values()], axis=0)
    horizon = int(np.argmax(envelope > ENVELOPE_END)) if (envelope > ENVELOPE_END).any() else steps
    allowed = {q: np.maximum(ROUND_OFF[dtype], ALLOWED_ENVELOPES * reached[q]) for q in errors}
    difference = first_above(errors, allowed, horizon)
    return Verdict(np.max([*errors.values()], axis=0), envelope, errors, horizon, difference)


def first_above(errors: Mapping[str, np.ndarray], allowed: Mapping[str, np.ndarray], horizon: int) -> Difference | None:
    """Return the first step's first quantity whose error is above what is allowed. What is not finite always is."""
    for i in range(horizon):
        for quantity, error in errors.items():
            if not error[i] <= allowed[quantity][i]:
                return Difference(quantity, i, float(error[i]), float(allowed[quantity][i]))
    return None
