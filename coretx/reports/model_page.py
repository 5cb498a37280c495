"""The page of one cell: what the model scored, how it learned, where it errs, and how to get the same again."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from coretx.intervals import Summary, summaries
from coretx.reports import benchmark_csv, breakdown, figures, footing
from coretx.reports.benchmark_csv import BenchmarkRow
from coretx.reports.breakdown_csv import group_rows, length_rows
from coretx.reports.curves import finite_part
from coretx.reports.data_seeds import data_spread, draws_of
from coretx.reports.formatting import DASH, between, count, counted, decimal, percent, plain, seconds
from coretx.reports.misclassified import misclassified
from coretx.reports.templating import POLICY, render
from coretx.results import SPLIT_NAMES, SPLITS, CellConfig, ModelResult, SplitScores
from coretx.tasks.base import Task

SHOWN_VALUES = 64
"""A tensor of at most so many entries is shown value by value."""

DRAWN = tuple(f"{quantity}_{split}" for quantity in ("loss", "accuracy") for split in SPLITS)
"""The quantities of the learning curves, as far as they were measured."""

UNDEFINED = "undefined: one class"
BACKENDS = {"jax": "JAX", "torch": "PyTorch"}


@dataclass(frozen=True)
class Plot:
    """A figure of the page: its SVG and what stands below it."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Score:
    """One number of the scores table: the mean over members, and where there are several their standard deviation and
    the 95 % interval over them; `rows` is the one over rows, or over problems.
    """

    mean: str
    std: str = ""
    members: str = ""
    rows: str = ""


def render_model_page(result: ModelResult, task: Task, *, claim: str, published: Sequence[BenchmarkRow] = ()) -> str:
    """Return the page of a cell as one self-contained HTML file; claim is the sentence that the model's rung tests.

    `published` are the rows of the table: what other draws of data gave, what was reached where no ceiling is known.
    """
    config, own = result.config, benchmark_csv.rows(result)
    rows = [row for row in published if row.id != config.id] + own
    reached = footing.best_reached(rows)
    spread = data_spread(next((row for row in own if row.split == "test"), None), draws_of(rows))
    return render(
        "model_page.html",
        policy=POLICY,
        config=config,
        backend=BACKENDS.get(config.backend, config.backend),
        title=task.display_title,
        rule=task.rule,
        claim=claim,
        alarm=result.alarm,
        floors=footing.floors(result, reached),
        failure=result.failure or "a loss was not finite" if result.status == "diverged" else None,
        members=counted(config.members, "member") if config.members > 1 else "one run",
        headline=_headline(result, reached),
        data=None if spread is None else spread.texts | {"draws": len(spread.seeds)},
        scores=[_score_row(split, result) for split in result.scores],
        best_epoch=footing.best_epoch(result),
        splits=[footing.split_row(split, counts) for split, counts in result.counts.items()],
        plots=_plots(result),
        lengths=breakdown.length_lines(length_rows(result)),
        trained_length=count(result.lengths[0].trained) if result.lengths else "",
        groups=breakdown.group_tables(group_rows(result)),
        errors=[_error_section(split, result, task) for split in result.predictions],
        hyperparameters=[(name, plain(value)) for name, value in _flat(config.hyperparameters)],
        parameters=[_parameter_row(name, weight) for name, weight in result.weights.items()],
        parameter_count=counted(result.parameters, "parameter"),
        provenance=_provenance(result),
        command=result.provenance.command,
    )


def _headline(result: ModelResult, reached: footing.Reached) -> dict[str, Any] | None:
    if "test" not in result.scores:
        return None
    scores = result.scores["test"]
    return {
        "accuracy": _score(summaries(result, "test")["accuracy"], percent),
        "chance": percent(scores.chance),
        "n": count(scores.n),
        "ceiling": footing.ceiling(result, reached),
        "small_space": footing.small_space(scores, result.counts.get("test")),
    }


