"""A verdict per step, added up over positions."""

from flax import nnx
from jaxtyping import Array, Float

from coretx.models import architectures
from coretx.models.spec import InputShape
from jaxtx import kernels
from jaxtx.layers import Linear, Note, silent


class Temporal(nnx.Module):
    """z_t = mean over channels of tanh(W x_t + b); logit = v z + c.

    Additive over positions: no step can change what another counts for.
    """

    def __init__(self, spec: architectures.Temporal, shape: InputShape, *, rngs: nnx.Rngs) -> None:
        self.embed = Linear(shape.feature, spec.width)
        self.head = nnx.Linear(shape.time, 1, rngs=rngs)

    def __call__(self, x: Float[Array, "batch time feature"], note: Note = silent) -> Float[Array, " batch"]:
        """Return one logit per row."""
        hidden = kernels.tanh(self.embed(x))
        note("hidden", hidden)
        verdicts = hidden.mean(axis=2)  # [batch, time]
        note("verdicts", verdicts)
        return self.head(verdicts)[:, 0]
