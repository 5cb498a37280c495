"""The dashboard: models by tasks, one table for test and one for train, from the rows of the CSV files alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote

from coretx.reports.benchmark_csv import BenchmarkRow, OverlapRow, SplitRow
from coretx.reports.comparisons_csv import ComparisonRow
from coretx.reports.configurations import Configuration, configurations, ordered
from coretx.reports.data_seeds import Draws, data_spread, draws_of
from coretx.reports.footing import Reached, best_reached
from coretx.reports.formatting import between, counted, decimal, percent, seconds
from coretx.reports.overlap_table import overlap_table
from coretx.reports.templating import SCRIPT, policy_with_script, render
from coretx.reports.verdicts import Gain, Pairs, gain, marks, pairs_of
from coretx.results import SPLIT_NAMES

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
    sections, pairs, reached, draws = [], pairs_of(comparisons), best_reached(rows), draws_of(rows)
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
                        _lines(configuration, split, models, tasks, has_page, pairs, reached),
                    )
                    for split in ordered({row.split for row in configuration.rows}, SPLIT_ORDER)
                ],
                "gains": _gains(configuration, models, tasks, pairs),
                "data": _data(configuration, models, tasks, draws),
                **overlap_table(configuration, overlaps, splits, tasks, task_titles),
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
    reached: Reached,
) -> list[Line]:
    marked: dict[tuple[str, str], str] = {}
    for task in tasks if split == "test" else ():
        cells = {model: row for model in models if (row := configuration.cells.get((task, model), {}).get(split))}
        marked |= {(task, model): mark for model, mark in marks(cells, pairs).items()}
    return [_line(configuration, split, model, tasks, has_page, marked, reached) for model in models]


def _line(
    configuration: Configuration,
    split: str,
    model: str,
    tasks: Sequence[str],
    has_page: HasPage,
    marked: Mapping[tuple[str, str], str],
    reached: Reached,
) -> Line:
    rows = [configuration.cells.get((task, model), {}).get(split) for task in tasks]
    scores = [
        _score(row, has_page, marked.get((task, model), ""), reached) for task, row in zip(tasks, rows, strict=True)
    ]
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


def _data(
    configuration: Configuration, models: Sequence[str], tasks: Sequence[str], draws: Draws
) -> list[tuple[str, list[dict[str, str] | None]]]:
    """Return each model's spread over draws of data by task; none where there is one draw."""
    found = [
        (model, [data_spread(configuration.cells.get((task, model), {}).get("test"), draws) for task in tasks])
        for model in models
    ]
    lines = [(model, [spread and spread.texts for spread in spreads]) for model, spreads in found]
    return lines if any(any(spreads) for _, spreads in lines) else []


def _score(row: BenchmarkRow | None, has_page: HasPage, mark: str, reached: Reached) -> Score:
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
    ceiling = "" if row.ceiling is None or row.ceiling == 1 else f"ceiling {percent(row.ceiling)}"
    if row.split == "test" and row.ceiling is None and row.view != "full":
        ceiling = f"reached {percent(reached[row.task, row.protocol, row.negatives, row.view])}"
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
