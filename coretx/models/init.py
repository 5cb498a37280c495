"""Initial weights, made in NumPy and handed to both engines."""

from collections.abc import Callable, Mapping

import numpy as np

from coretx.errors import UsageError
from coretx.seeds import stream


def xavier_uniform(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return the initial values of one parameter from its canonical name and its shape (torch's layout).

    Matrices [out, in]: uniform in +-sqrt(6 / (in + out)) (Glorot and Bengio, "Understanding the difficulty of training
    deep feedforward neural networks", 2010, eq. 16). Biases and the CLS vector: 0. Scales of a norm: 1.
    """
    leaf = name.rsplit(".", maxsplit=1)[-1]
    if leaf == "weight" and len(shape) == 2:
        bound = np.sqrt(6 / sum(shape))
        return rng.uniform(-bound, bound, shape)
    if leaf == "weight" and len(shape) == 1:
        return np.ones(shape)
    if leaf in ("bias", "cls"):
        return np.zeros(shape)
    raise UsageError(
        f"no rule gives the parameter {name!r} of shape {shape} its initial values: rules are for *.weight, *.bias and "
        "cls; give the ModelSpec its own initializer(name, shape, rng)"
    )


def initial_parameters(
    manifest: Mapping[str, tuple[int, ...]],
    *,
    initializer: Callable[[str, tuple[int, ...], np.random.Generator], np.ndarray],
    seed: int,
    task: str,
    model: str,
    members: int,
    dtype: str = "float32",
) -> dict[str, np.ndarray]:
    """Return {canonical name: values [member, *shape]}; each parameter of each member has its own stream.

    Raises UsageError for an initializer that gives different values for equal streams.
    """

    def values(name: str, member: int) -> np.ndarray:
        return np.asarray(initializer(name, manifest[name], stream(seed, task, model, member, f"initial {name}")))

    for name in manifest:
        if values(name, 0).tobytes() != values(name, 0).tobytes():
            raise UsageError(
                f"model {model}: the initializer must give equal values for equal generators, but gave {name} two "
                "values: use rng in place of np.random, random, clocks or stored state"
            )
    return {name: np.stack([values(name, i) for i in range(members)]).astype(dtype) for name in manifest}
