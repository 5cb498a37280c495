"""Several populations side by side, one optimizer step at a time, compared after every step."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from coretx.tasks.sampling import Dataset
from coretx.training.backend import SECTIONS, Backend, ModelAccess
from parity_tests.bounds import ALLOWED_ENVELOPES, COPIES, ENVELOPE_END, NO_GRADIENT, PARTED, ROUND_OFF
from parity_tests.cases import Case, Steps, nudged, train_steps
from parity_tests.differences import Difference, gap, size
from parity_tests.rounding import roughened

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
        """Take step i and return everything that is compared, [member, ...], in the order in which it comes to be."""
        rows = self.steps.rows[i]
        batch = Dataset(self.data.x[rows], self.data.y[rows])  # alone, since engines look at all they are given
        taken = replace(self.steps.part(slice(i, i + 1)), rows=np.arange(len(rows), dtype=np.int32)[None])
        sums = {name.removeprefix("train/"): value[:, 0] for name, value in self._take(i, taken, batch).items()}
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

    def _take(self, i: int, step: Steps, batch: Dataset) -> Mapping[str, np.ndarray]:
        return train_steps(self.access, self.case, step, batch)


def runner(access: ModelAccess, case: Case) -> Runner:
    """Return the population with the case's own data and steps."""
    return Runner(access, case, case.data, case.steps())


class Copies(Runner):
    """Copies of a training whose numbers are moved at every step, at random, by one unit in the last place.

    The state before the step, the weights of the batch's rows (and so each term of the loss and of the gradients, on
    its own) and the learning rate; tanh by as much as XLA's is wrong (see parity_tests.rounding). The rate is moved
    besides by what the rounding of b1^t and b2^t is worth in a step of an engine that takes them from 1 in float64, as
    torch does: b2^t is all but 1 at first, and two or three digits of the correction go.
    """

    def _take(self, i: int, step: Steps, batch: Dataset) -> Mapping[str, np.ndarray]:
        rng, optimizer, t = np.random.default_rng(i), self.case.spec.optimizer, i + 1
        state = self.access.state()
        tensors = {name: value for name, value in state.items() if name.partition("/")[0] in SECTIONS}
        self.access.load_state(state | nudged(tensors, rng))
        members = self.access.members
        slack1, slack2 = (np.spacing(b**t) / 2 / (1 - b**t) for b in (optimizer.b1, optimizer.b2))
        given = {
            "weights": np.tile(step.weights.astype(self.case.dtype), (members, 1, 1, 1)),
            "learning_rate": np.tile(step.learning_rate.astype(self.case.dtype), (members, 1)),
        }
        given = nudged(given, rng)
        given["learning_rate"] *= 1 + (slack1 + slack2 / 2) * rng.uniform(-1, 1, (members, 1))
        rows = np.tile(step.rows, (members, 1, 1, 1))
        return self.access.train(batch, {}, rows=rows, **given, weight_decay=np.full(members, optimizer.weight_decay))


def copies(backend: Backend, one: Runner) -> Copies:
    """Return COPIES copies of a population of one in the JAX engine, not moved yet."""
    case = one.case
    access = roughened(backend).open(case.spec, case.shape, COPIES, case.dtype, "vmap")
    access.load_state({name: np.repeat(value, COPIES, axis=0) for name, value in one.access.state().items()})
    return Copies(access, case, one.data, one.steps)


