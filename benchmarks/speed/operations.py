"""How many floating-point operations a model needs: those of its matrix products, counted from its architecture.

A product of [m, k] and [k, n] is 2 m k n operations. Counted is what the logit and its gradient depend on and nothing
else: the last block of a transformer asks with its CLS step alone, an input that holds no parameter needs no gradient,
rows that fill up a batch do not count. Element-wise work (tanh, softmax, LayerNorm, AdamW) does not count either, so
that a share of the machine's peak is an understatement, the same one for every contestant.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from coretx.errors import UsageError
from coretx.models import architectures
from coretx.models.spec import InputShape


@dataclass(frozen=True)
class Product:
    """The product of [rows, inner] and [inner, outer] for one example, and how many of its two gradients are needed.

    `learned_rows` are the rows of the left factor that depend on a parameter: its gradient is needed for them alone.
    The right factor, weights or activations, always depends on one.
    """

    rows: int
    inner: int
    outer: int
    learned_rows: int

    @property
    def forward(self) -> int:
        return 2 * self.rows * self.inner * self.outer

    @property
    def backward(self) -> int:
        return self.forward + 2 * self.learned_rows * self.inner * self.outer


@dataclass(frozen=True)
class Operations:
    """Operations of one example."""

    forward: int
    backward: int
    scores: int
    """Of the forward pass up to the first attention layer's scores of every step: measured once an epoch on train."""

    @property
    def step(self) -> int:
        """What one example costs in a training step."""
        return self.forward + self.backward

    def epoch(self, n_train: int, n_test: int) -> int:
        """What an epoch of one member costs with its evaluation: steps, losses on test, attention scores on train."""
        return n_train * (self.step + self.scores) + n_test * self.forward


def count(architecture: Any, shape: InputShape) -> Operations:
    """Return the operations of one example; UsageError for an architecture that is not of the ladder."""
    products = list(forward_products(architecture, shape))
    forward = sum(product.forward for product in products)
    backward = sum(product.backward for product in products)
    return Operations(forward, backward, scores(architecture, shape))


def forward_products(architecture: Any, shape: InputShape) -> Iterator[Product]:
    """Yield the products of the forward pass of one example, in their order."""
    time, feature = shape
    match architecture:
        case architectures.LogisticRegression():
            yield Product(1, time * feature, 1, 0)
        case architectures.MLP(width):
            yield Product(1, time * feature, width, 0)
            yield Product(1, width, 1, 1)
        case architectures.Temporal(width):
            yield Product(time, feature, width, 0)
            yield Product(1, time, 1, 1)
        case architectures.SelfAttention(width):
            yield Product(time, feature, width, 0)
            yield from attention(time, time, width)
            yield Product(time, width, width, time)
            yield Product(1, width, 1, 1)
        case architectures.SingleLayerTransformer(width):
            yield Product(time + 1, feature, width, 1)  # CLS, a parameter, is prepended before the embedding
            yield from projections(1, time + 1, width)
            yield from attention(1, time + 1, width)
            yield Product(1, width, width, 1)
            yield Product(1, width, 1, 1)
        case architectures.BahdanauAttention(width):
            yield Product(time, feature, width, 0)
            yield Product(time, width, width, time)
            yield Product(1, time, width, 1)
            yield Product(1, width, 1, 1)
        case architectures.MultiLayerTransformer(width, depth, _, feedforward):
            yield Product(time, feature, width, 0)
            for i in range(depth):
                yield from block(1 if i == depth - 1 else time + 1, time + 1, width, feedforward)
            yield Product(1, width, 1, 1)
        case _:
            raise UsageError(f"operations are counted for the ladder's models, not for {type(architecture).__name__}")


def projections(asking: int, answering: int, width: int) -> Iterator[Product]:
    """Yield queries, keys and values."""
    yield Product(asking, width, width, asking)
    for _ in ("key", "value"):
        yield Product(answering, width, width, answering)


def attention(asking: int, answering: int, width: int) -> Iterator[Product]:
    """Yield scores and mix: as many operations for any number of heads."""
    yield Product(asking, width, answering, asking)
    yield Product(asking, answering, width, asking)


def block(asking: int, answering: int, width: int, feedforward: int) -> Iterator[Product]:
    """Yield a block of multilayer_transformer, of which only the first `asking` steps are read."""
    yield from projections(asking, answering, width)
    yield from attention(asking, answering, width)
    yield Product(asking, width, feedforward, asking)
    yield Product(asking, feedforward, width, asking)


def scores(architecture: Any, shape: InputShape) -> int:
    """Return the operations up to the first attention layer's scores, all steps asking; 0 for a model without."""
    time, feature = shape
    match architecture:
        case architectures.SelfAttention(width):
            return 2 * time * feature * width + 2 * time * time * width
        case architectures.BahdanauAttention(width):
            return 2 * time * feature * width
        case architectures.SingleLayerTransformer(width):
            steps = time + 1
            return 2 * steps * feature * width + 2 * 2 * steps * width * width + 2 * steps * steps * width
        case architectures.MultiLayerTransformer(width):
            steps = time + 1
            return 2 * time * feature * width + 2 * 2 * steps * width * width + 2 * steps * steps * width
        case _:
            return 0
