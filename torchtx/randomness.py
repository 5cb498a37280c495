"""Whether a model's forward pass answers the same rows alike each time."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coretx.backend import drawing_model
from coretx.errors import UsageError
from coretx.generators import no_draws


def refuse_draws(model: nn.Module, x: Float[Tensor, "n time feature"]) -> None:
    """Raise UsageError if the forward pass, in training or evaluation mode, draws random numbers or varies.

    The state of torch's generator is compared as well, since dropout may leave a few rows unchanged by chance.
    """
    complaint = drawing_model(type(model).__name__)
    for training in (True, False):
        model.train(training)
        before = generator_states(x.device)
        with torch.no_grad(), no_draws(complaint):
            first, second = (model(x).numpy(force=True).tobytes() for _ in range(2))
        if first != second or generator_states(x.device) != before:
            raise UsageError(complaint)


def generator_states(device: torch.device) -> list[bytes]:
    """Return the states of torch's generators that a model on this device draws from."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return [state.numpy().tobytes() for state in states]
