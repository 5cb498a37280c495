"""The page of a comparison of two runs: what differs, by how much, and how sure that is."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from coretx.records.cell_config import CellConfig
from coretx.records.results import ModelResult
from coretx.reports.pages.formatting import DASH, counted, decimal, percent, points, seconds
from coretx.reports.pages.run_comparison import Pair, RunComparison
from coretx.reports.pages.templating import POLICY, render
from coretx.reports.pages.verdicts import Said, said
from coretx.reports.tables.comparisons import QUESTIONS, answer
from coretx.reports.tables.configurations import ordered

Link = Callable[[ModelResult], str | None]
"""Returns the address of a cell's page as seen from this one, None where there is none."""


def render_comparison(
    found: RunComparison,
    names: tuple[str, str],
    runs: tuple[Sequence[ModelResult], Sequence[ModelResult]],
    *,
    links: tuple[Link, Link],
    titles: dict[str, str],
    task_order: Sequence[str],
    model_order: Sequence[str],
) -> str:
    """Return the page as one self-contained HTML file; `names` are what the two runs are called."""
    order = (list(task_order), list(model_order))
    pairs = sorted(found.pairs, key=lambda pair: _place(pair, *order))
    return render(
        "comparison.html",
        policy=POLICY,
        names=names,
        sides=[_side(name, run) for name, run in zip(names, runs, strict=True)],
        compared=counted(found.compared, "cell"),
        summary=_summary(pairs),
        differing=found.differing,
        lines=[_line(pair, links, titles) for pair in pairs],
        alone=[
            (name, [_words(config) for config in configs])
            for name, configs in zip(names, (found.only_first, found.only_second), strict=True)
            if configs
        ],
        older=found.older,
    )


def answers(pair: Pair) -> tuple[Said, ...]:
    """Return what is known of a pair: of these runs, and of the recipe; nothing where it was not compared."""
    if pair.runs is None:
        return ()
    return tuple(said(name, answer(getattr(pair, question))) for question, name in QUESTIONS.items())


def _summary(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    """Return how often each verdict is given, for either question."""
    found = [answers(pair) for pair in pairs if pair.runs is not None]
    lines = []
    for place, name in enumerate(QUESTIONS.values()):
        counts = Counter(line[place].verdict for line in found)
        lines.append((name, ", ".join(f"{verdict} in {times}" for verdict, times in counts.most_common())))
    return lines


def _place(pair: Pair, tasks: list[str], models: list[str]) -> tuple:
    config = pair.first.config
    place = [
        ordered([*names, name], names).index(name) for name, names in ((config.task, tasks), (config.model, models))
    ]
    return (*place, config.task, config.model, config.backend, config.split, config.n_samples, config.seed)


def _side(name: str, run: Sequence[ModelResult]) -> tuple[str, list[tuple[str, str]]]:
    """Return what a run is: its cells, engines, commits, dates, devices."""
    dates = sorted(result.provenance.date[:10] for result in run)

    def several(values: Any) -> str:
        return ", ".join(sorted({str(value) for value in values}))

    return name, [
        ("Cells", str(len(run))),
        ("Engine", several(result.config.backend for result in run)),
        ("Recipe", several(result.config.recipe for result in run)),
        ("Commit", several(result.provenance.commit for result in run)),
        ("Version", several(result.provenance.version for result in run)),
        ("Device", several(result.config.device for result in run)),
        ("Trained", " to ".join(dict.fromkeys((dates[0], dates[-1])))),
    ]


def _line(pair: Pair, links: tuple[Link, Link], titles: dict[str, str]) -> dict[str, Any]:
    config = pair.first.config
    both = (pair.first, pair.second)
    return {
        "task": titles.get(config.task) or config.task,
        "model": config.model,
        "setting": _setting(config),
        "scores": [(_accuracy(result), link(result)) for result, link in zip(both, links, strict=True)],
        "losses": [_loss(result) for result in both],
        "seconds": [_seconds(result) for result in both],
        "members": pair.members,
        "why_not": pair.why_not,
        "points": "" if pair.runs is None else points(pair.runs.difference),
        "said": answers(pair),
    }


def _setting(config: CellConfig) -> str:
    parts = [f"{config.split} splits", f"n = {config.n_samples:,}", f"seed {config.seed}"]
    return " · ".join(parts[:1] + [f"{config.negatives} negatives"] * (config.negatives != "natural") + parts[1:])


def _accuracy(result: ModelResult) -> str:
    return percent(float(result.scores["test"].accuracy.mean())) if "test" in result.scores else result.status


def _loss(result: ModelResult) -> str:
    return decimal(float(result.scores["test"].loss.mean())) if "test" in result.scores else DASH


def _seconds(result: ModelResult) -> str:
    total = result.provenance.seconds.get("total")
    return DASH if total is None else seconds(total)


def _words(config: CellConfig) -> str:
    return f"{config.task} {config.model} ({config.backend}, {_setting(config)}, {config.recipe} recipe)"
