"""When two equations are one problem: however they are written, and whether they are true or one operand is wrong.

A true equation, its corrupted twins and all their commuted forms must be one problem. In a false equation with more
than one operand on the right, several operands could be the wrong one, and each choice leads to another problem.
If all of these counted as the same, every equation would be one problem. So every equation has one owner, the operand
that it is solved for. Only rows that end with their owner are put on a side of the space (`Task.splittable`).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Shaped


@dataclass(frozen=True)
class Form:
    """Equations of `left` operands below `modulus` on one side of the "=" and `right` on the other."""

    left: int
    right: int
    modulus: int

    @property
    def base(self) -> int:
        """The base of `number`: an operand that is solved for, even if negative, lies within base / 2 of 0."""
        return 2 * self.modulus * self.left * self.right

    def arranged(
        self, operands: Int[np.ndarray, "n operand"]
    ) -> tuple[Int[np.ndarray, "n operand"], Bool[np.ndarray, " n"]]:
        """Return the operands in an order that commutation does not change, and where the sides were exchanged."""
        left, right = np.sort(operands[:, : self.left], axis=1), np.sort(operands[:, self.left :], axis=1)
        swapped = np.zeros(len(operands), bool)
        if self.left == self.right:
            weights = self.base ** np.arange(self.left)
            swapped = left @ weights > right @ weights
            left, right = np.where(swapped[:, None], right, left), np.where(swapped[:, None], left, right)
        return np.concatenate([left, right], axis=1), swapped

    def number(self, arranged: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return a number of its own for each of these rows of operands, any of which may be below 0."""
        return (arranged + self.base // 2) @ self.base ** np.arange(arranged.shape[1])

    def key(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return a number for each equation, the same for those that commutation turns into each other."""
        return self.number(self.arranged(operands)[0])

    def owner(self, arranged: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, " n"]:
        """Return the owner's place among arranged operands: any, or a right one where commutation keeps the sides."""
        first = 0 if self.left == self.right else self.left
        return first + (mixed(self.number(arranged)) % (self.left + self.right - first)).astype(int)

    def owned(self, operands: Int[np.ndarray, "n operand"]) -> Bool[np.ndarray, " n"]:
        """Return whether the last operand is the owner, as one in four of `aa+bb=cc+dd` is, of true and false alike.

        Of equal operands on a side only the first in order can be, so that none is the owner more often than others.
        """
        arranged, swapped = self.arranged(operands)
        place = (operands[:, self.left :] < operands[:, -1:]).sum(axis=1) + np.where(swapped, 0, self.left)
        return self.owner(arranged) == place

    def repaired(self, operands: Int[np.ndarray, "n operand"]) -> Int[np.ndarray, "n operand"]:
        """Return the operands, arranged, with the owner replaced by the number that makes the equation true."""
        true, _ = self.arranged(operands)
        owner = self.owner(true)
        short = true[:, self.left :].sum(axis=1) - true[:, : self.left].sum(axis=1)
        true[np.arange(len(true)), owner] += np.where(owner < self.left, short, -short)
        return true


def mixed(numbers: Int[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Return a hash of each number, as uint64: the first draw of SplitMix64 with this number as its seed.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.

    >>> mixed(np.array([0, 1])).tolist()
    [16294208416658607535, 10451216379200822465]
    """
    mix = numbers.astype(np.uint64) + 0x9E3779B97F4A7C15
    mix = (mix ^ (mix >> 30)) * 0xBF58476D1CE4E5B9
    mix = (mix ^ (mix >> 27)) * 0x94D049BB133111EB
    return mix ^ (mix >> 31)
