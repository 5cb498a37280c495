"""A model drawn from its spec: the stages between input and logit, with the shape that leaves each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from coretx.models.spec import InputShape
from coretx.reports.pages.formatting import TIMES, counted, product


@dataclass(frozen=True)
class Stage:
    """One box: what happens, how, the shape that leaves it, and its number of parameters in words."""

    title: str
    how: str = ""
    shape: str = ""
    parameters: str = ""
    inner: tuple["Stage", ...] = ()
    """The stages of a block that is repeated; `how` then says how often."""


def diagram(values: Mapping[str, Any], shape: InputShape, weights: Mapping[str, np.ndarray]) -> list[Stage]:
    """Return the stages of a model with this architecture and weights [member, ...]; two for an unknown one.

    `values` is the architecture in its record. Those of the ladder are what `coretx.models.architectures` says in
    formulas.
    """
    time, feature = shape
    width, parts = values.get("width", 0), _Parts(weights)
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
            _block(values, time + 1, parts),
            Stage("CLS step", "read from the last block", f"{width}"),
            head,
        ],
    }
    name = str(values.get("class", ""))
    return [given, *known.get(name, [Stage(name or "Model", "", "", parts(""))]), logit]


def _block(values: Mapping[str, Any], steps: int, parts: "_Parts") -> Stage:
    width, depth = values.get("width", 0), values.get("depth", 1)
    shape = product(steps, width)
    attention, norms = ("attention_norm", "attention"), ("feedforward_norm", "expand", "contract")
    inner = (
        Stage("LayerNorm, attention", f"{values.get('heads', 1)} heads", shape, parts.inside(attention)),
        Stage("Add", "residual: what came in", shape),
        Stage(
            "LayerNorm, linear, GELU, linear",
            f"{values.get('feedforward', 0)} wide inside",
            shape,
            parts.inside(norms),
        ),
        Stage("Add", "residual", shape),
    )
    return Stage("Block", f"{depth} times; in the last one the CLS step alone asks", shape, parts("blocks"), inner)


class _Parts:
    """How many parameters of one member belong to a part of the model, by the beginning of their names."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self.sizes = {name: int(np.prod(values.shape[1:])) for name, values in weights.items()}

    def __call__(self, part: str) -> str:
        return self._said(size for name, size in self.sizes.items() if not part or name.split(".")[0] == part)

    def inside(self, parts: tuple[str, ...]) -> str:
        """Return those of the first block."""
        names = [f"blocks.0.{part}." for part in parts]
        return self._said(size for name, size in self.sizes.items() if any(name.startswith(n) for n in names))

    def _said(self, sizes: Iterable[int]) -> str:
        total = sum(sizes)
        return counted(total, "parameter") if total else ""
