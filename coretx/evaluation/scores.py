"""Scores of a split, all from the same logits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from coretx import targets
from coretx.tasks.sampling import Dataset
from coretx.training.backend import ModelAccess


@dataclass(frozen=True)
class Curve:
    """A ROC curve (x false positive rate, y true positive rate) or a PR curve (x recall, y precision), by rising x."""

    x: Float[np.ndarray, " point"]
    y: Float[np.ndarray, " point"]


@dataclass(frozen=True)
class SplitScores:
    """Exact scores of one epoch's weights on one split, per member, all from the same logits.

    `loss` is the mean binary cross-entropy in nats; `accuracy` counts logit > 0 as class 1; `auc` is the area under
    the ROC curve and `average_precision` the one under PR, both nan for a split with one class. `confusion` is summed
    over members, rows the label and columns the prediction: [[true neg, false pos], [false neg, true pos]].
    """

    n: int
    positives: int
    loss: Float[np.ndarray, " member"]
    accuracy: Float[np.ndarray, " member"]
    auc: Float[np.ndarray, " member"]
    average_precision: Float[np.ndarray, " member"]
    confusion: Int[np.ndarray, "2 2"]
    roc: tuple[Curve, ...]
    """One curve per member; empty for a split with one class."""
    pr: tuple[Curve, ...]

    @property
    def chance(self) -> float:
        """The accuracy of always answering the more frequent class."""
        return max(self.positives, self.n - self.positives) / self.n


@dataclass(frozen=True)
class Predictions:
    """One split with the logits of each member."""

    x: Float[np.ndarray, "n time feature"]
    y: Float[np.ndarray, " n"]
    logits: Float[np.ndarray, "member n"]
    last_logits: Float[np.ndarray, "member n"] | None = None
    """The logits of the last epoch's weights, if other weights were selected."""

    def of_members(self, members: slice) -> "Predictions":
        """Return the same rows with the logits of these members."""
        last = None if self.last_logits is None else self.last_logits[members]
        return Predictions(self.x, self.y, self.logits[members], last)


