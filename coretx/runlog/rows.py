"""The records of a run as rows for W&B, and the values that JSON lines and W&B share.

W&B's keys, each below `<prefix>/`, with `members_std/` before the last name for the spread over several members:
`step`, `metrics/<key of an EpochRecord>`, `final/<score>_<split>`, `final/last_epoch/<score>_<split>` where the
reported weights are those of an earlier epoch, `final/best_epoch`, `final/at_length/<length>/<accuracy or loss>`, and
in the summary `final/<fact>`, named as in benchmarking.csv. `panels` has those of the panels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from coretx.records.results import ModelResult, RunRecord
from coretx.training.loop import EpochRecord

FINAL_SCORES = ("accuracy", "loss", "auc", "average_precision")


def run_values(run: RunRecord) -> dict[str, Any]:
    """Return a run's record, with the id and the whole config of every cell under its prefix."""
    cells = {prefix: {"id": cell.id, **cell.as_dict()} for prefix, cell in run.cells.items()}
    return {**run.__dict__, "cells": cells}


def wandb_config(run: RunRecord) -> dict[str, Any]:
    """Return the config of a W&B run."""
    values = run_values(run)
    names = ("task", "title", "seed", "n_samples", "commit", "version", "cells")
    overlap = {**run.overlap.__dict__, "overlap_rate": run.overlap.overlap_rate}
    splits = {split: counts.__dict__ for split, counts in run.counts.items()}
    return {name: values[name] for name in names} | {"overlap": overlap, "splits": splits}


def step_key(prefix: str) -> str:
    """Return the key that a model's metrics are plotted against."""
    return f"{prefix}/step"


def epoch_row(prefix: str, record: EpochRecord) -> dict[str, int | float]:
    """Return the row of one epoch of one model."""
    return {step_key(prefix): record.epoch} | member_means(f"{prefix}/metrics", record.metrics)


def final_scores(prefix: str, result: ModelResult) -> dict[str, float]:
    """Return the exact scores of a finished model, those at other lengths, and its best epoch."""
    row: dict[str, float] = {}
    for folder, by_split in (("final", result.scores), ("final/last_epoch", result.last_scores)):
        for split, scores in by_split.items():
            values = {f"{name}_{split}": getattr(scores, name) for name in FINAL_SCORES}
            row |= member_means(f"{prefix}/{folder}", values)
    for score in result.lengths:
        if score.accuracy is not None and score.loss is not None:
            values = {"accuracy": score.accuracy, "loss": score.loss}
            row |= member_means(f"{prefix}/final/at_length/{score.length}", values)
    if result.best_epoch is not None:
        row |= member_means(f"{prefix}/final", {"best_epoch": result.best_epoch.astype(float)})
    return row


def facts(prefix: str, result: ModelResult) -> dict[str, Any]:
    """Return the summary of a model beside its scores, without what is None."""
    ceiling = result.ceilings.get(result.view)
    facts = {
        "status": result.status,
        "failure": result.failure,
        "parameters": result.parameters,
        "seconds": result.provenance.seconds.get("total"),
        "ceiling": None if ceiling is None else ceiling.value,
        "alarm": result.alarm,
    }
    return {f"{prefix}/final/{name}": value for name, value in facts.items() if value is not None}


def member_means(folder: str, values: Mapping[str, Float[np.ndarray, " member"]]) -> dict[str, float]:
    """Return the mean over members under each name and, of several, their sample standard deviation.

    A value that is not finite in some member is left out: W&B would store the word "NaN" among the numbers.

    >>> member_means("mlp/metrics", {"loss": np.array([1.0, 2.0, 3.0]), "grad_norm": np.array([1.0, np.nan, 1.0])})
    {'mlp/metrics/loss': 2.0, 'mlp/metrics/members_std/loss': 1.0}
    """
    finite = {name: value for name, value in values.items() if np.isfinite(value).all()}
    if not finite:
        return {}
    table = np.array(list(finite.values()), dtype=np.float64)  # at once: key by key takes W&B's process longer
    row = {f"{folder}/{name}": mean for name, mean in zip(finite, table.mean(axis=1).tolist(), strict=True)}
    if table.shape[1] > 1:
        stds = table.std(axis=1, ddof=1).tolist()
        row |= {f"{folder}/members_std/{name}": std for name, std in zip(finite, stds, strict=True)}
    return row
