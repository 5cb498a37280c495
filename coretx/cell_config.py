"""The configuration of a cell, and the id that it has from it."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from typing import Any

ID_VERSION = 2
"""Of the rule by which a cell's id is made of its configuration."""


@dataclass(frozen=True)
class CellConfig:
    """The resolved configuration of one cell: one population of one model on one task in one engine.

    A cell is a pure function of this record and of the code; `id` names it. `hyperparameters` is the model's spec in
    plain values (see `ModelSpec.hyperparameters`), `at_default` the places in it that have their default, `strategy`
    how the engine runs its members (`solo`, `loop`, `vmap`, `shard members=2,data=1`), `matmul_precision` that of
    float32 products on an accelerator, `split` the protocol that drew the data (`disjoint`, `original`), `negatives`
    the rule that made its rows of class 0 (`balanced`, `original`, `natural`), `recipe` whose hyperparameters the model
    has, with the point of the grid that scales them, `eval_lengths` at how many steps it is evaluated beside those it
    is trained on.
    """

    task: str
    model: str
    backend: str
    seed: int
    members: int
    n_samples: int
    epochs: int
    split: str
    recipe: str
    dtype: str
    device: str
    strategy: str
    matmul_precision: str
    hyperparameters: Mapping[str, Any]
    negatives: str = "natural"
    eval_lengths: tuple[int, ...] = ()
    at_default: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the whole record as plain JSON values, with the version of the rule for ids."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        plain = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        return {"id_version": ID_VERSION} | values | plain | {"hyperparameters": dict(self.hyperparameters)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CellConfig":
        """Return the record of which these are the plain values."""
        tuples = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**{name: value for name, value in {**values, **tuples}.items() if name != "id_version"})

    @cached_property
    def id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the record's canonical JSON, without what has its default.

        So a field that comes later, with a default, moves no id. A default itself must never change: whoever wants
        another value adds a field.
        """
        defaults = {part.name: part.default for part in fields(self) if part.default is not MISSING}
        values = {name: value for name, value in self.as_dict().items() if name not in defaults}
        values |= {name: getattr(self, name) for name in defaults if getattr(self, name) != defaults[name]}
        values.pop("at_default", None)
        values["hyperparameters"] = without(self.hyperparameters, self.at_default)
        text = json.dumps(values, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def batch_size(self) -> int | None:
        """The rows of a batch; None for a record that does not tell."""
        return self.hyperparameters.get("optimizer", {}).get("batch_size")


def without(values: Mapping[str, Any], places: Collection[str], above: str = "") -> dict[str, Any]:
    """Return nested values without those at these places.

    >>> without({"optimizer": {"b1": 0.9, "epochs": 3}, "initializer": {}}, ["optimizer.b1", "initializer"])
    {'optimizer': {'epochs': 3}}
    """
    return {
        name: without(value, places, f"{above}{name}.") if isinstance(value, Mapping) else value
        for name, value in values.items()
        if f"{above}{name}" not in places
    }


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested values under their full names.

    >>> flat({"optimizer": {"b1": 0.9}, "seed": 0})
    {'optimizer.b1': 0.9, 'seed': 0}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return found
