"""The dashboard: models by tasks, one table for test and one for train, from the rows of the CSV files alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from coretx.reports.benchmark_csv import BenchmarkRow, OverlapRow, SplitRow
from coretx.reports.comparisons_csv import ComparisonRow
from coretx.reports.configurations import Configuration, configurations, ordered
from coretx.reports.formatting import DASH, between, count, counted, decimal, percent, seconds
from coretx.reports.templating import SCRIPT, policy_with_script, render
from coretx.reports.verdicts import Gain, Pairs, gain, marks, pairs_of
from coretx.results import SPLIT_NAMES, SPLITS

SPLIT_ORDER = ("test", "val", "train")
"""The split that counts comes first."""

HasPage = Callable[[BenchmarkRow], bool]


@dataclass(frozen=True)
class Shown:
    """One number of a cell: the mean over members, their standard deviation, and the 95 % intervals over members and
    over rows; empty where there is none.
    """

    value: str
    std: str = ""
    members: str = ""
    rows: str = ""


@dataclass(frozen=True)
class Score:
    """What one cell of a table shows; `accuracy` and `loss` are the numbers to sort by, None where there are none.

    `mark` says `best` or `tied` by the paired test.
    `small_space` tells that the score stands on few problems: the intervals over rows are then over problems.
    """

    state: str
    accuracy: float | None = None
    loss: float | None = None
    texts: Mapping[str, Shown] | None = None
    link: str | None = None
    small_space: bool = False
    ceiling: str = ""
    alarm: bool = False
    mark: str = ""

    @property
    def tint(self) -> str:
        """How far accuracy is on the way from one half to one."""
        return f"{min(max(2 * (self.accuracy or 0) - 1, 0), 1):.2f}"


@dataclass(frozen=True)
class Line:
    """One model's line of a table."""

    model: str
    epochs: str
    scores: Sequence[Score]
    average: Score | None


def render_dashboard(
    rows: Sequence[BenchmarkRow],
    overlaps: Sequence[OverlapRow],
    splits: Sequence[SplitRow],
    comparisons: Sequence[ComparisonRow] = (),
    *,
    task_titles: Mapping[str, str],
    task_order: Sequence[str],
    model_order: Sequence[str],
    has_page: HasPage,
    generalisation: str | None = None,
) -> str:
    """Return the dashboard as one self-contained HTML file.

    Tasks and models stand in the orders given, unknown ones after them by name; a score links to its cell's page
    where has_page says that there is one; generalisation is the address of the page beside it, if any.
    """
    sections, pairs = [], pairs_of(comparisons)
    for configuration in configurations(rows):
        tasks = ordered({task for task, _ in configuration.cells}, task_order)
        models = ordered({model for _, model in configuration.cells}, model_order)
        sections.append(
            {
                "label": configuration.label,
                "members": configuration.members,
                "tasks": [(task, task_titles.get(task) or task) for task in tasks],
                "tables": [
                    (
                        split,
                        SPLIT_NAMES.get(split, split),
                        _lines(configuration, split, models, tasks, has_page, pairs),
                    )
                    for split in ordered({row.split for row in configuration.rows}, SPLIT_ORDER)
                ],
                "gains": _gains(configuration, models, tasks, pairs),
                **_overlaps(configuration, overlaps, splits, tasks, task_titles),
                "provenance": _provenance(configuration),
                "older": configuration.older,
            }
        )
    policy = policy_with_script(SCRIPT)
    return render("dashboard.html", policy=policy, script=SCRIPT, sections=sections, generalisation=generalisation)


def page_name(model: str, backend: str, recipe: str = "") -> str:
    """Return the file name of a cell's page; a recipe is a name and at most one point of a grid.

    >>> page_name("mlp", "jax"), page_name("mlp", "torch", "original"), page_name("mlp", "jax", "original lr0.5x")
    ('mlp.html', 'mlp.torch.html', 'mlp.lr0.5x.html')
    """
    parts = (model, recipe.partition(" ")[2], "torch" if backend == "torch" else "", "html")
    return ".".join(part for part in parts if part)


def _lines(
    configuration: Configuration,
    split: str,
    models: Sequence[str],
    tasks: Sequence[str],
    has_page: HasPage,
    pairs: Pairs,
) -> list[Line]:
    marked: dict[tuple[str, str], str] = {}
    for task in tasks if split == "test" else ():
        cells = {model: row for model in models if (row := configuration.cells.get((task, model), {}).get(split))}
        marked |= {(task, model): mark for model, mark in marks(cells, pairs).items()}
    return [_line(configuration, split, model, tasks, has_page, marked) for model in models]


def _line(
    configuration: Configuration,
    split: str,
    model: str,
    tasks: Sequence[str],
    has_page: HasPage,
    marked: Mapping[tuple[str, str], str],
) -> Line:
    rows = [configuration.cells.get((task, model), {}).get(split) for task in tasks]
    scores = [_score(row, has_page, marked.get((task, model), "")) for task, row in zip(tasks, rows, strict=True)]
    epochs = sorted({row.epochs for row in rows if row})
    several = len(configuration.epochs) > 1
    return Line(
        model=model,
        epochs=", ".join(counted(value, "epoch") for value in epochs) if several else "",
        scores=scores,
        average=_average(scores) if len(tasks) > 1 else None,
    )


