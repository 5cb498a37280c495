"""A run from its plan to its pages: data drawn, cells trained side by side, logged and reported as they finish."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from coretx.display.progress import Progress
from coretx.records import provenance
from coretx.records.cell_config import CellConfig
from coretx.records.results import ModelResult, RunRecord
from coretx.records.store import save_result
from coretx.reports import publish
from coretx.reports.tables.files import Tables
from coretx.runlog.base import RunLog, Tee
from coretx.runlog.jsonl import JsonLinesLog
from coretx.runlog.wandb_process import WandbProcess
from coretx.running.interrupts import at_interrupt
from coretx.running.plan import Cell, Plan, TaskRun, concurrent_populations
from coretx.running.reuse import find_reusable
from coretx.running.run_data import RunData, count, draw_all
from coretx.running.train_cell import score_cells, train_cells
from coretx.running.workers import Event, WorkerPool
from coretx.tasks.splits import draw_splits, scarcity
from coretx.training.loop import EpochRecord
from coretx.version import __version__


@dataclass
class Outcome:
    """The outcome of a run: new results in the order of the plan, reused cells, and whether it was interrupted."""

    results: list[ModelResult] = field(default_factory=list)
    reused: list[CellConfig] = field(default_factory=list)
    reused_alarm: bool = False
    """Whether a reused cell is above its ceiling."""
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 where every cell is done, 1 where one diverged or is above its ceiling, 130 after an interruption."""
        if self.interrupted:
            return 130
        return int(self.reused_alarm or any(result.failed for result in self.results))


def execute(plan: Plan) -> Outcome:
    """Train every cell of the plan, and write its logs, files and pages below `config.out`.

    Raises UsageError where a task breaks its contract or a table cannot be added to, before anything is written, and
    OutputError where the disk refuses. Ctrl-C keeps the finished cells, rebuilds the dashboard and returns; an error
    in a cell keeps them too, and is raised then: UsageError where its population does not fit into memory. Of several
    processes that train together, the main one alone writes and shows.
    """
    if not all(cell.backend.is_main_process for cell in plan.cells):
        return follow(plan)
    out, planned = plan.config.out, [cell.config for cell in plan.cells]
    tables = Tables(out)
    with Progress(quiet=plan.config.quiet, color=plan.config.color) as progress:
        for note in plan.notes:
            progress.note(note)
        progress.start(len(planned))
        with WandbProcess(plan.config.wandb, out, progress.note) as wandb:
            outcome = Experiment(plan, progress, wandb, tables).run(draw_all(plan.runs, plan.config))
        outcome.results.sort(key=lambda result: planned.index(result.config))
        tasks = dict.fromkeys(result.config.task for result in outcome.results)
        pages = [publish.task_page_path(out, task) for task in tasks]
        progress.summary(outcome.results, [*pages, out / "benchmarks" / "index.html"])
    return outcome


def follow(plan: Plan) -> Outcome:
    """Train the populations that the main process trains, in its order, without writing or showing."""
    outcome = Outcome()
    for task_run, data in zip(plan.runs, draw_all(plan.runs, plan.config), strict=True):
        for cells in task_run.populations:
            outcome.results += train_cells(list(cells.values()), data, [lambda record: None] * len(cells))
    return outcome


@dataclass(eq=False)
class OpenRun:
    """A task's run while its cells train, with its data and its log."""

    task_run: TaskRun
    data: RunData
    record: RunRecord
    log: RunLog
    left: int
    """Cells that are not finished."""
    started: bool = False
    failed: bool = False
    unpublished: list[ModelResult] = field(default_factory=list)
    """Finished cells whose pages wait for the other cells of their task."""


@dataclass(frozen=True, eq=False)
class Job:
    """The cells of one population by log prefix, to be trained; with `stored` results, to be scored again."""

    run: OpenRun
    cells: Mapping[str, Cell]
    stored: Sequence[ModelResult] = ()


PrefixedEpoch = tuple[str, EpochRecord]
"""An epoch of the cell with this log prefix."""

Training = WorkerPool[Job, PrefixedEpoch, list[ModelResult]]


