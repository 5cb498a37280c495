"""A verdict per step, added up over positions."""

from flax import nnx
from jaxtyping import Array, Float

from coretx.models import architectures
from coretx.models.spec import InputShape
from jaxtx.layers import Linear, Record, no_record, tanh


class Temporal(nnx.Module):
    """z_t = mean over channels of tanh(W x_t + b); logit = v z + c.

    Additive over positions: no step can change what another counts for.
    """

    def __init__(self, spec: architectures.Temporal, shape: InputShape, *, rngs: nnx.Rngs) -> None:
        self.embed = Linear(shape.feature, spec.width)
        self.head = nnx.Linear(shape.time, 1, rngs=rngs)

    def __call__(self, x: Float[Array, "batch time feature"], record: Record = no_record) -> Float[Array, " batch"]:
        """Return one logit per row."""
        hidden = tanh(self.embed(x))
        record("hidden", hidden)
        verdicts = hidden.mean(axis=2)  # [batch, time]
        record("verdicts", verdicts)
        return self.head(verdicts)[:, 0]
