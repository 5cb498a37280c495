"""The log in Weights & Biases: one W&B run per task and seed. The only module that imports wandb, and only at need.

No error of W&B leaves this module: a line says what failed, and the training goes on without that log.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from coretx.evaluation.scores import Curve
from coretx.records.results import ModelResult, RunRecord
from coretx.runlog import panels, rows
from coretx.runlog.base import Status
from coretx.training.loop import EpochRecord

Mode = Literal["auto", "online", "offline", "disabled"]
Resolved = Literal["online", "offline", "disabled"]

ENVIRONMENT_MODES: Mapping[str, Resolved] = {
    "": "online",
    "online": "online",
    "offline": "offline",
    "disabled": "disabled",
    "shared": "online",  # for runs with several writers; ours have one
    "run": "online",
    "dryrun": "offline",
}
"""The values of WANDB_MODE and their meaning here; online still needs a login."""

EXIT_CODES: Mapping[Status, int] = {"done": 0, "failed": 1, "interrupted": 130}
SETTINGS: dict[str, Any] = {
    "console": "off",
    "silent": True,
    "x_disable_stats": True,  # with x_disable_meta: init takes 0.09 s, not 0.66 s, and stores no environment
    "x_disable_meta": True,
    "init_timeout": 20,
    "finish_timeout": 30,  # the default waits without limit
    "finish_timeout_raises": True,
}


def resolve_mode(wanted: Mode) -> Resolved | None:
    """Return the wanted mode before any login: `auto` reads WANDB_MODE; None for an unknown value there."""
    return ENVIRONMENT_MODES.get(_environment_mode()) if wanted == "auto" else wanted


def _environment_mode() -> str:
    """Return the value of WANDB_MODE, "" if unset."""
    return os.environ.get("WANDB_MODE", "").strip().lower()


@dataclass
class Session:
    """State that the logs of one program share: one login, each line said once.

    The first log sets `mode`; `reason` says why it is offline if nobody asked for that. `said` holds the lines said so
    far.
    """

    mode: Resolved | None = None
    reason: str = ""
    said: set[str] = field(default_factory=set)

    def resolve(self, wanted: Mode, logged_in: Callable[[], bool]) -> None:
        """Set the mode, once: `auto` obeys WANDB_MODE; online without a login becomes offline."""
        if self.mode is not None:
            return
        value, mode = _environment_mode(), resolve_mode(wanted)
        if value not in ENVIRONMENT_MODES:
            del os.environ["WANDB_MODE"]  # wandb itself refuses to start with an unknown value
        if mode is None:
            self.fall_back(f"WANDB_MODE={value} is none of online, offline, disabled")
        elif mode == "online" and not logged_in():
            self.fall_back("not logged in")
        else:
            self.mode = mode

    def fall_back(self, reason: str) -> None:
        """Go offline, for this run and the later ones."""
        self.mode, self.reason = "offline", reason


class WandbLog:
    """Logs one run to W&B; mode `auto` obeys WANDB_MODE, else is online if this machine is logged in.

    Online without a login or a server becomes offline. There is never a prompt, and nothing is raised. Files go to
    WANDB_DIR if set, else to `folder`. `say` receives whole lines. The logs of one program share a `session`; a
    single log makes its own.
    """

    def __init__(self, mode: Mode, folder: Path, say: Callable[[str], None], session: Session | None = None) -> None:
        self._mode: Mode = mode
        self._folder = Path(os.environ.get("WANDB_DIR") or folder)
        self._say = say
        self._session = Session() if session is None else session
        self._handle: Any = None
        self._place = ""
        self._failed = False
        self._history: dict[str, dict[str, list[tuple[int, float]]]] = {}

    def start(self, run: RunRecord) -> None:
        """Open the W&B run and declare the hidden step of each model."""
        self._run = run
        with self._guarded("start"):
            self._session.resolve(self._mode, _logged_in)
            if self._session.mode == "disabled":
                return
            self._handle = self._open()
            self._place = self._handle.settings.sync_dir
            for prefix in run.cells:
                self._handle.define_metric(rows.step_key(prefix), hidden=True)
                self._handle.define_metric(f"{prefix}/metrics/*", step_metric=rows.step_key(prefix))

    def epoch(self, prefix: str, record: EpochRecord) -> None:
        """Log one epoch of one model in one call: means and spread over members, and line plots where due."""
        if self._handle is None or self._failed:
            return
        with self._guarded("epoch"):
            row: dict[str, Any] = rows.epoch_row(prefix, record)
            history = self._history.setdefault(prefix, {metric: [] for metric in panels.LINE_PLOTS.values()})
            for metric, points in history.items():
                if (mean := row.get(f"{prefix}/metrics/{metric}")) is not None:
                    points.append((record.epoch, mean))
            if record.epoch in panels.plot_epochs(self._run.cells[prefix].epochs):
                curves = {metric: Curve(*np.array(points, float).T) for metric, points in history.items() if points}
                row |= _charts(panels.line_plots(prefix, curves))
            self._handle.log(row)

    def model_done(self, prefix: str, result: ModelResult) -> None:
        """Log a model's panels and exact final scores, none of a diverged one, and its facts in the summary."""
        if self._handle is None or self._failed:
            return
        with self._guarded("model_done"):
            if result.scores:
                row: dict[str, Any] = {rows.step_key(prefix): result.config.epochs - 1}
                for split in result.scores:
                    row |= _charts(panels.split_panels(prefix, split, result))
                self._handle.log(row | rows.final_scores(prefix, result))
            for name, value in rows.facts(prefix, result).items():
                self._handle.summary[name] = value

    def finish(self, status: Status) -> None:
        """Close the W&B run; online this waits for the upload, up to `finish_timeout`."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with self._guarded("finish"):
                handle.finish(exit_code=EXIT_CODES[status])

    @contextmanager
    def _guarded(self, verb: str) -> Iterator[None]:
        """Turn any error of W&B into one line: an hour's training must not end because its log failed."""
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
        line = self._offline_line(Path(handle.settings.sync_dir).parent)
        if line not in session.said:
            session.said.add(line)
            self._say(line)
        return handle

    def _offline_line(self, folder: Path) -> str:
        """Return the line with the folder of the offline runs and the command that sends them.

        wandb falls back to the system's temporary folder without a word if it cannot write to the wanted one.
        """
        reason = f" ({self._session.reason})" if self._session.reason else ""
        moved = "" if folder.resolve().is_relative_to(self._folder.resolve()) else f"; {self._folder} cannot be written"
        return f"W&B: offline{reason}{moved}; runs lie in {folder}, to send them: wandb sync {folder}/offline-run-*"

    def _init(self, mode: Literal["online", "offline"]) -> Any:
        wandb = import_wandb()
        with suppress(OSError):  # wandb then takes its temporary folder, and `_offline_line` says so
            self._folder.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=f"transformer-scratchpad-{self._run.task}",
            name=f"seed {self._run.seed}, n {self._run.n_samples}",
            dir=str(self._folder),
            config=rows.wandb_config(self._run),
            mode=mode,
            reinit="create_new",  # runs of several tasks may be open at once
            settings=wandb.Settings(**SETTINGS),
        )


def import_wandb() -> Any:
    """Return the package, imported at need: 0.6 s. Its error reports, off by default, take a seventh of a row."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    return wandb


def _logged_in() -> bool:
    """Return whether W&B has credentials, without a prompt and without asking the server."""
    wandb = import_wandb()
    wandb.setup(settings=wandb.Settings(silent=True, mode="online"))  # or WANDB_MODE=offline answers for --wandb online
    return wandb.login(prompt=False, verify=False)


def _charts(found: Mapping[str, panels.Panel]) -> dict[str, Any]:
    """Return the panels as wandb.plot builds them, but without pandas, and in a third of the time."""
    wandb, charts = import_wandb(), {}
    for key, panel in found.items():
        definition, fields, labels = panels.FORMATS[panel.kind]
        table = wandb.Table(columns=list(fields.values()), data=panel.rows[:1], optional=False)
        table.data.extend(panel.rows[1:])  # W&B would infer the types of each row again, in 27 us
        charts[key] = wandb.plot_table(definition, table, fields, {"title": panel.title, **labels})
    return charts


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
