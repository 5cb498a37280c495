"""Cells on disk: one JSON that is the truth; weights, predictions and explanation beside it, named by digest."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from jaxtyping import Float
from safetensors.numpy import load, save

from coretx.evaluation.ceilings import Ceiling
from coretx.evaluation.explanations import Explanation
from coretx.evaluation.groups import GroupScore
from coretx.evaluation.intervals import Summary
from coretx.evaluation.lengths import LengthScore
from coretx.evaluation.scores import Predictions, SplitScores, split_scores
from coretx.records.cell_config import CellConfig
from coretx.records.durable import sha256, write_bytes
from coretx.records.encoding import as_json
from coretx.records.results import Code, ModelResult, Provenance
from coretx.tasks.splits import SPLITS, SplitCounts

FORMAT = 5
LAYERED = ("attention", "attention_sums")
"""The parts of an explanation that have an array for each layer."""


def cell_path(out: Path, config: CellConfig) -> Path:
    """Return where the cell's JSON lies."""
    return out / "artifacts" / config.task / "cells" / f"{config.model}.{config.backend}.{config.id}.json"


def save_result(result: ModelResult, out: Path) -> Path:
    """Write a cell: its arrays first, then the JSON that names their digests. Returns the JSON's path."""
    path = cell_path(out, result.config)
    arrays = {"weights": _bytes(result.weights), "predictions": _bytes(_prediction_arrays(result.predictions))}
    if result.explanation is not None:
        arrays["explanation"] = _bytes(_explanation_arrays(result.explanation))
    for name, data in arrays.items():
        write_bytes(path.with_suffix(f".{name}.safetensors"), data)
    record = {
        "format": FORMAT,
        "id": result.config.id,
        "config": result.config.as_dict(),
        "status": result.status,
        "failure": result.failure,
        "title": result.title,
        "rule": result.rule,
        "parameters": result.parameters,
        "splits": {split: asdict(counts) for split, counts in result.counts.items()},
        "scores": {split: _score_values(scores) for split, scores in result.scores.items()},
        "intervals": {split: _summaries(result.summaries(split)) for split in result.scores},
        "view": result.view,
        "ceilings": {view: asdict(ceiling) for view, ceiling in result.ceilings.items()},
        "alarm": result.alarm,
        "best_epoch": result.best_epoch,
        "last_scores": {split: _score_values(scores) for split, scores in result.last_scores.items()},
        "groups": [group.__dict__ for group in result.groups],
        "lengths": [score.__dict__ for score in result.lengths],
        "last_intervals": {split: _summaries(result.summaries(split, last=True)) for split in result.last_scores},
        "history": result.history,
        "provenance": asdict(result.provenance) | {"code": result.provenance.code._asdict()},
        "sha256": {name: sha256(data) for name, data in arrays.items()},
    }
    write_bytes(path, sealed(record))
    return path


