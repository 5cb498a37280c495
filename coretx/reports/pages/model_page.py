"""The page of one cell: what it scored, how it learned, what it looks at, where it errs, how to get it again."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coretx.evaluation.intervals import Summary
from coretx.models.spec import InputShape
from coretx.records.cell_config import CellConfig, flat
from coretx.records.results import ModelResult
from coretx.reports.pages import group_tables as breakdown
from coretx.reports.pages import headline as glance
from coretx.reports.pages import model_figures as plots
from coretx.reports.pages import score_context as footing
from coretx.reports.pages.attention_tables import looks
from coretx.reports.pages.data_seeds import data_spread, draws_of
from coretx.reports.pages.diagram import diagram
from coretx.reports.pages.formatting import DASH, between, count, counted, decimal, percent, plain, seconds, signed
from coretx.reports.pages.misclassified import Misclassified, by_kind, misclassified
from coretx.reports.pages.templating import POLICY, render
from coretx.reports.pages.tensors import tensor_row
from coretx.reports.tables.benchmark import BenchmarkRow, score_rows
from coretx.reports.tables.groups import group_rows, length_rows
from coretx.tasks.base import Task
from coretx.tasks.splits import SPLIT_NAMES

MOST_KINDS = 12
"""At most so many kinds of misclassified rows are shown."""

UNDEFINED = "undefined: one class"
BACKENDS = {"jax": "JAX", "torch": "PyTorch"}


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
    config, own = result.config, score_rows(result)
    rows = [row for row in published if row.id != config.id] + own
    reached = footing.best_reached(rows)
    spread = data_spread(next((row for row in own if row.split == "test"), None), draws_of(rows))
    return render(
        "model_page.html",
        policy=POLICY,
        config=config,
        backend=BACKENDS.get(config.backend, config.backend),
        title=result.title or task.display_title,
        rule=result.rule or task.rule,
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
        question=glance.question(result, task),
        plots=plots.draw(result),
        looks=None if result.explanation is None else looks(result.explanation, task),
        stages=diagram(
            config.hyperparameters.get("architecture", {}),
            InputShape(task.sequence_length, task.feature_dim),
            result.weights,
        ),
        lengths=breakdown.length_lines(length_rows(result)),
        trained_length=count(result.lengths[0].trained) if result.lengths else "",
        groups=breakdown.group_tables(group_rows(result)),
        errors=_test_errors(result, task),
        other_errors=[_other_errors(split, result, task) for split in result.predictions if split != "test"],
        hyperparameters=[(name, plain(value)) for name, value in flat(config.hyperparameters).items()],
        parameters=[tensor_row(name, weight) for name, weight in result.weights.items()],
        parameter_count=counted(result.parameters, "parameter"),
        provenance=_provenance(result),
        command=result.provenance.command,
    )


def _headline(result: ModelResult, reached: footing.Reached) -> dict[str, Any] | None:
    if "test" not in result.scores:
        return None
    scores, known = result.scores["test"], result.summaries("test")["accuracy"]
    ceiling = result.ceilings.get(result.view)
    return {
        "accuracy": _score(known, percent),
        "verdict": glance.verdict(known, scores.chance, ceiling, glance.side_used_up(result)),
        "scale": glance.scale(known, scores.chance, ceiling),
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
        "values": _score_cells(result.summaries(split), one_class),
        "last": _score_cells(result.summaries(split, last=True), one_class) if split in result.last_scores else None,
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


def _test_errors(result: ModelResult, task: Task) -> dict[str, Any] | None:
    """Return the misclassified test rows by kind, None for a cell without predictions."""
    if "test" not in result.predictions:
        return None
    kinds = []
    for kind in by_kind(result.predictions["test"], task):
        found, rows = kind.found, f"{count(kind.found.rows)} of {count(kind.rows)} rows"
        kinds.append(
            {
                "name": f"{kind.name}, label {kind.label}" if kind.name else f"label {kind.label}",
                "total": f"{counted(found.distinct, 'distinct input')} in {rows}",
                "examples": _examples(found, result, task),
                "distinct": found.distinct,
            }
        )
    return {"kinds": kinds[:MOST_KINDS], "left_out": len(kinds[MOST_KINDS:])}


def _other_errors(split: str, result: ModelResult, task: Task) -> dict[str, Any]:
    found = misclassified(result.predictions[split])
    rows = count(len(result.predictions[split].y))
    return {
        "name": SPLIT_NAMES[split],
        "total": f"{counted(found.distinct, 'distinct input')} in {count(found.rows)} of {rows} rows",
        "examples": _examples(found, result, task),
        "distinct": found.distinct,
    }


def _examples(found: Misclassified, result: ModelResult, task: Task) -> list[dict[str, Any]]:
    return [
        {
            "input": task.render(example.row),
            "label": example.label,
            "probability": f"{example.probability:.3f}",
            "margin": signed(example.margin),
            "wrong": f"{example.wrong}/{result.config.members}",
            "times": example.times,
        }
        for example in found.examples
    ]


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
