"""A multi-layer perceptron over the flattened input."""

from flax import nnx
from jaxtyping import Array, Float

from coretx.models import architectures
from coretx.models.spec import InputShape
from jaxtx.layers import Linear, Record, no_record, tanh


class MLP(nnx.Module):
    """logit = W2 tanh(W1 vec(x) + b1) + b2. Every feature at every step has weights of its own."""

    def __init__(self, spec: architectures.MLP, shape: InputShape, *, rngs: nnx.Rngs) -> None:
        self.hidden = Linear(shape.time * shape.feature, spec.width)
        self.head = nnx.Linear(spec.width, 1, rngs=rngs)

    def __call__(self, x: Float[Array, "batch time feature"], record: Record = no_record) -> Float[Array, " batch"]:
        """Return one logit per row."""
        hidden = tanh(self.hidden(x.reshape(x.shape[0], -1)))
        record("hidden", hidden)
        return self.head(hidden)[:, 0]