def _gains(
    configuration: Configuration, models: Sequence[str], tasks: Sequence[str], pairs: Pairs
) -> list[tuple[str, str, list[Gain | None]]]:
    """Return, for every two neighbours on the ladder, what the later added on each task; none where none is known."""

    def test(task: str, model: str) -> BenchmarkRow | None:
        return configuration.cells.get((task, model), {}).get("test")

    lines = [
        (model, before, [gain(test(task, model), test(task, before), pairs) for task in tasks])
        for before, model in pairwise(models)
    ]
    return lines if any(any(gains) for _, _, gains in lines) else []


def _score(row: BenchmarkRow | None, has_page: HasPage, mark: str) -> Score:
    if row is None:
        return Score("missing")
    link = None
    if has_page(row):
        link = f"../artifacts/{quote(row.task)}/{quote(page_name(row.model, row.backend, row.recipe))}"
    if row.accuracy is None or row.loss is None:
        return Score("diverged", link=link)
    texts = {
        "accuracy": Shown(
            percent(row.accuracy),
            "" if row.accuracy_std is None else f"{100 * row.accuracy_std:.1f}",
            _between(row.accuracy_low, row.accuracy_high, percent),
            _between(row.accuracy_rows_low, row.accuracy_rows_high, percent),
        ),
        "loss": Shown(
            decimal(row.loss),
            "" if row.loss_std is None else decimal(row.loss_std),
            _between(row.loss_low, row.loss_high, decimal),
            _between(row.loss_rows_low, row.loss_rows_high, decimal),
        ),
    }
    ceiling = "" if row.ceiling is None or row.ceiling == 1 else percent(row.ceiling)
    return Score("done", row.accuracy, row.loss, texts, link, bool(row.small_space), ceiling, bool(row.alarm), mark)


def _average(scores: Sequence[Score]) -> Score:
    accuracies = [score.accuracy for score in scores if score.accuracy is not None]
    losses = [score.loss for score in scores if score.loss is not None]
    if len(accuracies) < len(scores):
        return Score("incomplete")
    accuracy, loss = sum(accuracies) / len(scores), sum(losses) / len(scores)
    return Score("done", accuracy, loss, {"accuracy": Shown(percent(accuracy)), "loss": Shown(decimal(loss))})


def _between(low: float | None, high: float | None, form: Callable[[float], str]) -> str:
    return "" if low is None or high is None else between((low, high), form)


def _overlaps(
    configuration: Configuration,
    overlaps: Sequence[OverlapRow],
    splits: Sequence[SplitRow],
    tasks: Sequence[str],
    titles: Mapping[str, str],
) -> dict[str, Any]:
    """Return the overlap table: what each part of the draws of this seed and size holds, the protocols side by side.

    Of a protocol that was drawn with several rules for negatives, the one that this configuration has is shown, or else
    the last in the file.
    """
    draw = (configuration.seed, configuration.n_samples)
    shown = {
        (row.task, row.split): row
        for row in sorted(overlaps, key=lambda row: row.negatives == configuration.negatives)
        if (row.seed, row.n_samples) == draw and row.task in tasks
    }
    counts = {(row.task, row.split, row.negatives, row.seed, row.n_samples, row.part): row for row in splits}
    protocols = sorted({protocol for _, protocol in shown})
    lines = []
    for task in tasks:
        drawn = [shown.get((task, protocol)) for protocol in protocols]
        parts = {part for row in drawn if row for part in SPLITS if (*_draw(row), part) in counts} | {"test"}
        if any(drawn):
            for part in sorted(parts, key=SPLITS.index):
                cells = [_overlap_cells(row, counts.get((*_draw(row), part)), part) if row else None for row in drawn]
                lines.append({"task": titles.get(task) or task, "part": SPLIT_NAMES[part], "cells": cells})
    return {"overlap_protocols": protocols, "overlaps": lines}


def _draw(row: OverlapRow) -> tuple[str, str, str, int, int]:
    return row.task, row.split, row.negatives, row.seed, row.n_samples


def _overlap_cells(row: OverlapRow, counts: SplitRow | None, part: str) -> list[str] | None:
    """Return rows and distinct rows (label 0 + label 1), problems, test rows that train has; None for no such part."""
    if counts is None and part != "test":
        return None
    held = [count(row.test_total) if part == "test" else DASH, DASH, DASH]
    if counts is not None:
        held = [
            f"{count(counts.rows_0)} + {count(counts.rows_1)}",
            f"{count(counts.distinct_rows_0)} + {count(counts.distinct_rows_1)}",
            count(counts.keys),
        ]
    if part != "test":
        return [*held, ""]
    return [*held, f"{count(row.overlap_count)} ({percent(row.overlap_rate)})"]


def _provenance(configuration: Configuration) -> str:
    rows = configuration.rows
    times = {row.id: row.seconds for row in rows if row.seconds is not None}
    dates = sorted({row.date[:10] for row in rows})
    parts = [
        counted(len(configuration.cells), "cell"),
        "version " + ", ".join(sorted({row.version for row in rows})),
        "commit " + ", ".join(sorted({_short(row.commit) for row in rows})),
        "device " + ", ".join(sorted({row.device for row in rows})),
        " to ".join(dict.fromkeys((dates[0], dates[-1]))),
        f"{seconds(sum(times.values()))} in all",
    ]
    return " · ".join(parts)


def _short(commit: str) -> str:
    digits, dash, dirty = commit.partition("-")
    return digits[:10] + dash + dirty