@dataclass(frozen=True)
class Trajectory:
    """How far each other population was from the reference after every step, the farthest member where it has several.

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


def follow(reference: Runner, others: Mapping[str, Runner], steps: int, copies: str | None = None) -> Trajectory:
    """Take this many steps with all of them and return the gaps after each.

    Ends where the reference's own `copies` are PARTED away: nothing that comes later says anything.
    """
    gaps: dict[str, list[list[float]]] = {name: [] for name in others}
    scale: dict[str, float] = {}
    sizes = np.empty(0)
    for i in range(steps):
        left = reference.step(i)
        scale = {name: max(scale.get(name, 0.0), size(value)) for name, value in left.items()}
        for other, right in others.items():
            found = right.step(i)
            members = len(found["steps"])
            gaps[other].append([gap(np.repeat(value, members, axis=0), found[name]) for name, value in left.items()])
        sizes = np.array([*scale.values()])
        if copies is not None:
            now = Trajectory(tuple(scale), {copies: np.array(gaps[copies][-1:])}, sizes).errors(copies)
            if max(error[0] for quantity, error in now.items() if quantity != "correct") > PARTED:
                break
    return Trajectory(tuple(scale), {name: np.array(rows) for name, rows in gaps.items()}, sizes)


@dataclass(frozen=True)
class Verdict:
    """What a trajectory says about two engines.

    `horizon` is the number of steps that are asserted: up to where the envelope passes ENVELOPE_END. `error` and
    `envelope` are the largest of all quantities after each step, `share` the largest error of any as a share of what
    it may be.
    """

    error: Float[np.ndarray, " step"]
    envelope: Float[np.ndarray, " step"]
    share: Float[np.ndarray, " step"]
    by_quantity: Mapping[str, Float[np.ndarray, " step"]]
    reached: Mapping[str, Float[np.ndarray, " step"]]
    horizon: int
    difference: Difference | None

    @property
    def largest_error(self) -> float:
        """The largest error of any quantity at any step that is asserted."""
        return float(self.error[: self.horizon].max(initial=0.0))

    @property
    def largest_envelope(self) -> float:
        """The envelope where it is widest of what is asserted."""
        return float(self.envelope[: self.horizon].max(initial=0.0))

    @property
    def largest_share(self) -> float:
        """How near any quantity came to its bound at any step that is asserted: 1 is at it."""
        return float(self.share[: self.horizon].max(initial=0.0))


def compare(jax: Backend, torch: Backend, case: Case, steps: int) -> tuple[Verdict, Trajectory]:
    """Return the verdict on torch against jax, the envelope measured by copies of jax."""
    return compare_runners(jax, runner(case.open(jax), case), runner(case.open(torch), case), steps)


def compare_runners(backend: Backend, one: Runner, other: Runner, steps: int) -> tuple[Verdict, Trajectory]:
    """Return the verdict on `other` against `one`, a population of one in the JAX engine, whose copies are measured."""
    trajectory = follow(one, {"copies": copies(backend, one), "other": other}, steps, "copies")
    return judge(trajectory, "other", "copies", one.case.dtype), trajectory


def told(verdict: Verdict) -> str:
    """Return the verdict's figures as one line."""
    return (
        f"{verdict.horizon} steps asserted, largest error {verdict.largest_error:.1e}, "
        f"envelope {verdict.largest_envelope:.1e}, {verdict.largest_share:.2f} of what is allowed"
    )


def judge(trajectory: Trajectory, other: str, copies: str, dtype: str) -> Verdict:
    """Return whether `other` stayed as near to the reference as its own copies, moved by one ulp, did.

    Each quantity may differ by ROUND_OFF, or by ALLOWED_ENVELOPES times what the same quantity of the reference has
    differed by so far from copies of itself.
    """
    errors, moved = trajectory.errors(other), trajectory.errors(copies)
    errors.pop("correct")  # a count jumps where a logit is all but 0: test_evaluation compares those that are not
    steps = len(trajectory.gaps[other])
    reached = {quantity: np.maximum.accumulate(moved[quantity]) for quantity in errors}
    envelope = np.max([*reached.values()], axis=0)
    horizon = int(np.argmax(envelope > ENVELOPE_END)) if (envelope > ENVELOPE_END).any() else steps
    allowed = {q: np.maximum(ROUND_OFF[dtype], ALLOWED_ENVELOPES * reached[q]) for q in errors}
    return Verdict(
        error=np.max([*errors.values()], axis=0),
        envelope=envelope,
        share=np.max([errors[quantity] / allowed[quantity] for quantity in errors], axis=0),
        by_quantity=errors,
        reached=reached,
        horizon=horizon,
        difference=first_above(errors, allowed, horizon),
    )


def first_above(errors: Mapping[str, np.ndarray], allowed: Mapping[str, np.ndarray], horizon: int) -> Difference | None:
    """Return the first step's first quantity whose error is above what is allowed. What is not finite always is."""
    for i in range(horizon):
        for quantity, error in errors.items():
            if not error[i] <= allowed[quantity][i]:
                return Difference(quantity, i, float(error[i]), float(allowed[quantity][i]))
    return None