def _score_row(split: str, result: ModelResult) -> dict[str, Any]:
    """Return a split's lines of the scores table: the chosen epoch's, the last one's where another was chosen, and, as
    `chance`, that of one who knows the class frequencies alone.
    """
    scores, counts = result.scores[split], result.counts.get(split)
    share = scores.positives / scores.n
    entropy = -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)
    one_class = share in (0.0, 1.0)
    return {
        "split": SPLIT_NAMES[split],
        "small_space": footing.small_space(scores, counts),
        "unit": "problems" if counts is not None and counts.small_space else "rows",
        "n": count(scores.n),
        "values": _score_cells(summaries(result, split), one_class),
        "last": _score_cells(summaries(result, split, last=True), one_class) if split in result.last_scores else None,
        "chance": [
            percent(scores.chance),
            decimal(entropy),
            *([DASH] * 2 if one_class else [decimal(0.5), decimal(share)]),
        ],
    }


def _score_cells(known: Mapping[str, Summary], one_class: bool) -> list[Score]:
    ranked = [_score(known["auc"], decimal), _score(known["average_precision"], decimal)]
    return [
        _score(known["accuracy"], percent),
        _score(known["loss"], decimal),
        *([Score(UNDEFINED)] * 2 if one_class else ranked),
    ]


def _score(known: Summary, form: Callable[[float], str]) -> Score:
    if known.mean is None:
        return Score(DASH)
    std = "" if known.std is None else form(known.std)
    return Score(form(known.mean), std, between(known.members, form), between(known.rows, form))


def _plots(result: ModelResult) -> dict[str, list[Plot]]:
    history = finite_part({key: result.history[key] for key in DRAWN if key in result.history})
    curves = [_history_plot(result, history, "loss"), _history_plot(result, history, "accuracy")]
    ranked = {split: scores for split, scores in result.scores.items() if scores.roc}
    if not result.scores:
        return {"curves": curves, "ranking": [], "confusion": []}
    ranking = [_ranking_plot(ranked, "roc"), _ranking_plot(ranked, "pr")] if ranked else []
    confusion = [_confusion_plot(split, scores) for split, scores in result.scores.items()]
    return {"curves": curves, "ranking": ranking, "confusion": confusion}


def _history_plot(result: ModelResult, history: Mapping[str, np.ndarray], quantity: str) -> Plot:
    form = {"loss": decimal, "accuracy": percent}[quantity]
    chance = max((scores.chance for scores in result.scores.values()), default=0.5)
    figure = figures.loss_curves(history) if quantity == "loss" else figures.accuracy_curves(history, chance=chance)
    ends = []
    for split in (split for split in SPLITS if f"{quantity}_{split}" in history):
        mean = history[f"{quantity}_{split}"].mean(axis=0)
        if len(mean):
            ends.append(f"{SPLIT_NAMES[split]} from {form(float(mean[0]))} to {form(float(mean[-1]))}")
    name = quantity.capitalize()
    alt = f"{name} over {counted(result.config.epochs, 'epoch')}: {'; '.join(ends) or 'nothing finite'}."
    band = " Lines are means over members, bands their range." if result.config.members > 1 else ""
    others = "validation and test" if "loss_val" in history else "test"
    caption = f"{name} per epoch. Train is measured while training, {others} after the epoch.{band}"
    return Plot(figures.to_svg(figure, quantity, alt), caption)


def _ranking_plot(scores: Mapping[str, SplitScores], kind: str) -> Plot:
    draw, name, area = {
        "roc": (figures.roc_curves, "ROC curve", "auc"),
        "pr": (figures.pr_curves, "Precision-recall curve", "average_precision"),
    }[kind]
    word = {"roc": "area under the curve", "pr": "average precision"}[kind]
    areas = [
        f"{SPLIT_NAMES[split]} {decimal(float(getattr(split_scores, area).mean()))}"
        for split, split_scores in scores.items()
    ]
    members = len(next(iter(scores.values())).accuracy)
    lines = " A thin line per member, the thick one is their mean." if members > 1 else ""
    return Plot(figures.to_svg(draw(scores), kind, f"{name}; {word}: {', '.join(areas)}."), f"{name}.{lines}")


