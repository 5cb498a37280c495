"""A diagram of a model from its spec: the stages between input and logit, with the shape of each output."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
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
    parts = partial(_size_of, sizes=sizes)
    given = Stage("Input", f"steps{TIMES}features", product(time, feature))
    logit = Stage("Logit", "class 1 when above 0", "1")
    flat, embedded = f"{time * feature}", product(time, width)
    head = Stage("Linear", "W h + b", "1", parts("head"))
    flatten = Stage("Flatten", "every step its own weights", flat)
    tanh = Stage("Each step: linear, tanh", "the same weights at every step", embedded, parts("embed"))
    prepend = "a learned step before the others, sinusoids of position"
    known = {
        "LogisticRegression": [flatten, Stage("Linear", "W x + b", "1", parts("head"))],
        "MLP": [flatten, Stage("Linear, tanh", "hidden layer", f"{width}", parts("hidden")), head],
        "Temporal": [
            tanh,
            Stage("Mean over channels", "a verdict for each step", f"{time}"),
            Stage("Linear over steps", "a weight for each position", "1", parts("head")),
        ],
        "SelfAttention": [
            tanh,
            Stage("Attention", "softmax(h hᵀ / √width) h, no weights of its own", embedded),
            Stage("Each step: linear, tanh", "", embedded, parts("mix")),
            Stage("Mean over steps", "order is lost", f"{width}"),
            head,
        ],
        "BahdanauAttention": [
            tanh,
            Stage("Score", "mean over channels, softmax over steps", f"{time}"),
            Stage("Each step: linear, tanh", "", embedded, parts("mix")),
            Stage("Sum over steps", "weighted by the scores", f"{width}"),
            head,
        ],
        "SingleLayerTransformer": [
            Stage("CLS and positions", prepend, product(time + 1, feature), parts("cls")),
            Stage("Each step: linear", "", product(time + 1, width), parts("embed")),
            Stage("Attention", "one head: queries, keys, values", product(time + 1, width), parts("attention")),
            Stage("CLS step: linear, tanh", "", f"{width}", parts("mix")),
            head,
        ],
        "MultiLayerTransformer": [
            Stage("Each step: linear", "", embedded, parts("embed")),
            Stage("CLS and positions", prepend, product(time + 1, width), parts("cls")),
            _block(values, time + 1, sizes),
            Stage("CLS step", "read from the last block", f"{width}"),
            head,
        ],
    }
    name = str(values.get("class", ""))
    return [given, *known.get(name, [Stage(name or "Model", parameters=sum(sizes.values()))]), logit]


def _block(values: Mapping[str, Any], steps: int, sizes: Mapping[str, int]) -> Stage:
    shape = product(steps, values.get("width", 0))

    def first(*parts: str) -> int:
        beginnings = tuple(f"blocks.0.{part}." for part in parts)
        return sum(size for name, size in sizes.items() if name.startswith(beginnings))

    inner = (
        Stage("LayerNorm, attention", f"{values.get('heads', 1)} heads", shape, first("attention_norm", "attention")),
        Stage("Add", "residual: what came in", shape),
        Stage(
            "LayerNorm, linear, GELU, linear",
            f"{values.get('feedforward', 0)} wide inside",
            shape,
            first("feedforward_norm", "expand", "contract"),
        ),
        Stage("Add", "residual", shape),
    )
    how = f"{values.get('depth', 1)} times; in the last one the CLS step alone asks"
    return Stage("Block", how, shape, _size_of("blocks", sizes), inner)


def _size_of(part: str, sizes: Mapping[str, int]) -> int:
    """Return how many parameters belong to a part of the model, by the beginning of their names."""
    return sum(size for name, size in sizes.items() if name.split(".")[0] == part)
