"""Cells on disk: one JSON that is the truth; weights, predictions and explanation beside it, named by digest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from jaxtyping import Float
from safetensors.numpy import load, save

from coretx.evaluation.ceilings import Ceiling
from coretx.evaluation.explanations import Explanation
from coretx.evaluation.scores import Predictions
from coretx.records.cell_config import CellConfig
from coretx.records.durable import sha256, write_bytes
from coretx.records.encoding import as_json
from coretx.records.results import ModelResult
from coretx.tasks.splits import SPLITS

FORMAT = 5
SEAL = b',\n  "digest": '
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""The errors of reading a file that is missing, broken or of another version."""


def cell_path(out: Path, config: CellConfig) -> Path:
    """Return the path of the cell's JSON."""
    return out / "artifacts" / config.task / "cells" / f"{config.model}.{config.backend}.{config.id}.json"


def save_result(result: ModelResult, out: Path) -> Path:
    """Write a cell: its arrays first, then the JSON that names their digests. Returns the JSON's path."""
    path, digests = cell_path(out, result.config), {}
    answers = {split: part.__dict__ | {"x": symbols_as_bytes(part.x)} for split, part in result.predictions.items()}
    arrays = {"weights": result.weights, "predictions": flattened(answers)}
    if result.explanation is not None:
        arrays["explanation"] = flattened(result.explanation.__dict__)
    for name, values in arrays.items():
        # safetensors writes the memory as it lies: of an array in another order it would keep other numbers.
        data = save({key: np.ascontiguousarray(value) for key, value in values.items()})
        write_bytes(arrays_path(path, name), data)
        digests[name] = sha256(data)
    write_bytes(path, sealed({"format": FORMAT, **result.to_record(), "sha256": digests}))
    return path


def load_result(path: Path) -> ModelResult | None:
    """Return the cell, or None where a file is missing, was changed, or is of another version."""
    try:
        record = unsealed(path.read_bytes())
        arrays = {name: load_arrays(path, record, name) for name in record["sha256"]}
    except UNREADABLE:
        return None
    explanation = explanation_from(arrays["explanation"]) if "explanation" in arrays else None
    weights = dict(sorted(arrays["weights"].items()))
    return ModelResult.from_record(record, weights, predictions_from(arrays["predictions"]), explanation)


def load_predictions(path: Path) -> dict[str, Predictions] | None:
    """Return the answers of a cell's members by split; None where their file is missing or was changed.

    Faster than `load_result`: it checks the record's format and the digest of the predictions alone.
    """
    try:
        return predictions_from(load_arrays(path, orjson.loads(path.read_bytes()), "predictions"))
    except UNREADABLE:
        return None


def load_ceilings(path: Path) -> dict[str, Ceiling] | None:
    """Return the ceilings in a cell's record, by view; None where it cannot be read."""
    try:
        record = orjson.loads(path.read_bytes())
        return {view: Ceiling(**values) for view, values in record["ceilings"].items()}
    except UNREADABLE:
        return None


def arrays_path(path: Path, name: str) -> Path:
    """Return the path of the cell's arrays of this name."""
    return path.with_suffix(f".{name}.safetensors")


def load_arrays(path: Path, record: Mapping[str, Any], name: str) -> dict[str, np.ndarray]:
    """Return the arrays of this name beside the cell's JSON; ValueError where the file or its format is another."""
    data = arrays_path(path, name).read_bytes()
    if record["format"] != FORMAT or sha256(data) != record["sha256"][name]:
        raise ValueError(f"{arrays_path(path, name)} was changed or is of another version")
    return load(data)


def sealed(record: Mapping[str, Any]) -> bytes:
    """Return the record as JSON whose last entry is the SHA-256 of the record without that entry."""
    text = as_json(record, indented=True)
    return text.removesuffix(b"\n}") + SEAL + f'"{sha256(text)}"\n}}\n'.encode()


def unsealed(data: bytes) -> dict[str, Any]:
    """Return the record; ValueError where a single byte of it was changed."""
    text, seal, _ = data.rpartition(SEAL)
    record = orjson.loads(text + b"\n}")
    if not seal or data != sealed(record):
        raise ValueError("the record was changed")
    return record


def flattened(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of a mapping, and of the mappings in it under `outer/inner`; None is left out."""
    found = {}
    for name, value in values.items():
        inner = {f"{name}/{key}": part for key, part in value.items()} if isinstance(value, Mapping) else {name: value}
        found |= {key: part for key, part in inner.items() if part is not None}
    return found


def predictions_from(arrays: Mapping[str, np.ndarray]) -> dict[str, Predictions]:
    """Return the predictions whose `flattened` arrays these are."""
    found: dict[str, dict[str, np.ndarray]] = {split: {} for split in SPLITS if f"{split}/x" in arrays}
    for name, values in arrays.items():
        split, _, part = name.partition("/")
        found[split][part] = np.asarray(values, np.float32) if part == "x" else values
    return {split: Predictions(**parts) for split, parts in found.items()}


def explanation_from(arrays: Mapping[str, np.ndarray]) -> Explanation:
    """Return the explanation whose `flattened` arrays these are, its layers in their order."""
    values: dict[str, Any] = {"attention": {}, "attention_sums": {}}
    for name in sorted(arrays, key=by_number):
        outer, nested, layer = name.partition("/")
        if nested:
            values[outer][layer] = arrays[name]
        else:
            values[outer] = arrays[name]
    return Explanation(**values)


def by_number(name: str) -> list[tuple[bool, int, str]]:
    """Return a sort key that puts `blocks.2` before `blocks.10`."""
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in name.split(".")]


def symbols_as_bytes(x: Float[np.ndarray, "n time feature"]) -> np.ndarray:
    """Return rows of symbols (0 and 1 alone) in a byte a feature, a fourth of float32; other rows as they are."""
    return x.astype(np.uint8) if (((x == 0) & ~np.signbit(x)) | (x == 1)).all() else x