def _confusion_plot(split: str, scores: SplitScores) -> Plot:
    (true_negative, false_positive), (false_negative, true_positive) = scores.confusion.tolist()
    alt = (
        f"Confusion matrix, {SPLIT_NAMES[split]}: label 0: {true_negative} predicted 0, {false_positive} predicted 1; "
        f"label 1: {false_negative} predicted 0, {true_positive} predicted 1."
    )
    summed = f", summed over {len(scores.accuracy)} members" if len(scores.accuracy) > 1 else ""
    figure = figures.confusion_matrix(scores.confusion, split)
    caption = f"{SPLIT_NAMES[split].capitalize()}: rows by label and prediction{summed}."
    return Plot(figures.to_svg(figure, f"confusion-{split}", alt), caption)


def _error_section(split: str, result: ModelResult, task: Task) -> dict[str, Any]:
    found = misclassified(result.predictions[split])
    examples = [
        {
            "input": task.render(example.row),
            "label": example.label,
            "probability": f"{example.probability:.3f}",
            "predicted": example.predicted,
            "wrong": f"{example.wrong}/{result.config.members}",
            "times": example.times,
        }
        for example in found.examples
    ]
    rows = count(len(result.predictions[split].y))
    total = f"{counted(found.distinct, 'distinct input')} in {count(found.rows)} of {rows} rows"
    return {"split": SPLIT_NAMES[split], "examples": examples, "distinct": found.distinct, "total": total}


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs = []
    for name, value in values.items():
        pairs += _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(f"{prefix}{name}", value)]
    return pairs


def _parameter_row(name: str, weight: Any) -> dict[str, Any]:
    values = np.asarray(weight[0], dtype=np.float64)
    norm = math.sqrt(float(np.square(values).sum())) if np.isfinite(values).all() else math.nan
    return {
        "name": name,
        "shape": " \N{MULTIPLICATION SIGN} ".join(str(size) for size in values.shape) or "scalar",
        "count": count(values.size),
        "norm": f"{norm:.4g}" if math.isfinite(norm) else "not finite",
        "values": _values_text(values) if values.size <= SHOWN_VALUES else None,
    }


def _values_text(values: np.ndarray) -> str:
    """Return the last axis as lines of at most eight values, and a blank line between rows that take several."""
    rows = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values.reshape(1, -1)
    lines = [[row[start : start + 8] for start in range(0, len(row), 8)] for row in rows]
    texts = ["\n".join("  ".join(f"{value: .4f}" for value in line) for line in row) for row in lines]
    return ("\n\n" if rows.shape[1] > 8 else "\n").join(texts)


def _provenance(result: ModelResult) -> list[tuple[str, str]]:
    config, made = result.config, result.provenance
    times = ", ".join(f"{seconds(value)} {name}" for name, value in made.seconds.items())
    return [
        ("Cell", config.id),
        *_protocol(config),
        ("Engine", f"{BACKENDS.get(config.backend, config.backend)}, members {config.strategy}, {config.dtype}"),
        ("Device", f"{config.device}: {made.device_name}"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in made.versions.items())),
        ("Program", f"{made.version}, commit {made.commit}"),
        ("Date", made.date),
        ("Time", times),
    ]


def _protocol(config: CellConfig) -> list[tuple[str, str]]:
    return [
        ("Seed", str(config.seed)),
        ("Members", count(config.members)),
        ("Rows per split", count(config.n_samples)),
        ("Epochs", count(config.epochs)),
        ("Split protocol", config.split),
        ("Negatives", config.negatives),
        ("Recipe", config.recipe),
    ]
