"""A run: tasks x models, trained side by side, logged and reported as they finish."""

import math
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from coretx import provenance
from coretx.config import RunConfig
from coretx.data import Dataset, overlap_count, prepare_data
from coretx.models.spec import InputShape
from coretx.plan import PROTOCOL, Cell, Plan, TaskRun, make_plan
from coretx.plugins import Catalogue
from coretx.progress import Progress
from coretx.reports import publish
from coretx.results import CellConfig, ModelResult, Overlap, Provenance, RunRecord
from coretx.runlog.base import RunLog, Tee
from coretx.runlog.jsonl import JsonLinesLog
from coretx.runlog.session import Session
from coretx.runlog.wandb import WandbLog
from coretx.store import cell_path, load_result, save_result
from coretx.training import History, OnEpoch, Population, first_divergence, predict, score, start, train
from coretx.version import __version__
from coretx.workers import Event, SideBySide


@dataclass
class Outcome:
    """What a run leaves: results in the order they finished, reused cells, and whether it was cut short."""

    results: list[ModelResult] = field(default_factory=list)
    reused: list[CellConfig] = field(default_factory=list)
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 where every cell is done, 1 where one diverged, 130 where the run was interrupted."""
        if self.interrupted:
            return 130
        return int(any(result.status != "done" for result in self.results))


def run(config: RunConfig) -> Outcome:
    """Plan and execute: what the command line does, for Python. Raises as `make_plan` and `execute` do."""
    return execute(make_plan(config))


def execute(plan: Plan) -> Outcome:
    """Train every cell of the plan, and write its logs, files and pages below `config.out`.

    Raises UsageError where a task breaks its contract, before anything is written, and OutputError where the disk
    refuses. Ctrl-C keeps the finished cells, rebuilds the dashboard and returns.
    """
    outcome = Outcome()
    with Progress() as progress:
        for note in plan.notes:
            progress.note(note)
        progress.start(sum(len(task_run.cells) for task_run in plan.runs))
        Experiment(plan.config, plan.catalogue, progress, outcome).run(plan.runs)
        progress.summary(outcome.results, [plan.config.out / "benchmarks" / "index.html"])
    return outcome


@dataclass(eq=False)
class OpenRun:
    """A task's run while its cells train: its log is open from the first of them to the last."""

    task_run: TaskRun
    data: Mapping[str, Dataset]
    record: RunRecord
    log: RunLog
    left: int
    started: bool = False
    failed: bool = False


@dataclass(frozen=True, eq=False)
class Job:
    """A cell to train, under its log prefix, and the run it belongs to."""

    prefix: str
    cell: Cell
    run: OpenRun


