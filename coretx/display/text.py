"""Cells, scores, times and tables as the words that a run prints."""

from collections.abc import Sequence

from coretx.records.results import ModelResult

HEADINGS = ("task", "model", "engine", "seed", "n", "accuracy", "loss", "seconds")


def outcome(result: ModelResult) -> str:
    """Return how a cell ended: its test scores, or where it diverged; and its seconds."""
    if result.status == "diverged":
        return f"diverged: {result.failure} ({_seconds(result)} s)"
    score = result.summary("test")
    scores = f"accuracy {score['accuracy']}, loss {score['loss']}" if "test" in result.scores else result.status
    return f"{scores}, {_seconds(result)} s"


def score_table(results: Sequence[ModelResult]) -> list[str]:
    """Return the lines of a table: headings, then each cell with its test scores and seconds."""
    rows: list[tuple[str, ...]] = [HEADINGS]
    for result in results:
        config, score = result.config, result.summary("test")
        cell = (config.task, config.model, config.backend, str(config.seed), str(config.n_samples))
        rows.append((*cell, score["accuracy"] or result.status, score["loss"], _seconds(result)))
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a line for each row, its columns two spaces apart.

    >>> aligned([("n", "loss"), ("1000", "0.1")])
    ['n     loss', '1000  0.1']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def duration(seconds: float | None) -> str:
    """Return seconds as a clock shows them, `-` where unknown.

    >>> duration(75.4), duration(3600.0), duration(None)
    ('1:15', '1:00:00', '-')
    """
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _seconds(result: ModelResult) -> str:
    return f"{result.provenance.seconds.get('total', 0.0):.1f}"
