"""The dashboard: models by tasks, one table for test and one for train, from the rows of the CSV files alone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from coretx.reports.benchmark_csv import BenchmarkRow, OverlapRow
from coretx.reports.configurations import Configuration, configurations
from coretx.reports.formatting import count, counted, decimal, percent, seconds
from coretx.reports.templating import SCRIPT, policy_with_script, render

SPLIT_ORDER = ("test", "train")
"""The split that counts comes first."""

HasPage = Callable[[BenchmarkRow], bool]


@dataclass(frozen=True)
class Score:
    """What one cell of a table shows; `accuracy` and `loss` are the numbers to sort by, None where there are none."""

    state: str
    accuracy: float | None = None
    loss: float | None = None
    texts: Mapping[str, tuple[str, str]] | None = None
    link: str | None = None

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
    *,
    task_titles: Mapping[str, str],
    task_order: Sequence[str],
    model_order: Sequence[str],
    has_page: HasPage,
) -> str:
    """Return the dashboard as one self-contained HTML file.

    Tasks and models stand in the orders given, unknown ones after them by name; a score links to its cell's page
    where has_page says that there is one.
    """
    sections = []
    for configuration in configurations(rows):
        tasks = _ordered({task for task, _ in configuration.cells}, task_order)
        models = _ordered({model for _, model in configuration.cells}, model_order)
        sections.append(
            {
                "label": configuration.label,
                "tasks": [(task, task_titles.get(task) or task) for task in tasks],
                "tables": [
                    (split, [_line(configuration, split, model, tasks, has_page) for model in models])
                    for split in _ordered({row.split for row in configuration.rows}, SPLIT_ORDER)
                ],
                "overlaps": _overlaps(configuration, overlaps, tasks, task_titles),
                "provenance": _provenance(configuration),
                "older": configuration.older,
            }
        )
    return render("dashboard.html", policy=policy_with_script(SCRIPT), script=SCRIPT, sections=sections)


def page_name(model: str, backend: str, recipe: str = "") -> str:
    """Return the file name of a cell's page; a recipe is a name and at most one point of a grid.

    >>> page_name("mlp", "jax"), page_name("mlp", "torch", "original"), page_name("mlp", "jax", "original lr0.5x")
    ('mlp.html', 'mlp.torch.html', 'mlp.lr0.5x.html')
    """
    parts = (model, recipe.partition(" ")[2], "torch" if backend == "torch" else "", "html")
    return ".".join(part for part in parts if part)


def _ordered(names: Iterable[str], order: Sequence[str]) -> list[str]:
    places = {name: place for place, name in enumerate(order)}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))


def _line(configuration: Configuration, split: str, model: str, tasks: Sequence[str], has_page: HasPage) -> Line:
    rows = [configuration.cells.get((task, model), {}).get(split) for task in tasks]
    scores = [_score(row, has_page) for row in rows]
    epochs = sorted({row.epochs for row in rows if row})
    several = len(configuration.epochs) > 1
    return Line(
        model=model,
        epochs=", ".join(counted(value, "epoch") for value in epochs) if several else "",
        scores=scores,
        average=_average(scores) if len(tasks) > 1 else None,
    )


def _score(row: BenchmarkRow | None, has_page: HasPage) -> Score:
    if row is None:
        return Score("missing")
    link = None
    if has_page(row):
        link = f"../artifacts/{quote(row.task)}/{quote(page_name(row.model, row.backend, row.recipe))}"
    if row.accuracy is None or row.loss is None:
        return Score("diverged", link=link)
    texts = {
        "accuracy": (percent(row.accuracy), "" if row.accuracy_std is None else f"{100 * row.accuracy_std:.1f}"),
        "loss": (decimal(row.loss), "" if row.loss_std is None else decimal(row.loss_std)),
    }
    return Score("done", row.accuracy, row.loss, texts, link)


def _average(scores: Sequence[Score]) -> Score:
    accuracies = [score.accuracy for score in scores if score.accuracy is not None]
    losses = [score.loss for score in scores if score.loss is not None]
    if len(accuracies) < len(scores):
        return Score("incomplete")
    accuracy, loss = sum(accuracies) / len(scores), sum(losses) / len(scores)
    return Score("done", accuracy, loss, {"accuracy": (percent(accuracy), ""), "loss": (decimal(loss), "")})


def _overlaps(
    configuration: Configuration, overlaps: Sequence[OverlapRow], tasks: Sequence[str], titles: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the lines of the overlap table: the draws that this configuration's cells were trained and tested on."""
    drawn = [row for row in overlaps if (row.seed, row.n_samples) == (configuration.seed, configuration.n_samples)]
    return [
        {
            "task": titles.get(row.task) or row.task,
            "split": row.split,
            "overlap": count(row.overlap_count),
            "total": count(row.test_total),
            "rate": percent(row.overlap_rate),
        }
        for task in tasks
        for row in drawn
        if row.task == task
    ]


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