@dataclass(frozen=True)
class Experiment:
    """The parent's side of a run: it alone owns logs, display, CSV and pages."""

    config: RunConfig
    catalogue: Catalogue
    progress: Progress
    outcome: Outcome
    session: Session = field(default_factory=Session)

    def run(self, runs: Sequence[TaskRun]) -> None:
        """Train every cell that is not reused and keep what comes of it; the dashboard is written in any case."""
        opened = [self.open(task_run) for task_run in runs]
        jobs = [Job(prefix, cell, run) for run in opened for prefix, cell in run.task_run.cells.items()]
        jobs = [job for job in jobs if not self.reused(job)]
        workers = min((job.cell.backend.side_by_side for job in jobs), default=1)
        training = SideBySide(jobs, self.train, workers)
        in_hand: list[Event[Job, ModelResult]] = []
        try:
            for event in training:
                in_hand = [event]
                self.handle(event)
                in_hand = []
        except KeyboardInterrupt:
            self.outcome.interrupted = True
            self.progress.note("interrupted: finished cells are kept, the rest is dropped")
            training.stop()
            rest = [*in_hand, *training]
            finished = [event.job for event in rest if event.kind == "done"]
            for event in rest:
                if event.job in finished:
                    self.handle(event)
        finally:
            training.join()
            for run in opened:
                if run.started and run.left:
                    run.log.finish("interrupted" if self.outcome.interrupted else "failed")
            publish.publish_dashboard(self.config.out, **self.catalogue.order())

    def open(self, task_run: TaskRun) -> OpenRun:
        """Draw a run's data and prepare its log, which says nothing before the first cell starts."""
        task, n, seed = task_run.task, task_run.n_samples, task_run.seed
        data = {"train": prepare_data(n, seed, task=task), "test": prepare_data(n, seed + 1, task=task)}
        overlap = Overlap(task.name, PROTOCOL, seed, n, overlap_count(data["train"], data["test"]), len(data["test"]))
        configs = {prefix: cell.config for prefix, cell in task_run.cells.items()}
        record = RunRecord(task.name, task.display_title, seed, n, configs, overlap, provenance.commit(), __version__)
        folder = self.config.out / "artifacts" / task.name / "runs"
        wandb = WandbLog(self.config.wandb, self.config.out, self.progress.note, self.session)
        return OpenRun(task_run, data, record, Tee([JsonLinesLog(folder), wandb]), len(configs))

    def reused(self, job: Job) -> bool:
        """Tell whether the cell's result is there already and may be kept, and say so if it is."""
        config = job.cell.config
        result = load_result(cell_path(self.config.out, config)) if self.config.reuse else None
        if result is None or result.status != "done":
            return False
        job.run.left -= 1
        self.outcome.reused.append(config)
        self.progress.cell_reused(config)
        return True

    def train(self, job: Job, on_epoch: OnEpoch) -> ModelResult:
        """Train a job's cell, in a worker's thread."""
        result = train_cell(job.cell, job.run.data, on_epoch)
        command = reproducing_command(job.cell.config, self.config.plugin)
        return replace(result, provenance=replace(result.provenance, command=command))

    def handle(self, event: Event[Job, ModelResult]) -> None:
        """Log, show and write what a worker tells."""
        job, run = event.job, event.job.run
        if event.error is not None:
            raise event.error
        if event.kind == "started":
            if not run.started:
                run.started = True
                run.log.start(run.record)
                publish.publish_overlap(run.record.overlap, self.config.out)
            self.progress.cell_started(job.cell.config)
        elif event.record is not None:
            run.log.epoch(job.prefix, event.record)
            self.progress.epoch(job.cell.config, event.record)
        elif event.result is not None:
            self.keep(job, event.result)

    def keep(self, job: Job, result: ModelResult) -> None:
        """Write a finished cell: its files, its page and rows, its log's end."""
        save_result(result, self.config.out)
        publish.publish_model(result, job.cell.task, job.cell.spec.claim, self.config.out)
        job.run.log.model_done(job.prefix, result)
        self.outcome.results.append(result)
        self.progress.cell_done(result)
        job.run.left -= 1
        job.run.failed |= result.status != "done"
        if job.run.left == 0:
            job.run.log.finish("failed" if job.run.failed else "done")


def train_cell(cell: Cell, data: Mapping[str, Dataset], on_epoch: OnEpoch) -> ModelResult:
    """Train one population and return all that it leaves; its files and logs are the parent's."""
    begun = time.perf_counter()
    config = cell.config
    access = cell.backend.open(
        cell.spec, InputShape(cell.task.sequence_length, cell.task.feature_dim), config.members, config.dtype
    )
    population = Population(cell.spec, config.seed, config.task, config.members, config.dtype)
    start(access, population)
    history = train(access, population, data, on_epoch)
    failure = divergence_message(history)
    predictions = {} if failure else predict(access, data)
    scores = score(predictions)
    state = access.state()
    return ModelResult(
        config=config,
        provenance=cell_provenance(cell, access.seconds | {"total": time.perf_counter() - begun}),
        status="diverged" if failure else "done",
        parameters=sum(math.prod(shape) for shape in access.manifest.values()),
        history=history,
        weights={name: state[f"parameters/{name}"] for name in access.manifest},
        scores=scores,
        predictions=predictions,
        failure=failure,
    )


def divergence_message(history: History) -> str | None:
    """Return which member's loss was first not finite, and when; None where all stayed finite."""
    found = first_divergence(history)
    return found and f"the loss of member {found[0]} was not finite in epoch {found[1]}"


def cell_provenance(cell: Cell, seconds: Mapping[str, float]) -> Provenance:
    """Return where and when this cell was made."""
    backend = cell.backend
    return Provenance(
        version=__version__,
        commit=provenance.commit(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        device_name=backend.device_name,
        versions=provenance.versions() | backend.versions,
        seconds={name: round(value, 3) for name, value in seconds.items()},
    )


def reproducing_command(config: CellConfig, plugin: Sequence[Path]) -> str:
    """Return the command line that trains this cell again."""
    files = f" --plugin {shlex.join(map(str, plugin))}" if plugin else ""
    return (
        f"python main.py --tasks {config.task} --models {config.model}:{config.backend} --n-samples {config.n_samples} "
        f"--seed {config.seed} --members {config.members} --epochs {config.epochs} --device {config.device}{files}"
    )
