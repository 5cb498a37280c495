"""A multi-layer perceptron over the flattened input."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coretx.models import architectures
from coretx.models.spec import InputShape
from torchtx.layers import Record, no_record


class MLP(nn.Module):
    """logit = W2 tanh(W1 vec(x) + b1) + b2. Every feature at every step has weights of its own."""

    def __init__(self, spec: architectures.MLP, shape: InputShape) -> None:
        super().__init__()
        self.hidden = nn.Linear(shape.time * shape.feature, spec.width)
        self.head = nn.Linear(spec.width, 1)

    def forward(self, x: Float[Tensor, "batch time feature"], record: Record = no_record) -> Float[Tensor, " batch"]:
        """Return one logit per row."""
        hidden = torch.tanh(self.hidden(x.reshape(x.shape[0], -1)))
        record("hidden", hidden)
        return self.head(hidden)[:, 0]
