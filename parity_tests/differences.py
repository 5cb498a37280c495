"""How far apart two results are, relative to their size, and what to call the first that differs."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Difference:
    """The first quantity that differs: at which step (from 0), by how much of its largest value, and the bound."""

    quantity: str
    step: int
    error: float
    bound: float

    def sentence(self) -> str:
        """Return the finding in plain words, with what such a difference usually means."""
        by = f"by {self.error:.1e} of its largest value (bound {self.bound:.0e})"
        by = by if np.isfinite(self.error) else "since it is not finite, or not there, on one side"
        name = plain_name(self.quantity)
        verb = "differ" if name.endswith(PLURALS) else "differs"
        return f"{name} {verb} first, at step {self.step}, {by}: {meaning(self.quantity)}"


PLURALS = ("weights", "logits", "verdicts", "steps")
"""What a quantity that is many is called."""


MEANINGS = (
    ("contract/", "the two classes do not hold the same parameters; nothing else can be compared"),
    ("initial/", "the two engines do not start from the same numbers: look at the names and layouts of parameters"),
    (
        "forward/",
        "both forward passes agree up to here, the fault lies in what computes this from it",
    ),
    ("count", "the two engines do not weigh the rows of a batch alike"),
    ("loss", "same weights, other loss: look at the head, the loss, the labels and which rows are in the batch"),
    ("correct", "the losses agree, the right answers do not: look at the threshold"),
    (
        "grad_norm",
        "the losses agree, the gradients do not: look at what the loss is divided by",
    ),
    ("gradient/", "the losses agree, this gradient does not: look at the layer it belongs to"),
    ("first_moment/", "the losses agree, this gradient or the optimizer's b1 does not"),
    ("second_moment/", "the gradients agree, the optimizer's b2 does not"),
    ("parameters/", "gradient and moments agree, the step does not: look at rate, decay, eps and bias correction"),
    ("weight_norm", "the parameters agree, the norm logged of head.weight does not"),
)


def meaning(quantity: str) -> str:
    """Return what a difference that begins with this quantity usually means."""
    return next((text for start, text in MEANINGS if quantity.startswith(start)), "look at what computes it")


def plain_name(quantity: str) -> str:
    """Return the quantity as a person would call it.

    >>> plain_name("forward/blocks.0.attention.weights")
    'block 1 / attention weights'
    >>> plain_name("first_moment/head.bias")
    'first moment of head bias'
    >>> plain_name("parameters/head.weight")
    'parameter head weight'
    >>> plain_name("initial/head.weight")
    'initial value of head weight'
    >>> plain_name("grad_norm")
    'gradient norm'
    """
    section, _, name = quantity.rpartition("/")
    words = re.sub(r"blocks\.(\d+)\.", lambda match: f"block {int(match[1]) + 1} / ", name).replace(".", " ")
    if section in ("", "forward"):
        return words.replace("_", " ").replace("grad norm", "gradient norm")
    return f"{SECTION_WORDS.get(section, section.replace('_', ' ') + ' of')} {words}"


SECTION_WORDS = {"parameters": "parameter", "contract": "parameter", "initial": "initial value of"}


def gap(left: np.ndarray, right: np.ndarray) -> float:
    """Return the largest absolute difference; inf where a shape differs or anything on either side is not finite."""
    left, right = np.asarray(left), np.asarray(right)
    if left.shape != right.shape or not (np.isfinite(left).all() and np.isfinite(right).all()):
        return np.inf
    return float(np.abs(left - right).max(initial=0.0))


def size(values: np.ndarray) -> float:
    """Return the max-norm; 0 for an empty array."""
    return float(np.abs(values).max(initial=0.0))


def relative_gap(left: np.ndarray, right: np.ndarray, scale: float | None = None) -> float:
    """Return the gap as a share of the larger max-norm, or of scale; 0 where both are all zero."""
    distance = gap(left, right)
    scale = max(size(left), size(right)) if scale is None and np.isfinite(distance) else scale
    return distance / scale if scale and distance else distance


def first_gap(
    left: Mapping[str, np.ndarray],
    right: Mapping[str, np.ndarray],
    bound: float,
    *,
    order: Iterable[str],
    prefix: str = "",
    step: int = 0,
) -> Difference | None:
    """Return the first entry, in this order, that differs by more than the bound; one that is missing does."""
    for name in [*order, *sorted(left.keys() ^ right.keys())]:
        missing = name not in left or name not in right
        error = np.inf if missing else relative_gap(left[name], right[name])
        if not error <= bound:
            return Difference(prefix + name, step, error, bound)
    return None


def largest_gap(left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> float:
    """Return the largest relative gap of all entries."""
    return max((relative_gap(left[name], right[name]) for name in left), default=0.0)
