"""Records: what a run says about itself. Plain frozen data in NumPy, made by training, read by logs and reports."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from coretx.cell_config import CellConfig
from coretx.parts import Explanation, GroupScore, LengthScore

SPLITS = ("train", "val", "test")
"""The splits that are scored, in the order in which they are shown; the protocol `original` has no `val`."""
SPLIT_NAMES = {"train": "train", "val": "validation", "test": "test"}
"""How people call them."""
SMALL_SPACE = 200
"""A side of a task's space with fewer distinct rows than this is marked wherever its score stands."""


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


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch of one population measured: metric key -> value per member. `epoch` counts from 0.

    Keys as logged: loss_train, accuracy_train (running, over the epoch's batches), loss_val, accuracy_val, loss_test,
    accuracy_test (after the epoch; val where there is that split), grad_norm, weight_norm, learning_rate, and for
    attention models attn_logits_mean, _std, _maxabs.
    """

    epoch: int
    metrics: Mapping[str, Float[np.ndarray, " member"]]


@dataclass(frozen=True)
class Curve:
    """A ROC curve (x false positive rate, y true positive rate) or a PR curve (x recall, y precision) as points."""

    x: Float[np.ndarray, " point"]
    y: Float[np.ndarray, " point"]


@dataclass(frozen=True)
class SplitScores:
    """Exact scores of one epoch's weights on one split, per member, all from the same logits.

    `loss` is the mean binary cross-entropy in nats; `accuracy` counts logit > 0 as class 1; `auc` is the area under
    the ROC curve and `average_precision` the one under PR, both nan for a split with one class. `confusion` is summed
    over members, rows the label and columns the prediction: [[true neg, false pos], [false neg, true pos]].
    """

    n: int
    positives: int
    loss: Float[np.ndarray, " member"]
    accuracy: Float[np.ndarray, " member"]
    auc: Float[np.ndarray, " member"]
    average_precision: Float[np.ndarray, " member"]
    confusion: Int[np.ndarray, "2 2"]
    roc: tuple[Curve, ...]
    """One curve per member; empty for a split with one class."""
    pr: tuple[Curve, ...]

    @property
    def chance(self) -> float:
        """The accuracy of always answering the more frequent class."""
        return max(self.positives, self.n - self.positives) / self.n


@dataclass(frozen=True)
class Predictions:
    """One split with what each member answered on it."""

    x: Float[np.ndarray, "n time feature"]
    y: Float[np.ndarray, " n"]
    logits: Float[np.ndarray, "member n"]
    last_logits: Float[np.ndarray, "member n"] | None = None
    """What the weights of the last epoch answer, where others were chosen."""

    def of_members(self, members: slice) -> "Predictions":
        """Return the same rows with what these members answered."""
        last = None if self.last_logits is None else self.last_logits[members]
        return Predictions(self.x, self.y, self.logits[members], last)


VIEWS = {
    "full": "everything",
    "linear": "a weighted sum of all features",
    "additive": "a sum of what each step contributes",
    "order-blind": "the steps without their order",
    "answer-only": "the answer alone",
    "majority": "nothing",
}
"""What a model or rule of each view answers by."""


@dataclass(frozen=True)
class Ceiling:
    """The best accuracy that a view of the input allows, None where none is known.

    `kind`: `exact` over the distribution, `certified` for a proved upper bound, `estimated` from draws (`low` is the
    lower end of its 95 % interval, value the upper), else `none known`.
    """

    value: float | None
    kind: Literal["exact", "certified", "estimated", "none known"]
    low: float | None = None


@dataclass(frozen=True)
class SplitCounts:
    """How much there is in one split; pairs are for label 0 and label 1.

    `keys` counts the distinct canonical keys of both labels together: the number of different problems. `small_space`
    tells that the side of the task's space from which the split is drawn has fewer than SMALL_SPACE rows to give.
    """

    rows: tuple[int, int]
    distinct_rows: tuple[int, int]
    distinct_keys: tuple[int, int]
    keys: int
    small_space: bool


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
class Overlap:
    """How many test rows occur, value for value, among the train rows of the same run, and how many as a problem.

    `split` is the protocol that drew both, `negatives` the rule for rows of class 0. `overlap_keys` counts the test
    rows whose canonical key some train row has.
    """

    task: str
    split: str
    seed: int
    n_samples: int
    overlap_count: int
    test_total: int
    negatives: str = "natural"
    overlap_keys: int = 0

    @property
    def overlap_rate(self) -> float:
        """The share of test rows that also stand in train, in [0, 1]."""
        return self.overlap_count / self.test_total


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
