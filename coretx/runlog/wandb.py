"""The log in Weights & Biases: one W&B run per task and seed. The only module that imports wandb, and only at need.

Nothing that goes wrong in W&B leaves this module: it is said in one line and the training goes on without that log.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from coretx.records.results import ModelResult, RunRecord
from coretx.runlog import panels, rows
from coretx.runlog.base import Status
from coretx.runlog.rows import KEYS
from coretx.runlog.session import Mode, Session
from coretx.training.loop import EpochRecord

PROJECT = "transformer-scratchpad-{task}"
RUN_NAME = "seed {seed}, n {n_samples}"

LINE_PLOTS = {
    "loss": "loss_train",
    "accuracy_train_history": "accuracy_train",
    "loss_val_history": "loss_val",
    "accuracy_val_history": "accuracy_val",
    "loss_test_history": "loss_test",
    "accuracy_test_history": "accuracy_test",
}
"""Name of a `plot` -> the metric it draws over the epochs, as a mean over members."""
PANELS = {
    "line": ("wandb/lineseries/v0", {"lineKey": "lineKey", "step": "step", "lineVal": "lineVal"}),
    "roc": ("wandb/area-under-curve/v0", {"class": "class", "x": "fpr", "y": "tpr"}),
    "pr": ("wandb/area-under-curve/v0", {"class": "class", "x": "recall", "y": "precision"}),
    "confusion": (
        "wandb/confusion_matrix/v1",
        {"Actual": "Actual", "Predicted": "Predicted", "nPredictions": "nPredictions"},
    ),
}
"""Kind -> W&B's definition of the panel, and its fields by the columns of our table, in their order.

`line` draws a `plot`; the others are each a `panel` of every split that was scored."""
AXES = {
    "roc": {"x-axis-title": "False positive rate", "y-axis-title": "True positive rate"},
    "pr": {"x-axis-title": "Recall", "y-axis-title": "Precision"},
}
EXIT_CODES: Mapping[Status, int] = {"done": 0, "failed": 1, "interrupted": 130}
SETTINGS: Mapping[str, Any] = {
    "console": "off",
    "silent": True,
    "x_disable_stats": True,  # with x_disable_meta: init takes 0.09 s, not 0.66 s, and stores no environment
    "x_disable_meta": True,
    "init_timeout": 20,
    "finish_timeout": 30,  # the default waits without limit
    "finish_timeout_raises": True,
}


class WandbLog:
    """Logs one run to W&B; with `mode` auto where WANDB_MODE says, else online if this machine is logged in.

    Online without a login or without a server becomes offline. There is never a prompt, and nothing is raised.
    Files go to WANDB_DIR if set, else to `folder`. `say` receives whole lines. Logs of one program share a `session`;
    a log alone makes its own.
    """

    def __init__(self, mode: Mode, folder: Path, say: Callable[[str], None], session: Session | None = None) -> None:
        self._mode: Mode = mode
        self._folder = Path(os.environ.get("WANDB_DIR") or folder)
        self._say = say
        self._session = Session() if session is None else session
        self._handle: Any = None
        self._place = ""
        self._failed = False
        self._histories = panels.Histories()

    def start(self, run: RunRecord) -> None:
        """Open the W&B run and declare each model's own hidden step."""
        self._run = run
        with self._guarded("start"):
            self._session.resolve(self._mode, _logged_in)
            if self._session.mode == "disabled":
                return
            self._handle = self._open()
            self._place = self._handle.settings.sync_dir
            for prefix in run.cells:
                step = KEYS["step"].format(prefix=prefix)
                self._handle.define_metric(step, hidden=True)
                self._handle.define_metric(KEYS["metric"].format(prefix=prefix, name="*"), step_metric=step)

    def epoch(self, prefix: str, record: EpochRecord) -> None:
        """Log one epoch of one model in one call: means over members, their spread, and line plots where due."""
        self.epochs([(prefix, record)])

    def epochs(self, records: Sequence[tuple[str, EpochRecord]]) -> None:
        """Log several epochs, of one model after the other or by turns; in one go, which costs W&B 0.6 of the time."""
        if self._handle is None or self._failed:
            return
        with self._guarded("epoch"):
            built = [self._row(prefix, record) for prefix, record in records]
            for row in built:
                self._handle.log(row)

    def model_done(self, prefix: str, result: ModelResult) -> None:
        """Log the panels and exact final scores of one model; of a diverged one only that, in the summary."""
        if self._handle is None or self._failed:
            return
        with self._guarded("model_done"):
            row: dict[str, Any] = {KEYS["step"].format(prefix=prefix): result.config.epochs - 1}
            for split in result.scores:
                row |= _split_panels(prefix, split, result)
            row |= rows.ends(prefix, result)
            if result.scores:
                self._handle.log(row)
            for name, value in rows.facts(result).items():
                self._handle.summary[KEYS["fact"].format(prefix=prefix, name=name)] = value

    def finish(self, status: Status) -> None:
        """Close the W&B run; online this waits for the upload, but not for ever."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with self._guarded("finish"):
                handle.finish(exit_code=EXIT_CODES[status])

    def _row(self, prefix: str, record: EpochRecord) -> dict[str, Any]:
        """Return what one epoch of one model logs."""
        means, stds = panels.summarise(record.metrics)
        self._histories.add(prefix, record, means)
        row: dict[str, Any] = {KEYS["step"].format(prefix=prefix): record.epoch}
        row |= rows.named("metric", means, stds, prefix=prefix)
        epochs = self._run.cells[prefix].epochs
        if record.epoch in panels.plot_epochs(epochs):
            last = record.epoch == epochs - 1
            row |= _line_plots(prefix, self._histories, panels.MAX_POINTS if last else panels.PASSING_POINTS)
        return row

    @contextmanager
    def _guarded(self, verb: str) -> Iterator[None]:
        """Turn whatever W&B raises into one line: an hour's training must not end because its log failed."""
        try:
            yield
        except Exception as error:
            if not self._failed:
                kept = f", what it has so far: wandb sync {self._place}" if self._place else ""
                self._say(f"W&B: {verb} failed ({_first_line(error)}); {self._run.task} goes on without it{kept}")
            self._failed = True

    def _open(self) -> Any:
        """Return the open W&B run, offline where online fails."""
        session = self._session
        if session.mode == "online":
            try:
                handle = self._init("online")
            except Exception as error:  # CommError, AuthenticationError, UsageError: the set grows with each release
                session.fall_back(f"no connection: {_first_line(error)}")
            else:
                self._say(f"W&B: {self._run.task} is logged to {handle.url}")
                return handle
        handle = self._init("offline")
        session.say_once(session.where(Path(handle.settings.sync_dir).parent, self._folder), self._say)
        return handle

    def _init(self, mode: Literal["online", "offline"]) -> Any:
        wandb = import_wandb()
        with suppress(OSError):  # then wandb takes its temporary folder, and `where` says so
            self._folder.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=PROJECT.format(task=self._run.task),
            name=RUN_NAME.format(seed=self._run.seed, n_samples=self._run.n_samples),
            dir=str(self._folder),
            config=rows.config(self._run),
            mode=mode,
            reinit="create_new",  # runs of several tasks may be open at once
            settings=wandb.Settings(**{**SETTINGS, **self._session.settings}),
        )


