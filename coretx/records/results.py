"""Records: what a run says about itself. Plain frozen data in NumPy, made by training, read by logs and reports."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from coretx.evaluation.ceilings import Ceiling
from coretx.evaluation.explanations import Explanation
from coretx.evaluation.groups import GroupScore
from coretx.evaluation.intervals import Summary, summaries
from coretx.evaluation.lengths import LengthScore
from coretx.evaluation.scores import Predictions, SplitScores
from coretx.records.cell_config import CellConfig
from coretx.tasks.splits import Overlap, SplitCounts


class Code(NamedTuple):
    """Digests of the code that a cell is made by: of what decides its weights, and of what decides its scores."""

    weights: str
    scores: str


UNKNOWN_CODE = Code("", "")


@dataclass(frozen=True)
class Provenance:
    """Where and when a result was made, and by which code; nothing here enters the id of its cell.

    `seconds` has `total`, `compile` and `train`; `versions` maps each package to its version; `commit` is the git
    commit (with `-dirty` where the tree had changes) or `unknown`; `device_name` is the engine's own name of it.
    """

    version: str
    commit: str
    date: str
    device_name: str
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    command: str = ""
    code: Code = UNKNOWN_CODE


def spread_text(values: Float[np.ndarray, " member"]) -> str:
    """Return the mean, and the standard deviation where there are several.

    >>> spread_text(np.array([0.5])), spread_text(np.array([0.5, 0.75]))
    ('0.5000', '0.6250 ± 0.1768')
    """
    return f"{values.mean():.4f}" + (f" ± {values.std(ddof=1):.4f}" if len(values) > 1 else "")


@dataclass(frozen=True, repr=False)
class ModelResult:
    """Everything one finished cell leaves behind.

    `status` is `done`, or `diverged` where a loss was not finite: then `failure` names the member and the epoch, and
    `scores` and `predictions` are empty, since a number that is not finite is never a score.
    `history` maps a metric key to values [member, epoch]; `weights` a parameter's canonical name (torch's name and
    layout) to values [member, ...].
    `view` says what the model can see of an input, `ceilings` what each view allows on the test distribution, `alarm`
    that a score is above its ceiling, so that the view is broken.
    Where there is a validation split, `best_epoch` is the epoch, counted from 0, of each member's lowest loss on it;
    weights, scores and predictions are of that epoch, and `last_scores` are those of the last one. Else best_epoch is
    None, and they are of the last epoch.
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
    """Accuracy on test by the groups that the task names (see `Task.groups`)."""
    lengths: tuple[LengthScore, ...] = ()
    """Scores at the lengths of `config.eval_lengths`, in that order."""
    title: str = ""
    rule: str = ""
    """How the task was called and what it asked when the cell was made: what its page shows."""
    explanation: Explanation | None = None
    """What the first member looks at; None for a diverged cell and for one that was stored before it was captured."""

    def summaries(self, split: str, *, last: bool = False) -> dict[str, Summary]:
        """Return each score of a split with its intervals: of the reported epoch, or of the last one."""
        scores = (self.last_scores if last else self.scores)[split]
        return summaries(scores, self.predictions.get(split), self.counts.get(split), last=last)

    def summary(self, split: str) -> dict[str, str]:
        """Return accuracy and loss on a split in four digits: mean, and standard deviation over several members."""
        if split not in self.scores:
            return {"accuracy": "", "loss": ""}
        return {name: spread_text(getattr(self.scores[split], name)) for name in ("accuracy", "loss")}

    def __repr__(self) -> str:
        config, score = self.config, self.summary("test")
        said = f"test accuracy {score['accuracy']}, loss {score['loss']}" if self.scores else self.failure
        return f"<{config.model} on {config.task} in {config.backend}, {self.status}: {said}>"

    def _repr_html_(self) -> str:
        names = {"train": "train", "val": "validation", "test": "test"}
        rows = "".join(
            f'<tr><th scope="row">{names[split]}</th><td>{self.summary(split)["accuracy"]}</td>'
            f"<td>{self.summary(split)['loss']}</td></tr>"
            for split in self.scores
        )
        head = '<th scope="col"></th><th scope="col">accuracy</th><th scope="col">loss</th>'
        return f"<table><caption>{escape(repr(self)[1:-1])}</caption><thead><tr>{head}</tr></thead>{rows}</table>"


@dataclass(frozen=True)
class RunRecord:
    """One task with one seed and one n: what a log opens a run for. `cells` maps a log prefix to its cell's config.

    The prefix is the model's name, or `<model>-torch` for the torch cell where both engines run that model.
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
    """What each engine runs on, in its own words."""
    reused: tuple[str, ...] = ()
    """Prefixes of the cells whose stored result is kept."""
    scored_again: tuple[str, ...] = ()
    """Prefixes of the cells whose stored weights are kept and scored again."""

    @property
    def id(self) -> str:
        """The first 12 hex digits of the SHA-256 over the ids of its cells."""
        return hashlib.sha256("".join(cell.id for cell in self.cells.values()).encode()).hexdigest()[:12]
