"""Whose hyperparameters the ladder is trained with: the original's, or those that were tuned on validation."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

from coretx.errors import UsageError
from coretx.models.spec import ModelSpec

TUNED = Path(__file__).with_name("tuned.json")
"""The optimizer's numbers by model, which `python -m benchmarks.tuning --write` writes: one recipe a rung, for all."""


@cache
def tuned() -> dict[str, dict[str, float]]:
    """Return what was tuned, by model."""
    return json.loads(TUNED.read_text())


def with_recipe(spec: ModelSpec, recipe: str) -> ModelSpec:
    """Return the spec with the optimizer's numbers of the recipe; its own for a model that was not tuned.

    Raises UsageError where no model was.
    """
    if recipe == "tuned" and not tuned():
        raise UsageError(f"--recipe tuned: {TUNED.name} is empty; python -m benchmarks.tuning --write fills it")
    own = tuned().get(spec.name, {}) if recipe == "tuned" else {}
    return replace(spec, optimizer=replace(spec.optimizer, **own))