@dataclass(frozen=True)
class Experiment:
    """The main thread's side of a run: it alone writes logs, display, tables and pages."""

    plan: Plan
    progress: Progress
    wandb: WandbProcess
    tables: Tables
    outcome: Outcome = field(default_factory=Outcome)

    def run(self, data: Sequence[RunData]) -> Outcome:
        """Train every cell that is not reused, and publish what finishes; the dashboard is written in any case."""
        runs = [self.open(task_run, own) for task_run, own in zip(self.plan.runs, data, strict=True)]
        by_run = [[job for cells in run.task_run.populations if (job := self.job(run, cells))] for run in runs]
        workers = concurrent_populations([*job.cells.values()] for jobs in by_run for job in jobs)
        # The last rungs take longest: they start first, or one would train alone at the end while a core is idle.
        jobs = [job for jobs in by_run for job in (reversed(jobs) if workers > 1 else jobs)]
        training = WorkerPool(jobs, self.train, workers)
        unpublished: dict[str, list[OpenRun]] = {}
        for run in runs:
            unpublished.setdefault(run.task_run.task.name, []).append(run)
        try:
            self.listen(training, unpublished)
        finally:
            training.join()
            self.tables.flush()
            for run in runs:
                if run.started and run.left:
                    run.log.finish("interrupted" if self.outcome.interrupted else "failed")
            for runs_of_task in unpublished.values():
                self.publish(runs_of_task)
            publish.publish_dashboard(self.tables, **self.plan.catalogue.order())
        return self.outcome

    def open(self, task_run: TaskRun, data: RunData) -> OpenRun:
        """Prepare a run and its log, which is empty until the first cell starts."""
        task, n, config = task_run.task, task_run.n_samples, self.plan.config
        for note in scarcity(task.name, n, data.splits, data.lengths, config.split):
            self.progress.note(note)
        record = RunRecord(
            task=task.name,
            title=task.display_title,
            seed=task_run.seed,
            n_samples=n,
            cells={prefix: cell.config for prefix, cell in task_run.cells.items()},
            overlap=data.overlap,
            commit=provenance.commit(),
            version=__version__,
            counts=data.counts,
            device_name={cell.backend.name: cell.backend.device_name for cell in task_run.cells.values()},
        )
        log = Tee([JsonLinesLog(config.out / "artifacts" / task.name / "runs"), self.wandb.log()])
        return OpenRun(task_run, data, record, log, left=len(task_run.cells))

    def job(self, run: OpenRun, cells: Mapping[str, Cell]) -> Job | None:
        """Return the job that trains or scores these cells; None where all their stored results are reused."""
        found = find_reusable(list(cells.values()), run.data.scored, self.plan.config, self.progress.note)
        if not found.results:
            return Job(run, cells)
        if found.score_again:
            run.record = replace(run.record, scored_again=(*run.record.scored_again, *cells))
            return Job(run, cells, found.results)
        run.record = replace(run.record, reused=(*run.record.reused, *cells))
        for cell, result in zip(cells.values(), found.results, strict=True):
            run.left -= 1
            self.outcome.reused.append(cell.config)
            self.progress.cell_reused(cell.config)
            self.outcome.reused_alarm |= self.warn(result)
            if not publish.is_published(result, self.tables):  # a run was killed, or the cell was brought here
                if not run.unpublished:
                    self.publish_splits(run)
                publish.publish_rows(result, self.tables)
                run.unpublished.append(result)
        return None

    def train(self, job: Job, tell: Callable[[PrefixedEpoch], None]) -> list[ModelResult]:
        """Train a job's cells, or score them again, in a worker's thread."""

        def tell_epoch(prefix: str, record: EpochRecord) -> None:
            tell((prefix, record))

        cells = list(job.cells.values())
        if job.stored:
            return score_cells(cells, job.stored, job.run.data)
        return train_cells(cells, job.run.data, [partial(tell_epoch, prefix) for prefix in job.cells])

    def listen(self, training: Training, unpublished: dict[str, list[OpenRun]]) -> None:
        """Handle the events of the workers, and publish every task with its last cell: it leaves `unpublished`.

        The first error of a cell, or Ctrl-C, ends the training; cells that finish nevertheless are kept. The error is
        raised then.
        """

        def interrupt() -> None:
            self.outcome.interrupted = True
            training.interrupt()

        error = None
        with at_interrupt(interrupt):
            for event in training:
                if event.error is not None:
                    error = event.error
                    break
                self.handle(event)
                name = event.job.run.task_run.task.name
                if event.kind == "done" and not any(run.left for run in unpublished[name]):
                    self.publish(unpublished.pop(name))
        if self.outcome.interrupted:
            self.progress.note("interrupted: finished cells are kept, the rest is dropped", alarming=True)
        training.stop()
        rest = list(training)
        finished = [event.job for event in rest if event.kind == "done"]
        for event in rest:
            if event.job in finished:
                self.handle(event)
        if error is not None:
            raise error

    def handle(self, event: Event[Job, PrefixedEpoch, list[ModelResult]]) -> None:
        """Log, show and write one event of a worker."""
        job, run = event.job, event.job.run
        if event.kind == "started":
            if not run.started:
                run.started = True
                run.log.start(run.record)
                self.publish_splits(run)
            for cell in () if job.stored else job.cells.values():
                self.progress.cell_started(cell.config)
        elif event.record is not None:
            prefix, record = event.record
            run.log.epoch(prefix, record)
            self.progress.epoch(job.cells[prefix].config, record)
        elif event.result is not None:
            for prefix, result in zip(job.cells, event.result, strict=True):
                self.keep(run, prefix, job.cells[prefix], result)
            if line := chosen_point(event.result):
                self.progress.note(line)

    def keep(self, run: OpenRun, prefix: str, cell: Cell, result: ModelResult) -> None:
        """Write a finished cell's files, rows and log; its page follows with the other pages of its task."""
        save_result(result, self.plan.config.out)
        publish.publish_rows(result, self.tables)
        run.unpublished.append(result)
        run.log.model_done(prefix, result)
        self.outcome.results.append(result)
        self.progress.cell_done(result)
        self.warn(result)
        run.left -= 1
        run.failed |= result.failed
        if run.left == 0:
            run.log.finish("failed" if run.failed else "done")

    def warn(self, result: ModelResult) -> bool:
        """Return whether the cell is above its ceiling, and say so."""
        if result.alarm is None:
            return False
        self.progress.note(f"alarm: {result.config.model} on {result.config.task}: {result.alarm}", alarming=True)
        return True

    def publish_splits(self, run: OpenRun) -> None:
        """Write the counts of each split and the overlap; for a disjoint draw, the original protocol's too."""
        task_run = run.task_run
        publish.publish_splits(run.record.overlap, run.record.counts, self.tables)
        if run.record.overlap.split == "disjoint":
            task, n, seed = task_run.task.with_negatives("original"), task_run.n_samples, task_run.seed
            counts, overlap = count(task, draw_splits(task, n, seed, "original"), n, seed, "original")
            publish.publish_splits(overlap, counts, self.tables)

    def publish(self, runs: Sequence[OpenRun]) -> None:
        """Write the comparisons of a task's models, the pages of its finished cells, and its own page.

        The comparisons include the models of earlier runs in the same configuration.
        """
        task, specs = runs[0].task_run.task, self.plan.catalogue.models()
        ids = [cell.config.id for run in runs for cell in run.task_run.cells.values()]
        self.tables.flush()
        outdated = publish.withdraw_outdated(self.tables, task)
        results = [result for run in runs for result in run.unpublished if result.config.id not in outdated]
        for note in outdated.values():
            self.progress.note(note)
        for note in publish.publish_models(results, task, specs, self.tables, ids):
            self.progress.note(note)


def chosen_point(results: Sequence[ModelResult]) -> str | None:
    """Return the line that names the grid point of the lowest validation loss; None without a grid or validation."""
    losses = {result.config.recipe: result.scores["val"].loss.mean() for result in results if "val" in result.scores}
    if len(results) < 2 or not losses:
        return None
    recipe = min(losses, key=lambda name: (losses[name], name))
    text = f"of {len(results)} points validation chooses `{recipe}`, loss {losses[recipe]:.4f} there"
    return f"{results[0].config.label}: {text}"
