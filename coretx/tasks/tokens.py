"""Tasks on strings of symbols that stand for nothing but themselves."""

import numpy as np
from jaxtyping import Float

from coretx.tasks.base import LARGEST_SPACE, Task
from coretx.tasks.vocabulary import LETTERS


class HasAllTokens(Task):
    """Do all four symbols occur among the five?

    Tokens are independent and uniform; 240 of the 1024 inputs are positive (23.4 %). "A A B C D": label 1.
    "A A B C C": label 0.
    """

    name = "has_all_tokens"
    rule = "1 when each of the four symbols A, B, C, D occurs"
    feature_dim = len(LETTERS)

    def generate_candidates(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
        """Draw n strings of independent, uniform symbols, one-hot."""
        return LETTERS.encode(rng.integers(len(LETTERS), size=(n, self.sequence_length)))

    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return 1 where every symbol occurs at some step."""
        return np.asarray(np.all(np.any(x > 0, axis=1), axis=1), np.float32)

    def at_length(self, length: int) -> Task | None:
        """Return the same question about this many symbols; None where they are fewer than there are to occur."""
        return self.resized(length) if length >= len(LETTERS) else None

    def space(self) -> tuple[Float[np.ndarray, "n time feature"], Float[np.ndarray, " n"]] | None:
        """Return all strings, each as likely as any other; None where that is more than a million."""
        if len(LETTERS) ** self.sequence_length > LARGEST_SPACE:
            return None
        tokens = np.indices((len(LETTERS),) * self.sequence_length).reshape(self.sequence_length, -1).T
        return LETTERS.encode(tokens), np.full(len(tokens), 1 / len(tokens))

    def render(self, row: Float[np.ndarray, "time feature"]) -> str:
        """Return the symbols by name, as in "A A B C D"."""
        return " ".join(LETTERS.spell(row))

    def step_names(self, row: Float[np.ndarray, "time feature"]) -> list[str]:
        """Return the symbol of each step."""
        return list(LETTERS.spell(row))

    def feature_names(self) -> list[str]:
        """Return the symbols."""
        return list(LETTERS.symbols)