def import_wandb() -> Any:
    """Return the package, imported at need: 0.6 s. Unless asked it reports no timings of itself, a seventh of a row."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    return wandb


def _logged_in() -> bool:
    """Return whether W&B has credentials, without a prompt and without asking the server."""
    wandb = import_wandb()
    wandb.setup(settings=wandb.Settings(silent=True, mode="online"))  # or WANDB_MODE=offline answers for --wandb online
    return wandb.login(prompt=False, verify=False)


def _line_plots(prefix: str, histories: panels.Histories, limit: int) -> dict[str, Any]:
    plots = {}
    for name, metric in LINE_PLOTS.items():
        drawn, points = panels.curve_rows({metric: histories.curve(prefix, metric)}, limit)
        title = f"{prefix}: {metric}{_thinned(len(drawn), points)}"
        if drawn:
            plots[KEYS["plot"].format(prefix=prefix, name=name)] = _panel(
                "line", drawn, {"title": title, "xname": "epoch"}
            )
    return plots


def _split_panels(prefix: str, split: str, result: ModelResult) -> dict[str, Any]:
    """Return ROC, PR (none for a split with one class) and confusion matrix of one split."""
    scores = result.scores[split]
    built = {}
    for name, lines in panels.curve_lines(scores, result.predictions.get(split)).items():
        drawn, points = panels.curve_rows(lines)
        title = f"{prefix}: {name.upper()}, {split}{_thinned(len(drawn), points)}"
        if drawn:
            built[name] = _panel(name, drawn, {"title": title, **AXES[name]})
    title = f"{prefix}: confusion matrix, {split}"
    built["confusion"] = _panel("confusion", panels.confusion_rows(scores), {"title": title})
    return {KEYS["panel"].format(prefix=prefix, split=split, name=name): panel for name, panel in built.items()}


def _panel(kind: str, points: list[list[Any]], strings: dict[str, str]) -> Any:
    """Return the panel that wandb.plot builds, without its need of pandas, of predictions, or of thrice the time."""
    wandb = import_wandb()
    definition, fields = PANELS[kind]
    table = wandb.Table(columns=list(fields.values()), data=points[:1], optional=False)
    table.data.extend(points[1:])  # they are like the first: W&B would find out the types of each, in 27 us
    return wandb.plot_table(definition, table, fields, strings)


def _thinned(shown: int, points: int) -> str:
    return f" ({shown} of {points} points)" if shown < points else ""


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
