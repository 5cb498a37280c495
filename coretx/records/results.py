"""The records of a run: plain frozen data in NumPy, made by training, read by logs and reports."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from coretx.evaluation.ceilings import Ceiling
from coretx.evaluation.explanations import Explanation
from coretx.evaluation.groups import GroupScore
from coretx.evaluation.intervals import Summary, summaries
from coretx.evaluation.lengths import LengthScore
from coretx.evaluation.scores import Predictions, SplitScores, score
from coretx.records.cell_config import CellConfig
from coretx.tasks.splits import SPLIT_NAMES, Overlap, SplitCounts


@dataclass(frozen=True)
class Code:
    """Digests of the code that made a cell: of the code that decides its weights, and of that for its scores."""

    weights: str = ""
    scores: str = ""


@dataclass(frozen=True)
class Provenance:
    """Where and when a result was made, and by which code; no field enters the id of its cell.

    `seconds` has `total`, `compile` and `train`; `versions` maps each package to its version; `commit` is the git
    commit (with `-dirty` where the tree had changes) or `unknown`; `device_name` is the engine's name of the device.
    """

    version: str
    commit: str
    date: str
    device_name: str
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    command: str = ""
    code: Code = field(default_factory=Code)


def spread_text(values: Float[np.ndarray, " member"]) -> str:
    """Return the mean of the members, and their standard deviation where there are several.

    >>> spread_text(np.array([0.5])), spread_text(np.array([0.5, 0.75]))
    ('0.5000', '0.6250 ± 0.1768')
    """
    return f"{values.mean():.4f}" + (f" ± {values.std(ddof=1):.4f}" if len(values) > 1 else "")


def scores_record(scores: Mapping[str, SplitScores]) -> dict[str, dict[str, Any]]:
    """Return the scores of each split without the curves, which follow from the predictions."""
    return {
        split: {name: value for name, value in values.__dict__.items() if name not in ("roc", "pr")}
        for split, values in scores.items()
    }


@dataclass(frozen=True, repr=False)
class ModelResult:
    """Everything one finished cell leaves behind.

    status: `done`, or `diverged` where a loss was not finite. Then `failure` names the member and the epoch, and
    `scores` and `predictions` are empty: a number that is not finite is never a score.
    history: each metric's values [member, epoch].
    weights: each parameter's values [member, ...] under its canonical name (torch's name and layout).
    best_epoch: with a validation split, the epoch of each member's lowest loss on it, counted from 0; weights, scores
    and predictions are of that epoch, and `last_scores` of the last one. Else None: all are of the last epoch.
    view, ceilings, alarm: the view of the input that the model has, the best accuracy that each view allows on the
    test distribution, and a sentence if a score is above its ceiling, so that the view is broken.
    groups, lengths: test accuracy by group of rows (see `Task.groups`), and scores at the `config.eval_lengths`.
    title, rule: the task's name and rule when the cell was made; its page shows them.
    explanation: attention and attribution of the first member; None for a diverged cell.
    """

    config: CellConfig
    provenance: Provenance
    status: Literal["done", "diverged"]
    parameters: int
    history: Mapping[str, Float[np.ndarray, "member epoch"]]
    weights: Mapping[str, np.ndarray]
    scores: Mapping[str, SplitScores] = field(default_factory=dict)
    predictions: Mapping[str, Predictions] = field(default_factory=dict)
    failure: str | None = None
    counts: Mapping[str, SplitCounts] = field(default_factory=dict)
    view: str = "full"
    ceilings: Mapping[str, Ceiling] = field(default_factory=dict)
    alarm: str | None = None
    best_epoch: Int[np.ndarray, " member"] | None = None
    last_scores: Mapping[str, SplitScores] = field(default_factory=dict)
    groups: tuple[GroupScore, ...] = ()
    lengths: tuple[LengthScore, ...] = ()
    title: str = ""
    rule: str = ""
    explanation: Explanation | None = None

    @property
    def failed(self) -> bool:
        """Whether the cell diverged or is above its ceiling."""
        return self.status != "done" or self.alarm is not None

    def with_predictions(self, predictions: Mapping[str, Predictions]) -> "ModelResult":
        """Return the result with these answers and their scores, of the selected epoch and of the last one."""
        last = {
            split: replace(part, logits=part.last_logits)
            for split, part in predictions.items()
            if part.last_logits is not None
        }
        return replace(self, predictions=predictions, scores=score(predictions), last_scores=score(last))

    def to_record(self) -> dict[str, Any]:
        """Return the result for `as_json`: all but the arrays of weights, predictions and explanation."""
        return {
            "id": self.config.id,
            "config": self.config.as_dict(),
            "status": self.status,
            "failure": self.failure,
            "title": self.title,
            "rule": self.rule,
            "parameters": self.parameters,
            "splits": self.counts,
            "scores": scores_record(self.scores),
            "intervals": {split: self.summaries(split) for split in self.scores},
            "view": self.view,
            "ceilings": self.ceilings,
            "alarm": self.alarm,
            "best_epoch": self.best_epoch,
            "last_scores": scores_record(self.last_scores),
            "groups": self.groups,
            "lengths": self.lengths,
            "last_intervals": {split: self.summaries(split, last=True) for split in self.last_scores},
            "history": self.history,
            "provenance": self.provenance,
        }

    @classmethod
    def from_record(
        cls,
        record: Mapping[str, Any],
        weights: Mapping[str, np.ndarray],
        predictions: Mapping[str, Predictions],
        explanation: Explanation | None,
    ) -> "ModelResult":
        """Return the result that was written as this record, its scores computed again from the predictions."""
        best, provenance = record["best_epoch"], record["provenance"]
        plain = ("status", "failure", "title", "rule", "parameters", "view", "alarm")
        result = cls(
            config=CellConfig.from_dict(record["config"]),
            provenance=Provenance(**{**provenance, "code": Code(**provenance["code"])}),
            counts={split: SplitCounts(**_lists_as(tuple, values)) for split, values in record["splits"].items()},
            ceilings={view: Ceiling(**values) for view, values in record["ceilings"].items()},
            best_epoch=None if best is None else np.array(best, np.int32),
            groups=tuple(GroupScore(**_lists_as(np.array, values)) for values in record["groups"]),
            lengths=tuple(LengthScore(**_lists_as(np.array, values)) for values in record["lengths"]),
            history={name: np.array(values, np.float64) for name, values in record["history"].items()},
            weights=weights,
            explanation=explanation,
            **{name: record[name] for name in plain},
        )
        return result.with_predictions(predictions)

    def summaries(self, split: str, *, last: bool = False) -> dict[str, Summary]:
        """Return each score of a split with its intervals: of the selected epoch, or of the last one."""
        scores = (self.last_scores if last else self.scores)[split]
        return summaries(scores, self.predictions.get(split), self.counts.get(split), last=last)

    def summary(self, split: str) -> dict[str, str]:
        """Return accuracy and loss on a split in four digits: mean, and standard deviation over several members."""
        if split not in self.scores:
            return {"accuracy": "", "loss": ""}
        return {name: spread_text(getattr(self.scores[split], name)) for name in ("accuracy", "loss")}

    def __repr__(self) -> str:
        config, test = self.config, self.summary("test")
        found = f"test accuracy {test['accuracy']}, loss {test['loss']}" if self.scores else self.failure
        return f"<{config.model} on {config.task} in {config.backend}, {self.status}: {found}>"

    def _repr_html_(self) -> str:
        rows = ""
        for split in self.scores:
            text = self.summary(split)
            rows += (
                f'<tr><th scope="row">{SPLIT_NAMES[split]}</th><td>{text["accuracy"]}</td><td>{text["loss"]}</td></tr>'
            )
        head = '<th scope="col"></th><th scope="col">accuracy</th><th scope="col">loss</th>'
        return f"<table><caption>{escape(repr(self)[1:-1])}</caption><thead><tr>{head}</tr></thead>{rows}</table>"


def _lists_as(kind: Callable[[list[Any]], Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: kind(value) if isinstance(value, list) else value for name, value in values.items()}


@dataclass(frozen=True)
class RunRecord:
    """One task with one seed and one n, as logs record it: `cells` maps a log prefix to its cell's config.

    The prefix is the model's name, with the engine (`mlp-torch`) where another engine runs the model as well.
    """

    task: str
    title: str
    seed: int
    n_samples: int
    cells: Mapping[str, CellConfig]
    overlap: Overlap
    commit: str
    version: str
    counts: Mapping[str, SplitCounts] = field(default_factory=dict)
    device_name: Mapping[str, str] = field(default_factory=dict)
    """Each engine's name of its device."""
    reused: tuple[str, ...] = ()
    """Prefixes of the cells whose stored result is kept."""
    scored_again: tuple[str, ...] = ()
    """Prefixes of the cells whose stored weights are kept and scored again."""

    @property
    def id(self) -> str:
        """The first 12 hex digits of the SHA-256 over the ids of its cells."""
        return hashlib.sha256("".join(cell.id for cell in self.cells.values()).encode()).hexdigest()[:12]
