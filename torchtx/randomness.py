"""Whether a model's forward pass answers the same rows alike each time."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coretx.errors import UsageError
from coretx.seeds import no_draws
from coretx.training.backend import drawing_model


def refuse_draws(model: nn.Module, twin: nn.Module, x: Float[Tensor, "n time feature"]) -> None:
    """Raise UsageError if the forward pass, in training or evaluation mode, draws random numbers or varies.

    `twin` is the same model built once more: with the same parameters it must answer alike, so nothing else in a model
    is drawn while it is built. The state of torch's generator is compared as well, since dropout may leave a few rows
    unchanged by chance.
    """
    complaint = drawing_model(type(model).__name__)
    twin.load_state_dict(model.state_dict())
    for training in (True, False):
        before = generator_states(x.device)
        with torch.no_grad(), no_draws(complaint):
            passes = [built.train(training)(x) for built in (model, model, twin)]
        answers = {logits.numpy(force=True).tobytes() for logits in passes}
        if len(answers) > 1 or generator_states(x.device) != before:
            raise UsageError(complaint)


def generator_states(device: torch.device) -> list[bytes]:
    """Return the states of torch's generators that a model on this device draws from."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return [state.numpy().tobytes() for state in states]
