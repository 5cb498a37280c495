"""Tasks on real-valued features: every element is drawn from N(0, 1), and s_t is the sum of the features at step t."""

import numpy as np
from jaxtyping import Float

from coretx.tasks.base import Task


class NumericTask(Task):
    """A task whose inputs are independent standard normal numbers."""

    shortest: int = 1
    """The fewest steps for which both labels occur."""

    def at_length(self, length: int) -> Task | None:
        """Return the same question about this many steps; None if one label cannot occur."""
        return self.resized(length) if length >= self.shortest else None

    def generate_candidates(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
        """Draw n inputs from N(0, 1), independent in every element."""
        return rng.standard_normal((n, self.sequence_length, self.feature_dim), dtype=np.float32)


class SignOfWinner(NumericTask):
    """Is the step sum of largest absolute value positive?

    Half of all inputs are positive. With step sums (1, -3, 2, 0, 1) the winner is -3: label 0. With (1, 3, -2, 0, 1)
    it is 3: label 1.
    """

    name = "sign_of_winner"
    rule = "1 when the step whose feature sum is largest in absolute value has a positive sum"

    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return 1 where the sum of largest absolute value is > 0."""
        return (ranked_sum(x, place=1) > 0).astype(np.float32)


class SignOfSecondPlace(NumericTask):
    """Is the step sum of second largest absolute value positive?

    Half of all inputs are positive. With step sums (1, -3, 2, 0, 1) the second is 2: label 1. With (1, 3, -2, 0, 1)
    it is -2: label 0.
    """

    name = "sign_of_second_place"
    rule = "1 when the step whose feature sum is second largest in absolute value has a positive sum"
    shortest = 2

    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return 1 where the sum of second largest absolute value is > 0."""
        return (ranked_sum(x, place=2) > 0).astype(np.float32)


def ranked_sum(x: Float[np.ndarray, "n time feature"], place: int) -> Float[np.ndarray, " n"]:
    """Return the step sum that takes the given place (1 is the largest) when they are ranked by absolute value.

    >>> ranked_sum(np.array([[[1.0], [-3.0], [2.0]]]), place=2)
    array([2.])
    """
    sums = x.sum(axis=2)
    order = np.argsort(np.abs(sums), axis=1, kind="stable")
    return np.take_along_axis(sums, order[:, -place, None], axis=1)[:, 0]


class HasPosAndNeg(NumericTask):
    """Do both a positive and a negative step sum occur?

    15 of 16 inputs are positive. Step sums (1, 2, 1, 3, 1): label 0. (1, 2, -1, 3, 1): label 1.
    """

    name = "has_pos_and_neg"
    rule = "1 when some step's feature sum is positive and some step's is negative"
    shortest = 2

    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return 1 where some s_t > 0 and some s_t < 0."""
        sums = x.sum(axis=2)
        return ((sums > 0).any(axis=1) & (sums < 0).any(axis=1)).astype(np.float32)


class AnyAbsGtOne(NumericTask):
    """Does any single feature exceed 1 in absolute value?

    97.8 % of inputs are positive (1 - 0.6827^10). All ten features within (-1, 1): label 0. One of them -1.2: label 1.
    """

    name = "any_abs_gt_one"
    rule = "1 when any single feature, not the sum, has an absolute value above 1"

    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return 1 where any |x| > 1."""
        return np.asarray(np.any(np.abs(x) > 1, axis=(1, 2)), np.float32)
