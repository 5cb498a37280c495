"""Evaluation of the selected weights at other sequence lengths."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from coretx import targets
from coretx.errors import UsageError, choices
from coretx.evaluation.scores import cross_entropy
from coretx.models.spec import InputShape, ModelSpec
from coretx.tasks.base import Task
from coretx.tasks.sampling import Dataset
from coretx.tasks.splits import Protocol, draw_split
from coretx.training.backend import Backend, ModelAccess


@dataclass(frozen=True)
class LengthScore:
    """Scores of members trained on inputs of `trained` steps, on test rows of `length` steps with `keys` problems.

    `accuracy` and `loss` (nats) are None if the model's shape fixes the length.
    """

    length: int
    trained: int
    rows: int
    keys: int
    accuracy: Float[np.ndarray, " member"] | None
    loss: Float[np.ndarray, " member"] | None


LISTED = 64
"""Lengths up to this are tried, to list the lengths of a task."""


def variant(task: Task, length: int) -> Task:
    """Return the task at this length; UsageError that lists its lengths if it has no such length."""
    found = task.at_length(length)
    if found is not None:
        return found
    lengths = [n for n in range(1, LISTED + 1) if task.at_length(n) is not None]
    if len(lengths) <= 1:
        raise UsageError(
            f"--eval-lengths {length}: the length of task {task.name} cannot vary, all inputs have "
            f"{task.sequence_length} steps; leave the task out, or write its at_length"
        )
    some = choices(map(str, lengths)) if len(lengths) < 10 else f"{lengths[0]} or more"
    raise UsageError(f"--eval-lengths {length}: task {task.name} has no inputs of that length; choose from: {some}")


def draw_lengths(
    task: Task, lengths: Sequence[int], n_samples: int, seed: int, protocol: Protocol
) -> dict[int, Dataset]:
    """Draw rows of every length as test rows are drawn; UsageError as `prepare_data`, or if features change."""
    data = {}
    for length in lengths:
        other = variant(task, length)
        if (other.sequence_length, other.feature_dim) != (length, task.feature_dim):
            raise UsageError(
                f"task {task.name}: at_length({length}) must give inputs of {length} steps with {task.feature_dim} "
                f"features, but gives {other.sequence_length} with {other.feature_dim}"
            )
        try:
            data[length] = draw_split(other, n_samples, seed, "test", protocol)
        except UsageError as error:
            raise UsageError(f"--eval-lengths {length}: {error}") from error
    return data


def answer_lengths(
    backend: Backend, spec: ModelSpec, trained: ModelAccess, data: Mapping[int, Dataset], dtype: str, strategy: str
) -> dict[int, Float[np.ndarray, "member n"] | None]:
    """Return the logits of the trained population on the rows of each length.

    None if the parameters have other shapes at that length: the model's shape fixes its length.
    """
    state = trained.state() if data else {}
    answers = {}
    for length, rows in data.items():
        shape = InputShape(*rows.x.shape[1:])
        answers[length] = None
        with closing(backend.open(spec, shape, trained.members, dtype, strategy)) as access:
            if access.manifest == trained.manifest:
                access.load_state({f"parameters/{name}": state[f"parameters/{name}"] for name in trained.manifest})
                answers[length] = access.logits(rows.x)
    return answers


def score_lengths(
    task: Task,
    data: Mapping[int, Dataset],
    answers: Mapping[int, Float[np.ndarray, "member n"] | None],
) -> tuple[LengthScore, ...]:
    """Return the scores of these answers at each length."""
    scores = []
    for length, rows in data.items():
        keys = len(np.unique(variant(task, length).canonical_key(rows.x)))
        logits, accuracy, loss = answers[length], None, None
        if logits is not None:
            logits = logits.astype(np.float64)
            accuracy, loss = targets.right(logits, rows.y).mean(axis=1), cross_entropy(logits, rows.y)
        scores.append(LengthScore(length, task.sequence_length, len(rows), keys, accuracy, loss))
    return tuple(scores)
