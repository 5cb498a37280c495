"""Tasks on strings of symbols: one-hot coding, and the question whether every symbol occurs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from coretx.tasks.base import LARGEST_SPACE, Task


@dataclass(frozen=True)
class Vocabulary:
    """An ordered set of one-character symbols; the token of a symbol is its index."""

    symbols: str

    def __len__(self) -> int:
        return len(self.symbols)

    def index(self, symbol: str) -> int:
        """Return the token of a symbol."""
        return self.symbols.index(symbol)

    def encode(self, tokens: Int[np.ndarray, "n time"]) -> Float[np.ndarray, "n time symbol"]:
        """Return the float32 one-hot coding of tokens."""
        return np.take(np.eye(len(self.symbols), dtype=np.float32), tokens, axis=0)

    def decode(self, x: Float[np.ndarray, "n time symbol"]) -> Int[np.ndarray, "n time"]:
        """Return the token at each step: the index of the largest weight.

        Weights that are not negative, sum to 1 and have no variance are one-hot, and their mean is the token. This
        product takes a third of the time of an argmax at each step.
        """
        places = np.arange(len(self), dtype=np.float32)
        total, mean, square = np.stack([places**0, places, places**2]) @ x.reshape(-1, len(self)).T
        if len(x) and x.min() >= 0 and (total == 1).all() and (square == mean * mean).all():
            return mean.astype(int).reshape(x.shape[:2])
        return x.argmax(axis=2)

    def spell(self, row: Float[np.ndarray, "time symbol"]) -> str:
        """Return one input as text.

        >>> letters = Vocabulary("ABCD")
        >>> letters.spell(letters.encode(np.array([[3, 0, 1]]))[0])
        'DAB'
        """
        return "".join(self.symbols[token] for token in row.argmax(axis=1))


LETTERS = Vocabulary("ABCD")


class TokenTask(Task):
    """A task whose inputs are one-hot strings over a vocabulary."""

    vocabulary: Vocabulary

    def step_names(self, row: Float[np.ndarray, "time feature"]) -> list[str]:
        """Return the symbol of each step."""
        return list(self.vocabulary.spell(row))

    def feature_names(self) -> list[str]:
        """Return the symbols."""
        return list(self.vocabulary.symbols)


class HasAllTokens(TokenTask):
    """Do all four symbols occur among the five?

    Tokens are independent and uniform; 240 of the 1024 inputs are positive (23.4 %). "A A B C D": label 1.
    "A A B C C": label 0.
    """

    name = "has_all_tokens"
    rule = "1 when each of the four symbols A, B, C, D occurs"
    vocabulary = LETTERS
    feature_dim = len(LETTERS)

    def generate_candidates(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n time feature"]:
        """Draw n strings of independent, uniform symbols, one-hot."""
        return LETTERS.encode(rng.integers(len(LETTERS), size=(n, self.sequence_length)))

    def label(self, x: Float[np.ndarray, "n time feature"]) -> Float[np.ndarray, " n"]:
        """Return 1 where every symbol occurs at some step."""
        return np.asarray(np.all(np.any(x > 0, axis=1), axis=1), np.float32)

    def at_length(self, length: int) -> Task | None:
        """Return the same question about this many symbols; None if fewer than the vocabulary has."""
        return self.resized(length) if length >= len(LETTERS) else None

    def space(self) -> tuple[Float[np.ndarray, "n time feature"], Float[np.ndarray, " n"]] | None:
        """Return all strings, each as likely as any other; None if more than a million."""
        if len(LETTERS) ** self.sequence_length > LARGEST_SPACE:
            return None
        tokens = np.indices((len(LETTERS),) * self.sequence_length).reshape(self.sequence_length, -1).T
        return LETTERS.encode(tokens), np.full(len(tokens), 1 / len(tokens))

    def render(self, row: Float[np.ndarray, "time feature"]) -> str:
        """Return the symbols by name, as in "A A B C D"."""
        return " ".join(LETTERS.spell(row))