def load_result(path: Path) -> ModelResult | None:
    """Return the cell, or None where it is missing or any of its files is not what was written."""
    try:
        record = unsealed(path.read_bytes())
        if record["format"] != FORMAT:
            return None
        arrays = {name: path.with_suffix(f".{name}.safetensors").read_bytes() for name in record["sha256"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if any(sha256(data) != record["sha256"][name] for name, data in arrays.items()):
        return None
    predictions = _predictions(load(arrays["predictions"]))
    last = {name: (p.last_logits, p.y) for name, p in predictions.items() if p.last_logits is not None}
    return ModelResult(
        config=CellConfig.from_dict(record["config"]),
        provenance=Provenance(**{**record["provenance"], "code": Code(**record["provenance"]["code"])}),
        status=record["status"],
        parameters=record["parameters"],
        history={name: np.array(values, np.float64) for name, values in record["history"].items()},
        weights=dict(sorted(load(arrays["weights"]).items())),
        scores={name: split_scores(split.logits, split.y) for name, split in predictions.items()},
        predictions=predictions,
        failure=record["failure"],
        title=record["title"],
        rule=record["rule"],
        view=record["view"],
        ceilings={view: Ceiling(**values) for view, values in record["ceilings"].items()},
        alarm=record["alarm"],
        best_epoch=None if record["best_epoch"] is None else np.array(record["best_epoch"], np.int32),
        last_scores={name: split_scores(*answers) for name, answers in last.items()},
        counts={split: _counts(values) for split, values in record["splits"].items()},
        groups=tuple(GroupScore(**_arrays(values)) for values in record["groups"]),
        lengths=tuple(LengthScore(**_arrays(values)) for values in record["lengths"]),
        explanation=_explanation(load(arrays["explanation"])) if "explanation" in arrays else None,
    )


def load_predictions(path: Path) -> dict[str, Predictions] | None:
    """Return what the members of a cell answered, by split; None where that is missing or not what was written.

    Faster than `load_result`: of the record, its format and the digest of the predictions alone are looked at.
    """
    try:
        record = orjson.loads(path.read_bytes())
        data = path.with_suffix(".predictions.safetensors").read_bytes()
        whole = record["format"] == FORMAT and sha256(data) == record["sha256"]["predictions"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return _predictions(load(data)) if whole else None


def load_ceilings(path: Path) -> dict[str, Ceiling] | None:
    """Return the ceilings that a cell's record names, by view; None where it cannot be read."""
    try:
        record = orjson.loads(path.read_bytes())
        return {view: Ceiling(**values) for view, values in record["ceilings"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


SEAL = b',\n  "digest": '


def sealed(record: Mapping[str, Any]) -> bytes:
    """Return the record as JSON whose last entry is the SHA-256 of what it would be without that entry."""
    text = as_json(record, indented=True)
    return text.removesuffix(b"\n}") + SEAL + f'"{sha256(text)}"\n}}\n'.encode()


def unsealed(data: bytes) -> dict[str, Any]:
    """Return the record; ValueError where a single byte of it is not what was written."""
    text, seal, _ = data.rpartition(SEAL)
    record = orjson.loads(text + b"\n}")
    if not seal or data != sealed(record):
        raise ValueError("the record is not what was written")
    return record


def _bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    # safetensors writes the memory as it lies: of an array in another order it would keep other numbers.
    return save({name: np.ascontiguousarray(values) for name, values in arrays.items()})


def _prediction_arrays(predictions: Mapping[str, Predictions]) -> dict[str, np.ndarray]:
    named = {f"{split}/{name}": value for split, p in predictions.items() for name, value in p.__dict__.items()}
    codes = {f"{split}/x": _as_bits(p.x) for split, p in predictions.items()}
    return {name: value for name, value in (named | codes).items() if value is not None}


def _as_bits(x: Float[np.ndarray, "n time feature"]) -> np.ndarray:
    """Return rows of symbols in a byte a feature, a fourth of what they take as float32; others as they are."""
    return x.astype(np.uint8) if (((x == 0) & ~np.signbit(x)) | (x == 1)).all() else x


def _predictions(arrays: Mapping[str, np.ndarray]) -> dict[str, Predictions]:
    splits = sorted({name.split("/")[0] for name in arrays}, key=SPLITS.index)
    return {
        split: Predictions(
            np.asarray(arrays[f"{split}/x"], np.float32),
            arrays[f"{split}/y"],
            arrays[f"{split}/logits"],
            arrays.get(f"{split}/last_logits"),
        )
        for split in splits
    }


def _explanation_arrays(explanation: Explanation) -> dict[str, np.ndarray]:
    values = explanation.__dict__
    plain = {name: value for name, value in values.items() if name not in LAYERED}
    return plain | {f"{name}/{layer}": array for name in LAYERED for layer, array in values[name].items()}


def _explanation(arrays: Mapping[str, np.ndarray]) -> Explanation:
    layers = sorted({name.partition("/")[2] for name in arrays if "/" in name}, key=_by_number)
    values: dict[str, Any] = {name: value for name, value in arrays.items() if "/" not in name}
    values |= {name: {layer: arrays[f"{name}/{layer}"] for layer in layers} for name in LAYERED}
    return Explanation(**values)


def _by_number(layer: str) -> list[tuple[bool, int, str]]:
    """Return what to sort layers by: `blocks.2` before `blocks.10`."""
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in layer.split(".")]


def _counts(values: Mapping[str, Any]) -> SplitCounts:
    rows, distinct_rows, distinct_keys = (tuple(values[name]) for name in ("rows", "distinct_rows", "distinct_keys"))
    return SplitCounts(rows, distinct_rows, distinct_keys, values["keys"], values["small_space"])


def _arrays(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with an array in the place of each list."""
    return {name: np.array(value) if isinstance(value, list) else value for name, value in values.items()}


def _score_values(scores: SplitScores) -> dict[str, Any]:
    """Return the numbers of a split, without the curves, which follow from the predictions."""
    values = {name: getattr(scores, name) for name in ("loss", "accuracy", "auc", "average_precision")}
    return {"n": scores.n, "positives": scores.positives, **values, "confusion": scores.confusion}


def _summaries(found: Mapping[str, Summary]) -> dict[str, Any]:
    """Return mean, deviation and 95 % intervals of each score: they follow from the predictions too."""
    return {name: asdict(summary) for name, summary in found.items()}
