"""Logistic regression."""

from flax import nnx
from jaxtyping import Array, Float

from coretx.models import architectures
from coretx.models.spec import InputShape
from jaxtx.layers import Record, no_record


class LogisticRegression(nnx.Module):
    """logit = W vec(x) + b. Linear: cannot represent any product of two features."""

    def __init__(self, spec: architectures.LogisticRegression, shape: InputShape, *, rngs: nnx.Rngs) -> None:
        self.head = nnx.Linear(shape.time * shape.feature, 1, rngs=rngs)

    def __call__(self, x: Float[Array, "batch time feature"], record: Record = no_record) -> Float[Array, " batch"]:
        """Return one logit per row."""
        return self.head(x.reshape(x.shape[0], -1))[:, 0]
