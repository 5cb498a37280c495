"""Logistic regression."""

from jaxtyping import Float
from torch import Tensor, nn

from coretx.models import architectures
from coretx.models.spec import InputShape
from torchtx.layers import Record, no_record


class LogisticRegression(nn.Module):
    """logit = W vec(x) + b. Linear: cannot represent any product of two features."""

    def __init__(self, spec: architectures.LogisticRegression, shape: InputShape) -> None:
        super().__init__()
        self.head = nn.Linear(shape.time * shape.feature, 1)

    def forward(self, x: Float[Tensor, "batch time feature"], record: Record = no_record) -> Float[Tensor, " batch"]:
        """Return one logit per row."""
        return self.head(x.reshape(x.shape[0], -1))[:, 0]
