"""Conversion between NNX's tree of parameters, one flat vector per member, and canonical names.

Training carries all parameters of a member as one vector: AdamW and the gradient norm are then one operation each,
where XLA's CPU runtime pays for every operation. The canonical name and layout of a parameter are torch's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from coretx.errors import UsageError
from coretx.models.spec import InputShape
from coretx.seeds import no_draws
from coretx.training.backend import drawing_model


@dataclass(frozen=True)
class Parameter:
    """One tensor: its path in NNX, its canonical name, its place in the vector."""

    path: tuple[Any, ...]
    name: str
    shape: tuple[int, ...]
    """NNX's shape; a kernel's is the transpose of the canonical weight's."""
    offset: int

    @property
    def is_kernel(self) -> bool:
        return self.path[-1] == "kernel"

    @property
    def canonical_shape(self) -> tuple[int, ...]:
        return self.shape[::-1] if self.is_kernel else self.shape

    @property
    def span(self) -> slice:
        """The part of the vector that holds the tensor, in NNX's layout."""
        return slice(self.offset, self.offset + math.prod(self.shape))


@dataclass(frozen=True, eq=False)
class Layout:
    """A model on one input shape and the places of its parameters, in the order of their canonical names."""

    model_class: type[nnx.Module]
    graphdef: Any
    shape: InputShape
    parameters: tuple[Parameter, ...]
    one_cpu: bool
    """Whether one CPU computes the model: blocks of rows are then made to fit its cache."""
    notes: Mapping[str, tuple[int, ...]]
    """The shape of every intermediate of one row, [1, ...], in the order of the forward pass."""

    @property
    def manifest(self) -> dict[str, tuple[int, ...]]:
        """Canonical name -> canonical shape."""
        return {parameter.name: parameter.canonical_shape for parameter in self.parameters}

    @property
    def numbers(self) -> int:
        """How many numbers one row and its intermediates have."""
        return math.prod(self.shape) + sum(math.prod(shape) for shape in self.notes.values())

    def notes_named(self, ending: str) -> tuple[str, ...]:
        """Return the names of the intermediates with this ending, in order."""
        return tuple(name for name in self.notes if name.endswith(ending))

    def __getitem__(self, name: str) -> Parameter:
        return next(parameter for parameter in self.parameters if parameter.name == name)

    def split(self, vector: Float[Array, " parameter"]) -> tuple[Array, ...]:
        """Return the tensors of one member, in NNX's layout, inside a traced function."""
        return tuple(vector[p.span].reshape(p.shape) for p in self.parameters)

    def join(self, tensors: tuple[Array, ...]) -> Float[Array, " parameter"]:
        """Return the tensors of `split` as one vector."""
        return jnp.concatenate([tensor.ravel() for tensor in tensors])

    def model(self, tensors: tuple[Array, ...]) -> nnx.Module:
        """Return the model with these tensors, inside a traced function."""
        leaves = [(p.path, nnx.Param(tensor)) for p, tensor in zip(self.parameters, tensors, strict=True)]
        return nnx.merge(self.graphdef, nnx.from_flat_state(leaves))

    def forward(
        self, tensors: tuple[Array, ...], x: Float[Array, "batch time feature"]
    ) -> tuple[Float[Array, " batch"], dict[str, Array]]:
        """Return the logits and every intermediate; XLA drops unused ones."""
        notes: dict[str, Array] = {}
        logits = self.model(tensors)(x, notes.__setitem__)
        return logits, notes

    def vector(self, tensors: Mapping[str, np.ndarray]) -> Float[np.ndarray, "member parameter"]:
        """Return canonical tensors [member, ...] as one vector per member."""
        parts = [np.swapaxes(tensors[p.name], 1, 2) if p.is_kernel else tensors[p.name] for p in self.parameters]
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)

    def tensors(self, vector: Float[np.ndarray, "member parameter"]) -> dict[str, np.ndarray]:
        """Return the vectors as canonical tensors [member, ...]."""
        parts = {p: vector[:, p.span].reshape(len(vector), *p.shape) for p in self.parameters}
        return {p.name: np.array(part.swapaxes(1, 2) if p.is_kernel else part, order="C") for p, part in parts.items()}


@cache
def layout(model_class: type[nnx.Module], architecture: Any, shape: InputShape, one_cpu: bool = False) -> Layout:
    """Return the layout of a model, without computing any array.

    UsageError for a variable that is no parameter, a parameter without a canonical name, and random draws.
    """
    name = model_class.__name__
    model = nnx.eval_shape(lambda: model_class(architecture, shape, rngs=nnx.Rngs(0)))  # type: ignore[call-arg]
    graphdef, state, rest = nnx.split(model, nnx.Param, ...)
    if any(isinstance(variable, nnx.RngState) for _, variable in nnx.to_flat_state(rest)):
        raise UsageError(drawing_model(name))
    if jax.tree.leaves(rest):
        raise UsageError(f"{name} must hold nnx.Param only; it also holds {nnx.to_flat_state(rest)[0][0]}")
    flat = sorted((canonical_name(path), path, value.shape) for path, value in nnx.to_flat_state(state))
    if "head.weight" not in {parameter for parameter, _, _ in flat}:
        raise UsageError(f"{name} must call its last linear layer `head`: its weight norm is logged")
    parameters, offset = [], 0
    for parameter, path, tensor_shape in flat:
        if path[-1] == "kernel" and len(tensor_shape) != 2:
            raise UsageError(f"{name}: a kernel must have two axes, {parameter} has shape {tensor_shape}")
        parameters.append(Parameter(path, parameter, tensor_shape, offset))
        offset += math.prod(tensor_shape)
    made = Layout(model_class, graphdef, shape, tuple(parameters), one_cpu, notes={})
    return replace(made, notes=note_shapes(made))


def note_shapes(model: Layout) -> dict[str, tuple[int, ...]]:
    """Return the shape of every intermediate of one row. UsageError if the forward pass draws random numbers."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(tensors: tuple[Array, ...], x: Array) -> None:  # jax would sort the keys of a returned dict
        shapes.update({name: value.shape for name, value in model.forward(tensors, x)[1].items()})

    tensors = tuple(jax.ShapeDtypeStruct(parameter.shape, np.float32) for parameter in model.parameters)
    with no_draws(drawing_model(model.model_class.__name__)):
        jax.eval_shape(note, tensors, jax.ShapeDtypeStruct((1, *model.shape), np.float32))
    return shapes


def canonical_name(path: tuple[Any, ...]) -> str:
    """Return torch's name of a parameter: parts joined by dots; a kernel, a scale and an embedding are all `weight`.

    >>> canonical_name(("blocks", 0, "attention", "query", "kernel"))
    'blocks.0.attention.query.weight'
    """
    leaf = "weight" if path[-1] in ("kernel", "scale", "embedding") else path[-1]
    return ".".join(str(part) for part in (*path[:-1], leaf))
