"""What W&B is told: the names and numbers of its rows, and what stands beside them, without W&B."""

from collections.abc import Mapping
from typing import Any

from coretx.records.results import ModelResult, RunRecord
from coretx.runlog.panels import summarise

KEYS = {
    "step": "{prefix}/step",
    "metric": "{prefix}/metrics/{name}",
    "metric_std": "{prefix}/metrics/members_std/{name}",
    "plot": "{prefix}/metrics/{name}",
    "panel": "{prefix}/{split}/{name}",
    "final": "{prefix}/final/{name}_{split}",
    "final_std": "{prefix}/final/members_std/{name}_{split}",
    "last": "{prefix}/final/last_epoch/{name}_{split}",
    "last_std": "{prefix}/final/last_epoch/members_std/{name}_{split}",
    "length": "{prefix}/final/at_length/{length}/{name}",
    "length_std": "{prefix}/final/at_length/{length}/members_std/{name}",
    "best_epoch": "{prefix}/final/best_epoch",
    "best_epoch_std": "{prefix}/final/members_std/best_epoch",
    "fact": "{prefix}/final/{name}",
}
"""Every key that W&B sees. `metric` takes each key of an EpochRecord; `last` is a `final` of the last epoch's weights,
where those of `best_epoch` were chosen on validation; `length` stands for each evaluated
length that the model is applicable to; each `fact` of a cell stands in the summary, named as in benchmarking.csv."""
FINAL_SCORES = ("accuracy", "loss", "auc", "average_precision")
"""Names of a `final`, for each split that was scored."""


def named(kind: str, means: Mapping[str, float], stds: Mapping[str, float], **places: Any) -> dict[str, float]:
    """Return means and spreads over members under the keys of a kind.

    >>> named("metric", {"loss_train": 0.5}, {"loss_train": 0.1}, prefix="mlp")
    {'mlp/metrics/loss_train': 0.5, 'mlp/metrics/members_std/loss_train': 0.1}
    """
    row = {KEYS[kind].format(name=name, **places): mean for name, mean in means.items()}
    return row | {KEYS[f"{kind}_std"].format(name=name, **places): std for name, std in stds.items()}


def config(run: RunRecord) -> dict[str, Any]:
    """Return what W&B keeps beside the run: every cell's whole config under its prefix."""
    return {
        "task": run.task,
        "title": run.title,
        "seed": run.seed,
        "n_samples": run.n_samples,
        "overlap": {**run.overlap.__dict__, "overlap_rate": run.overlap.overlap_rate},
        "splits": {split: counts.__dict__ for split, counts in run.counts.items()},
        "commit": run.commit,
        "version": run.version,
        "cells": {prefix: {"id": cell.id, **cell.as_dict()} for prefix, cell in run.cells.items()},
    }


def facts(result: ModelResult) -> dict[str, Any]:
    """Return what the table says of a cell beside its scores; what it has not is left out."""
    ceiling = result.ceilings.get(result.view)
    facts = {
        "status": result.status,
        "failure": result.failure,
        "parameters": result.parameters,
        "seconds": result.provenance.seconds.get("total"),
        "ceiling": None if ceiling is None else ceiling.value,
        "alarm": result.alarm,
    }
    return {name: value for name, value in facts.items() if value is not None}


def ends(prefix: str, result: ModelResult) -> dict[str, float]:
    """Return the exact scores at the end of one model, those at other lengths, and which epoch was chosen."""
    row = {}
    for kind, by_split in (("final", result.scores), ("last", result.last_scores)):
        for split, scores in by_split.items():
            values = {name: getattr(scores, name) for name in FINAL_SCORES}
            row |= named(kind, *summarise(values), prefix=prefix, split=split)
    for score in result.lengths:
        if score.accuracy is not None and score.loss is not None:
            values = {"accuracy": score.accuracy, "loss": score.loss}
            row |= named("length", *summarise(values), prefix=prefix, length=score.length)
    if result.best_epoch is not None:
        values = {"best_epoch": result.best_epoch.astype(float)}
        row |= named("best_epoch", *summarise(values), prefix=prefix)
    return row