def cross_entropy(logits: Float[np.ndarray, "member n"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " member"]:
    """Return the mean binary cross-entropy of each member in nats, in [0, inf): mean of log(1 + e^z) - y z.

    >>> cross_entropy(np.array([[0.0, 0.0]]), np.array([0.0, 1.0])).round(4)
    array([0.6931])
    """
    return row_losses(logits, y).mean(axis=1)


def row_losses(logits: Float[np.ndarray, "member n"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, "member n"]:
    """Return the binary cross-entropy of each row in nats."""
    return np.logaddexp(0, logits) - y * logits


def confusion_matrix(logits: Float[np.ndarray, "member n"], y: Float[np.ndarray, " n"]) -> Int[np.ndarray, "2 2"]:
    """Return counts summed over members: rows the label, columns the prediction (class 1 when logit > 0).

    >>> confusion_matrix(np.array([[1.0, -1.0, 2.0]]), np.array([1.0, 1.0, 0.0]))
    array([[0, 1],
           [1, 1]])
    """
    label = np.broadcast_to(y > 0.5, logits.shape)
    predicted = label == targets.right(logits, y)
    return np.bincount((2 * label + predicted).ravel(), minlength=4).reshape(2, 2)


def probabilities(logits: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Return the probability of class 1 of each logit, without overflow at either end.

    >>> probabilities(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return 0.5 * (1 + np.tanh(logits.astype(np.float64) / 2))


@dataclass(frozen=True)
class Calibration:
    """Rows by predicted probability of class 1, in bins of equal width over [0, 1]: counts and sums."""

    count: Int[np.ndarray, " bin"]
    probability: Float[np.ndarray, " bin"]
    positives: Float[np.ndarray, " bin"]
    """The number of rows of class 1."""
    brier: float
    """The mean squared distance of the probability from the label (Brier, 1950)."""

    @property
    def error(self) -> float:
        """The expected calibration error (Guo et al., "On calibration of modern neural networks", 2017, eq. 3)."""
        return float(np.abs(self.positives - self.probability).sum() / self.count.sum())


def calibration(logits: Float[np.ndarray, "member n"], y: Float[np.ndarray, " n"], bins: int = 10) -> Calibration:
    """Return the calibration of all members' predictions together.

    >>> found = calibration(np.array([[-9.0, 9.0, 9.0]]), np.array([0.0, 1.0, 0.0]), bins=2)
    >>> found.count.tolist(), found.positives.tolist(), round(found.error, 3)
    ([1, 2], [0.0, 1.0], 0.333)
    """
    given = probabilities(logits).ravel()
    labels = np.broadcast_to(y, logits.shape).ravel().astype(np.float64)
    place = np.minimum((given * bins).astype(int), bins - 1)
    count, probability, positives = (np.bincount(place, values, bins) for values in (None, given, labels))
    return Calibration(count, probability, positives, float(np.square(given - labels).mean()))


def split_scores(logits: Float[np.ndarray, "member n"], y: Float[np.ndarray, " n"]) -> SplitScores:
    """Return every score of one split, all from these logits, in float64.

    The areas under curves are nan, and the curves absent, for a split with one class.
    """
    from sklearn.metrics import auc, precision_recall_curve, roc_curve

    logits, positives = logits.astype(np.float64), int((y > 0.5).sum())
    ranked = 0 < positives < len(y)
    roc, pr = [], []
    for scores in logits if ranked else ():
        false_positive, true_positive, _ = roc_curve(y, scores)
        precision, recall, _ = precision_recall_curve(y, scores, drop_intermediate=True)
        roc.append(Curve(false_positive, true_positive))
        pr.append(Curve(recall[::-1], precision[::-1]))
    undefined = np.full(len(logits), np.nan)
    return SplitScores(
        n=len(y),
        positives=positives,
        loss=cross_entropy(logits, y),
        accuracy=targets.right(logits, y).mean(axis=1),
        auc=np.array([auc(curve.x, curve.y) for curve in roc]) if ranked else undefined,
        average_precision=np.array([average_precision(curve) for curve in pr]) if ranked else undefined,
        confusion=confusion_matrix(logits, y),
        roc=tuple(roc),
        pr=tuple(pr),
    )


def score(predictions: Mapping[str, Predictions]) -> dict[str, SplitScores]:
    """Return the exact scores of every split: loss and accuracy from the same weights and rows."""
    return {name: split_scores(split.logits, split.y) for name, split in predictions.items()}


def average_precision(curve: Curve) -> float:
    """Return the mean precision over the positives, each at the threshold that first finds it, from a curve of recalls
    that rise: the sum of (R_k - R_(k-1)) P_k, as scikit-learn's `average_precision_score`.

    >>> average_precision(Curve(x=np.array([0.0, 0.5, 1.0, 1.0]), y=np.array([1.0, 1.0, 0.75, 0.5])))
    0.875
    """
    return float(np.sum(np.diff(curve.x) * curve.y[1:]))


def wilson_interval(share: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % interval for a share observed on n independent units, within [0, 1].

    Wilson, "Probable inference, the law of succession, and statistical inference", 1927. For units with values between
    0 and 1 it is conservative: no mean of such values varies more than a mean of zeros and ones.

    >>> [round(end, 3) for end in wilson_interval(1.0, 6)]
    [0.61, 1.0]
    """
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def mean_roc(curves: Sequence[Curve], points: int = 201) -> Curve:
    """Return the mean true positive rate of the members at evenly spaced false positive rates.

    Fawcett, "An introduction to ROC analysis", 2006, section 9.1 (vertical averaging).
    """
    grid = np.linspace(0, 1, points)
    rates = np.mean([np.interp(grid, curve.x, curve.y) for curve in curves], axis=0)
    return Curve(np.concatenate([[0.0], grid]), np.concatenate([[0.0], rates]))


def mean_pr(curves: Sequence[Curve], points: int = 181) -> Curve:
    """Return the mean precision of the members at evenly spaced recalls.

    Between two thresholds it is the precision at the lower one, as average precision counts it. Straight lines would
    be too optimistic (Davis and Goadrich, "The relationship between precision-recall and ROC curves", 2006).
    """
    grid = np.linspace(0, 1, points)
    return Curve(grid, np.mean([_precision_at(grid, curve) for curve in curves], axis=0))


def _precision_at(grid: Float[np.ndarray, " recall"], curve: Curve) -> Float[np.ndarray, " recall"]:
    recall, starts = np.unique(curve.x, return_index=True)
    best = np.maximum.reduceat(curve.y, starts)
    return best[np.minimum(np.searchsorted(recall, grid - 1e-12), len(recall) - 1)]


def predict(
    access: ModelAccess, data: Mapping[str, Dataset], scored: Mapping[str, Dataset] | None = None
) -> dict[str, Predictions]:
    """Return the predictions of the trained members on every split of `scored`, which begins with the rows of `data`.

    One pass takes all rows of `data`; further passes of as many rows take the rest. So no program of another shape is
    compiled, and no bit of a logit depends on the number of scored rows. If `scored` is None there is no rest.
    """
    scored = data if scored is None else scored
    x = np.concatenate([split.x for split in data.values()])
    rest = np.concatenate([split.x[len(data[name]) :] for name, split in scored.items()])
    passes = -(-len(rest) // len(x))
    unused = np.zeros((passes * len(x) - len(rest), *x.shape[1:]), x.dtype)
    parts = np.split(np.concatenate([x, rest, unused]), 1 + passes)
    logits = np.concatenate([access.logits(part) for part in parts], axis=1)
    found, first, more = {}, 0, len(x)
    for name, split in scored.items():
        n, further = len(data[name]), len(split) - len(data[name])
        rows = np.r_[first : first + n, more : more + further]
        first, more = first + n, more + further
        found[name] = Predictions(split.x, split.y, np.ascontiguousarray(logits[:, rows]))
    return found
