"""The dashboard's tables of scores: a line for each model, a score for each task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from coretx.reports.pages.formatting import alike, between, counted, decimal, percent
from coretx.reports.pages.headline import below_chance, used_up
from coretx.reports.pages.score_context import Reached
from coretx.reports.pages.table_footer import draw_of
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.configurations import Configuration

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

    `below` tells that the score is below chance by more than its intervals, and why where the split makes it so.
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
    below: str = ""

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


def page_name(model: str, backend: str, recipe: str = "") -> str:
    """Return the file name of a cell's page; a recipe is a name and at most one point of a grid.

    >>> page_name("mlp", "jax"), page_name("mlp", "torch", "original"), page_name("mlp", "jax", "original lr0.5x")
    ('mlp.html', 'mlp.torch.html', 'mlp.lr0.5x.html')
    """
    parts = (model, recipe.partition(" ")[2], "torch" if backend == "torch" else "", "html")
    return ".".join(part for part in parts if part)


def score_lines(
    configuration: Configuration,
    split: str,
    models: Sequence[str],
    tasks: Sequence[str],
    has_page: HasPage,
    chances: Mapping[tuple, float],
    reached: Reached,
) -> list[Line]:
    """Return the lines of one split's table; `chances` are those of `column_foot.chances`."""
    return [_line(configuration, split, model, tasks, has_page, chances, reached) for model in models]


def _line(
    configuration: Configuration,
    split: str,
    model: str,
    tasks: Sequence[str],
    has_page: HasPage,
    chances: Mapping[tuple, float],
    reached: Reached,
) -> Line:
    cells = [configuration.cells.get((task, model), {}) for task in tasks]
    scores = [_score(cell.get(split), cell.get("train"), has_page, chances, reached) for cell in cells]
    epochs = sorted({cell[split].epochs for cell in cells if split in cell})
    several = len(configuration.epochs) > 1
    return Line(
        model=model,
        epochs=", ".join(counted(value, "epoch") for value in epochs) if several else "",
        scores=scores,
        average=_average(scores) if len(tasks) > 1 else None,
    )


def _score(
    row: BenchmarkRow | None,
    train: BenchmarkRow | None,
    has_page: HasPage,
    chances: Mapping[tuple, float],
    reached: Reached,
) -> Score:
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
    ceiling = "" if row.ceiling is None or alike(row.ceiling) == 1 else f"ceiling {percent(row.ceiling)}"
    if row.split == "test" and row.ceiling is None and row.view != "full":
        ceiling = f"reached {percent(reached[row.task, row.protocol, row.negatives, row.view])}"
    below = _below(row, train, chances.get(draw_of(row))) if row.split == "test" else ""
    return Score("done", row.accuracy, row.loss, texts, link, bool(row.small_space), ceiling, bool(row.alarm), below)


def _below(row: BenchmarkRow, train: BenchmarkRow | None, chance: float | None) -> str:
    ends = [end for end in (row.accuracy_high, row.accuracy_rows_high) if end is not None]
    if chance is None or not ends or max(ends) >= chance:
        return ""
    return below_chance(chance, used_up(row.protocol, None if train is None else train.rows, row.n_samples))


def _average(scores: Sequence[Score]) -> Score:
    accuracies = [score.accuracy for score in scores if score.accuracy is not None]
    losses = [score.loss for score in scores if score.loss is not None]
    if len(accuracies) < len(scores):
        return Score("incomplete")
    accuracy, loss = sum(accuracies) / len(scores), sum(losses) / len(scores)
    return Score("done", accuracy, loss, {"accuracy": Shown(percent(accuracy)), "loss": Shown(decimal(loss))})


def _between(low: float | None, high: float | None, form: Callable[[float], str]) -> str:
    return "" if low is None or high is None else between((low, high), form)
