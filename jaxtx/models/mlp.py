"""A multi-layer perceptron over the flattened input."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from coretx.models import architectures
from coretx.models.spec import InputShape
from jaxtx.layers import Linear, Note, silent


class MLP(nnx.Module):
    """logit = W2 tanh(W1 vec(x) + b1) + b2. Every feature at every step has weights of its own."""

    def __init__(self, spec: architectures.MLP, shape: InputShape, *, rngs: nnx.Rngs) -> None:
        self.hidden = Linear(shape.time * shape.feature, spec.width)
        self.head = nnx.Linear(spec.width, 1, rngs=rngs)

    def __call__(self, x: Float[Array, "batch time feature"], note: Note = silent) -> Float[Array, " batch"]:
        """Return one logit per row."""
        flat = x.reshape(x.shape[0], 1, -1)  # of [batch, width] XLA makes a loop that takes twice as long on a CPU
        hidden = jnp.tanh(self.hidden(flat))[:, 0]
        note("hidden", hidden)
        return self.head(hidden)[:, 0]
