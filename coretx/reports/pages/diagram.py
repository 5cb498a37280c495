"""A diagram of a model from its spec: the stages between input and logit, with the shape of each output."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from coretx.models.spec import InputShape
from coretx.reports.pages.formatting import TIMES, product


@dataclass(frozen=True)
class Stage:
    """One box of the diagram: what happens, how, the shape of the output, and its number of parameters."""

    title: str
    how: str = ""
    shape: str = ""
    parameters: int = 0
    inner: tuple["Stage", ...] = ()
    """The stages of a repeated block; `how` says how often."""


def diagram(values: Mapping[str, Any], shape: InputShape, weights: Mapping[str, np.ndarray]) -> list[Stage]:
    """Return the stages of a model with this architecture and weights [member, ...]; one box for an unknown class.

    `values` is the architecture in its record. The formulas of the ladder are in `coretx.models.architectures`.
    """
    time, feature = shape
    width = values.get("width", 0)
    sizes = {name: int(np.prod(value.shape[1:])) for name, value in weights.items()}

    def size_of(*parts: str) -> int:
        """Return how many parameters belong to parts of the model, by the beginning of their names."""
        return sum(size for name, size in sizes.items() if f"{name}.".startswith(tuple(f"{part}." for part in parts)))

    given = Stage("Input", f"steps{TIMES}features", product(time, feature))
    logit = Stage("Logit", "class 1 when above 0", "1")
    flat, embedded = f"{time * feature}", product(time, width)
    with_cls = product(time + 1, width)
    head = Stage("Linear", "W h + b", "1", size_of("head"))
    flatten = Stage("Flatten", "every step its own weights", flat)
    tanh = Stage("Each step: linear, tanh", "the same weights at every step", embedded, size_of("embed"))
    prepend = "a learned step before the others, sinusoids of position"
    depth = f"{values.get('depth', 1)} times; in the last one the CLS step alone asks"
    heads, wide = f"{values.get('heads', 1)} heads", f"{values.get('feedforward', 0)} wide inside"
    attention = size_of("blocks.0.attention_norm", "blocks.0.attention")
    feedforward = size_of("blocks.0.feedforward_norm", "blocks.0.expand", "blocks.0.contract")
    block = (
        Stage("LayerNorm, attention", heads, with_cls, attention),
        Stage("Add", "residual: what came in", with_cls),
        Stage("LayerNorm, linear, GELU, linear", wide, with_cls, feedforward),
        Stage("Add", "residual", with_cls),
    )
    known = {
        "LogisticRegression": [flatten, Stage("Linear", "W x + b", "1", size_of("head"))],
        "MLP": [flatten, Stage("Linear, tanh", "hidden layer", f"{width}", size_of("hidden")), head],
        "Temporal": [
            tanh,
            Stage("Mean over channels", "a verdict for each step", f"{time}"),
            Stage("Linear over steps", "a weight for each position", "1", size_of("head")),
        ],
        "SelfAttention": [
            tanh,
            Stage("Attention", "softmax(h hᵀ / √width) h, no weights of its own", embedded),
            Stage("Each step: linear, tanh", "", embedded, size_of("mix")),
            Stage("Mean over steps", "order is lost", f"{width}"),
            head,
        ],
        "BahdanauAttention": [
            tanh,
            Stage("Score", "mean over channels, softmax over steps", f"{time}"),
            Stage("Each step: linear, tanh", "", embedded, size_of("mix")),
            Stage("Sum over steps", "weighted by the scores", f"{width}"),
            head,
        ],
        "SingleLayerTransformer": [
            Stage("CLS and positions", prepend, product(time + 1, feature), size_of("cls")),
            Stage("Each step: linear", "", with_cls, size_of("embed")),
            Stage("Attention", "one head: queries, keys, values", with_cls, size_of("attention")),
            Stage("CLS step: linear, tanh", "", f"{width}", size_of("mix")),
            head,
        ],
        "MultiLayerTransformer": [
            Stage("Each step: linear", "", embedded, size_of("embed")),
            Stage("CLS and positions", prepend, with_cls, size_of("cls")),
            Stage("Block", depth, with_cls, size_of("blocks"), block),
            Stage("CLS step", "read from the last block", f"{width}"),
            head,
        ],
    }
    name = str(values.get("class", ""))
    return [given, *known.get(name, [Stage(name or "Model", parameters=sum(sizes.values()))]), logit]
