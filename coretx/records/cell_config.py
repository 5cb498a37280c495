"""The configuration of a cell, and its id."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

ID_VERSION = 2
"""The version of the rule that derives a cell's id from its configuration."""


@dataclass(frozen=True)
class CellConfig:
    """The resolved configuration of one cell: one population of one model on one task in one engine.

    A cell is a pure function of this record and of the code; `id` names it.

    hyperparameters: the model's spec in plain values (see `ModelSpec.hyperparameters`).
    at_default: the entries of `hyperparameters` that have their default.
    strategy: how the engine runs the members (`solo`, `loop`, `vmap`, `shard members=2,data=1`).
    matmul_precision: the precision of float32 matrix products on an accelerator.
    split: the protocol that drew the data (`disjoint`, `original`).
    negatives: the rule that made the rows of class 0 (`balanced`, `original`, `natural`).
    recipe: the source of the learning rates and weight decays, with the grid point that scales them.
    eval_lengths: the numbers of steps at which the trained model is evaluated as well.
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
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {"id_version": ID_VERSION, **plain}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CellConfig":
        """Return the record with these plain values: the inverse of `as_dict`."""
        tuples = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**{name: value for name, value in {**values, **tuples}.items() if name != "id_version"})

    @cached_property
    def id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the record's canonical JSON, without fields at their default.

        So a later field with a default moves no id. A default must never change: for another value, add a field.
        """
        values = self.as_dict()
        for part in fields(self):
            if part.name == "at_default" or getattr(self, part.name) == part.default:
                del values[part.name]
        values["hyperparameters"] = without(self.hyperparameters, self.at_default)
        text = json.dumps(values, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """The cell in lines for the user: task, model, engine, seed, n."""
        return f"{self.task} {self.model} ({self.backend}), seed {self.seed}, n {self.n_samples}"

    @property
    def batch_size(self) -> int | None:
        """The rows of a batch; None where the record does not have it."""
        return self.hyperparameters.get("optimizer", {}).get("batch_size")


def without(values: Mapping[str, Any], places: Collection[str], above: str = "") -> dict[str, Any]:
    """Return nested values without the entries of these full names.

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
