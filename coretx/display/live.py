"""What is known of a run while it goes on: the cells planned, in training, done and failed. No drawing here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from coretx.records.cell_config import CellConfig
from coretx.records.results import ModelResult
from coretx.training.loop import EpochRecord

SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 12
"""Characters of a sparkline, at most."""


@dataclass
class LiveCell:
    """One cell in training: when it began (seconds of the clock), its train rows, what it said last, and when."""

    config: CellConfig
    began: float
    rows: int = 0
    record: EpochRecord | None = None
    heard: float = 0.0
    curve: list[Float[np.ndarray, " member"]] = field(default_factory=list)
    """Accuracy on test after every epoch so far."""

    def hear(self, record: EpochRecord, now: float) -> None:
        """Keep what an epoch measured; means are taken when something is drawn, not here."""
        self.record, self.heard = record, now
        if "accuracy_test" in record.metrics:
            self.curve.append(record.metrics["accuracy_test"])

    @property
    def epochs(self) -> int:
        """Epochs trained so far."""
        return 0 if self.record is None else self.record.epoch + 1

    @property
    def share(self) -> float:
        """How much of the cell is trained, in [0, 1]."""
        return self.epochs / self.config.epochs

    @property
    def steps_per_second(self) -> float | None:
        """Optimizer steps a second over all members, compilation included; None where batch or rows are not known."""
        batch = self.config.batch_size
        if not batch or not self.rows or self.heard <= self.began:
            return None
        steps = -(-self.rows // batch) * self.epochs * self.config.members
        return steps / (self.heard - self.began)

    def left(self, now: float) -> float | None:
        """Seconds until the last epoch, None before the first."""
        if not self.share:
            return None
        return max((self.heard - self.began) * (1 / self.share - 1) - (now - self.heard), 0.0)

    @property
    def spark(self) -> str:
        """Accuracy on test so far as a sparkline, the mean over members at a few epochs; empty before the second."""
        if len(self.curve) < 2:
            return ""
        places = np.linspace(0, len(self.curve) - 1, min(SPARK_WIDTH, len(self.curve))).round().astype(int)
        return sparkline([float(np.mean(self.curve[place])) for place in places])

    def state(self, now: float, width: int = 100) -> str:
        """Return where the cell stands: epoch, time left, means over members, speed; without train where too wide."""
        means = {} if self.record is None else {key: f"{np.mean(v):.3f}" for key, v in self.record.metrics.items()}
        train, test, right = (means.get(key, "-") for key in ("loss_train", "loss_test", "accuracy_test"))
        stands = f"epoch {self.epochs}/{self.config.epochs}, {duration(self.left(now))} left"
        speed = "" if self.steps_per_second is None else f", {self.steps_per_second:,.0f} steps/s"
        if not means:
            return f"{stands}{speed}"
        full = f"{stands}, loss {train} train {test} test, accuracy {right} test{speed}"
        return full if len(full) <= width else f"{stands}, test loss {test} accuracy {right}{speed}"


@dataclass
class Board:
    """A run as it stands. Several cells may train at once; `failed` has a line for each that diverged or alarmed."""

    clock: Callable[[], float]
    began: float = 0.0
    total: int = 0
    planned: Sequence[CellConfig] = ()
    finished: int = 0
    reused: int = 0
    failed: list[str] = field(default_factory=list)
    training: dict[str, LiveCell] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    """By the id of a cell: its accuracy on test in percent, `reused`, or `failed`."""

    @property
    def cells(self) -> list[LiveCell]:
        """The cells in training, in the order in which they began."""
        return list(self.training.copy().values())

    def left(self) -> float | None:
        """Seconds until the last cell, from the pace of the cells trained so far; None while there is none."""
        trained = self.finished - self.reused + sum(cell.share for cell in self.cells)
        if not trained:
            return None
        return (self.clock() - self.began) / trained * max(self.total - self.reused - trained, 0.0)

    @property
    def grid(self) -> Mapping[str, Mapping[str, list[CellConfig]]]:
        """The planned cells by task and model, in the order of the plan."""
        found: dict[str, dict[str, list[CellConfig]]] = {}
        for config in self.planned:
            found.setdefault(config.task, {}).setdefault(config.model, []).append(config)
        return found

    def stand(self, configs: Sequence[CellConfig]) -> str:
        """Return how far these cells of one task and model are, in a few characters.

        One cell: `·` waiting, its share while it trains, then its accuracy, `reused` or `failed`. Several: how many
        have ended.
        """
        if len(configs) == 1 and (config := configs[0]).id in self.ended:
            return self.ended[config.id]
        live = [cell for config in configs if (cell := self.training.get(config.id))]
        ended = sum(config.id in self.ended for config in configs)
        if len(configs) > 1 and (ended or live):
            broken = any(self.ended.get(config.id) == "failed" for config in configs)
            return f"{ended}/{len(configs)}" + (" failed" if broken else "")
        return f"{100 * live[0].share:.0f} %" if live else "·"

    def end(self, result: ModelResult) -> None:
        """Keep how a cell ended."""
        self.training.pop(result.config.id, None)
        self.finished += 1
        self.ended[result.config.id] = "failed"
        if result.status == "diverged":
            self.failed.append(f"{name(result.config)} diverged")
        elif "test" in result.scores:
            self.ended[result.config.id] = f"{100 * result.scores['test'].accuracy.mean():.1f}"
        if result.alarm:
            self.failed.append(f"{name(result.config)} is above its ceiling")

    def reuse(self, config: CellConfig) -> None:
        """Keep that a cell stands on disk already."""
        self.finished += 1
        self.reused += 1
        self.ended[config.id] = "reused"


def sparkline(values: Sequence[float], low: float = 0.5, high: float = 1.0) -> str:
    """Return a character for each value, from the lowest bar at `low` and below to the full one at `high`.

    >>> sparkline([0.4, 0.5, 0.75, 1.0])
    '▁▁▅█'
    """
    shares = [(value - low) / (high - low) for value in values]
    return "".join(SPARKS[round(min(max(share, 0.0), 1.0) * (len(SPARKS) - 1))] for share in shares)


def name(config: CellConfig) -> str:
    """Return the cell as people say it: task, model, engine, seed, n."""
    return f"{config.task} {config.model} ({config.backend}), seed {config.seed}, n {config.n_samples}"


def outcome(result: ModelResult) -> str:
    """Return the end of a cell in a few words."""
    seconds = f"{result.provenance.seconds.get('total', 0.0):.1f} s"
    if result.status == "diverged":
        return f"diverged: {result.failure} ({seconds})"
    return f"{scores_on_test(result)}, {seconds}"


def scores_on_test(result: ModelResult) -> str:
    """Return accuracy and loss on test, as mean ± std over members."""
    if "test" not in result.scores:
        return result.status
    scores = result.scores["test"]
    return f"accuracy {_number(scores.accuracy)}, loss {_number(scores.loss)}"


def table(results: Sequence[ModelResult]) -> list[str]:
    """Return the lines of the table at a run's end: what each cell is, its scores on test, its seconds."""
    lines: list[tuple[str, ...]] = [("task", "model", "engine", "seed", "n", "accuracy", "loss", "seconds")]
    for result in results:
        config, scores = result.config, result.scores.get("test")
        numbers = (_number(scores.accuracy), _number(scores.loss)) if scores else (result.status, "")
        took = f"{result.provenance.seconds.get('total', 0.0):.1f}"
        place = (config.task, config.model, config.backend, str(config.seed), str(config.n_samples))
        lines.append((*place, *numbers, took))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(f"{text:{width}}" for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]


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


def _number(values: Float[np.ndarray, " member"]) -> str:
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{spread}"
