"""A run: tasks x models, trained side by side, logged and reported as they finish."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from coretx.config import RunConfig
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
from coretx.running.plan import Cell, Plan, TaskRun, make_plan, side_by_side
from coretx.running.plugins import Catalogue
from coretx.running.reuse import look
from coretx.running.run_data import Drawn, count, draw_all
from coretx.running.train_cell import Ceilings, choice, find_ceilings, score_and_complete, train_and_complete
from coretx.running.workers import Event, WorkerPool
from coretx.tasks.splits import draw_splits, scarcity
from coretx.training.loop import EpochRecord
from coretx.version import __version__


@dataclass
class Outcome:
    """What a run leaves: results in the order of the plan, reused cells, and whether it was cut short."""

    results: list[ModelResult] = field(default_factory=list)
    reused: list[CellConfig] = field(default_factory=list)
    alarmed: list[CellConfig] = field(default_factory=list)
    """Those of the reused cells that are above their ceiling."""
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 where every cell is done, 1 where one diverged or is above its ceiling, 130 after an interruption."""
        if self.interrupted:
            return 130
        return int(bool(self.alarmed) or any(result.status != "done" or result.alarm for result in self.results))


def run(config: RunConfig) -> Outcome:
    """Plan and execute: what the command line does, for Python. Raises as `make_plan` and `execute` do."""
    return execute(make_plan(config))


def execute(plan: Plan) -> Outcome:
    """Train every cell of the plan, and write its logs, files and pages below `config.out`.

    Raises UsageError where a task breaks its contract or a table there cannot be added to, before anything is written,
    and OutputError where the disk refuses. Ctrl-C keeps the finished cells, rebuilds the dashboard and returns; an
    error in a cell keeps them too, and is raised then: UsageError where its population does not fit into memory.
    """
    outcome = Outcome()
    backends = {id(cell.backend): cell.backend for task_run in plan.runs for cell in task_run.cells.values()}
    if not all(backend.leads for backend in backends.values()):
        return follow(plan, outcome)
    tables = Tables(plan.config.out)
    with Progress(quiet=plan.config.quiet, color=plan.config.color) as progress:
        for note in plan.notes:
            progress.note(note)
        planned = [cell.config for task_run in plan.runs for cell in task_run.cells.values()]
        progress.start(len(planned))
        with WandbProcess(plan.config.wandb, plan.config.out, progress.note) as wandb:
            drawn, known = draw_all(plan.runs, plan.config), find_ceilings(plan.runs, plan.config)
            Experiment(plan.config, plan.catalogue, progress, outcome, wandb, known, tables).run(plan.runs, drawn)
        outcome.results.sort(key=lambda result: planned.index(result.config))
        out, tasks = plan.config.out, dict.fromkeys(result.config.task for result in outcome.results)
        progress.summary(
            outcome.results, [*(publish.task_page_path(out, task) for task in tasks), out / "benchmarks" / "index.html"]
        )
    return outcome


def follow(plan: Plan, outcome: Outcome) -> Outcome:
    """Train what the leading process trains, in its order: it alone writes and shows."""
    all_drawn, known = draw_all(plan.runs, plan.config), find_ceilings(plan.runs, plan.config)
    for task_run, drawn in zip(plan.runs, all_drawn, strict=True):
        for cells in task_run.populations:
            told = [lambda record: None] * len(cells)
            outcome.results += train_and_complete(list(cells.values()), task_run, drawn, known, plan.config, told)
    return outcome


@dataclass(eq=False)
class OpenRun:
    """A task's run while its cells train: its log is open from the first of them to the last."""

    task_run: TaskRun
    drawn: Drawn
    record: RunRecord
    log: RunLog
    left: int
    started: bool = False
    failed: bool = False
    unpublished: list[tuple[Cell, ModelResult]] = field(default_factory=list)
    """Finished cells whose pages wait for those of the others."""


@dataclass(frozen=True, eq=False)
class Job:
    """Cells to train together, by log prefix, and the run they belong to; `stored` where they are but scored again."""

    cells: Mapping[str, Cell]
    run: OpenRun
    stored: Sequence[ModelResult] = ()


Told = tuple[str, EpochRecord]
"""An epoch of the cell with this prefix."""

Training = WorkerPool[Job, Told, list[ModelResult]]


@dataclass(frozen=True)
class Experiment:
    """The parent's side of a run: it alone owns logs, display, CSV and pages."""

    config: RunConfig
    catalogue: Catalogue
    progress: Progress
    outcome: Outcome
    wandb: WandbProcess
    ceilings: Ceilings
    tables: Tables

    def run(self, runs: Sequence[TaskRun], drawn: Sequence[Drawn]) -> None:
        """Train every cell that is not reused and keep what comes of it; the dashboard is written in any case."""
        opened = [self.open(task_run, own) for task_run, own in zip(runs, drawn, strict=True)]
        by_run = [[self.job(run, cells) for cells in run.task_run.populations] for run in opened]
        workers = side_by_side([*job.cells.values()] for jobs in by_run for job in jobs if job.cells)
        # The last rungs are the dearest: begun first, none of them trains alone at the end while a core has nothing.
        jobs = [job for jobs in by_run for job in (reversed(jobs) if workers > 1 else jobs) if job.cells]
        training = WorkerPool(jobs, self.train, workers)
        by_task: dict[str, list[OpenRun]] = {}
        for run in opened:
            by_task.setdefault(run.task_run.task.name, []).append(run)
        try:
            with at_interrupt(partial(self.interrupt, training)):
                failure = self.hear(training, by_task)
            if self.outcome.interrupted:
                self.progress.note("interrupted: finished cells are kept, the rest is dropped", alarming=True)
            self.keep_finished(training)
            if failure is not None:
                raise failure
        finally:
            training.join()
            self.tables.flush()
            for run in opened:
                if run.started and run.left:
                    run.log.finish("interrupted" if self.outcome.interrupted else "failed")
            for runs_of_task in by_task.values():
                self.publish(runs_of_task)
            publish.publish_dashboard(self.tables, **self.catalogue.order())

    def interrupt(self, training: Training) -> None:
        """Let the training end; what is being written is written to its end."""
        self.outcome.interrupted = True
        training.interrupt()

    def hear(self, training: Training, by_task: dict[str, list[OpenRun]]) -> BaseException | None:
        """Handle what the workers tell, and publish every task with its last cell: by_task keeps those that are not.

        Return the error of the first cell that fails, None where none does.
        """
        for event in training:
            if event.error is not None:
                return event.error
            self.handle(event)
            name = event.job.run.task_run.task.name
            if event.kind == "done" and not any(run.left for run in by_task[name]):
                self.publish(by_task[name])
                del by_task[name]
        return None

    def keep_finished(self, training: Training) -> None:
        """Handle what a training that was broken off still tells of the jobs that it finished."""
        training.stop()
        rest = list(training)
        finished = [event.job for event in rest if event.kind == "done"]
        for event in rest:
            if event.job in finished:
                self.handle(event)

    def publish(self, runs: Sequence[OpenRun]) -> None:
        """Write the pages of a task's finished cells, compare its models, with those of earlier runs in the same
        configuration, and write its page."""
        tables, catalogue = self.tables, self.catalogue
        tables.flush()
        finished = [(result, cell.task, cell.spec.claim) for run in runs for cell, result in run.unpublished]
        publish.publish_pages(finished, tables)
        task, order = runs[0].task_run.task, catalogue.order()["model_order"]
        ids = [cell.config.id for run in runs for cell in run.task_run.cells.values()]
        outdated = publish.withdraw_outdated(tables, task).values()
        for note in (*outdated, *publish.publish_comparisons(tables, task, order, ids)):
            self.progress.note(note)
        publish.publish_task(tables, task, order)
        publish.publish_rungs(tables, task, catalogue.models(), ids)

    def open(self, task_run: TaskRun, drawn: Drawn) -> OpenRun:
        """Prepare a run and its log, which says nothing before the first cell starts."""
        task, n = task_run.task, task_run.n_samples
        for note in scarcity(task.name, n, drawn.data, drawn.lengths, self.config.split):
            self.progress.note(note)
        configs = {prefix: cell.config for prefix, cell in task_run.cells.items()}
        devices = {cell.backend.name: cell.backend.device_name for cell in task_run.cells.values()}
        known = (configs, drawn.overlap, provenance.commit(), __version__, drawn.counts, devices)
        record = RunRecord(task.name, task.display_title, task_run.seed, n, *known)
        log = Tee([JsonLinesLog(self.config.out / "artifacts" / task.name / "runs"), self.wandb.log()])
        return OpenRun(task_run, drawn, record, log, left=len(configs))

    def job(self, run: OpenRun, cells: Mapping[str, Cell]) -> Job:
        """Return what is to be done for these cells, nothing where the results of all may be kept; a line says why."""
        found = look(list(cells.values()), run.drawn.scored, self.config, self.progress.note)
        if not found.kept:
            return Job(cells, run)
        kind = "scored_again" if found.score_again else "reused"
        run.record = replace(run.record, **{kind: (*getattr(run.record, kind), *cells)})
        if found.score_again:
            return Job(cells, run, found.kept)
        for cell, result in zip(cells.values(), found.kept, strict=True):
            self.reuse(run, cell, result)
        return Job({}, run)

    def reuse(self, run: OpenRun, cell: Cell, result: ModelResult) -> None:
        """Keep a stored result as it is."""
        run.left -= 1
        self.outcome.reused.append(cell.config)
        self.progress.cell_reused(cell.config)
        if result.alarm:
            self.outcome.alarmed.append(cell.config)
            self.warn(result)
        if not publish.is_published(result, self.tables):  # a run was killed, or the cell was brought here
            self.publish_splits(run)
            publish.publish_rows(result, self.tables)
            run.unpublished.append((cell, result))

    def train(self, job: Job, tell: Callable[[Told], None]) -> list[ModelResult]:
        """Train a job's cells, or score them again, in a worker's thread."""
        cells, run = list(job.cells.values()), job.run
        if job.stored:
            return score_and_complete(cells, job.stored, run.task_run, run.drawn, self.ceilings)
        on_epoch = [partial(tell_of, tell, prefix) for prefix in job.cells]
        return train_and_complete(cells, run.task_run, run.drawn, self.ceilings, self.config, on_epoch)

    def handle(self, event: Event[Job, Told, list[ModelResult]]) -> None:
        """Log, show and write what a worker tells."""
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
            if line := choice(event.result):
                self.progress.note(line)

    def publish_splits(self, run: OpenRun) -> None:
        """Write what each split holds and how many test rows train has; for a disjoint draw beside the original's."""
        publish.publish_splits(run.record.overlap, run.record.counts, self.tables)
        if run.record.overlap.split == "disjoint":
            task, n, seed = run.task_run.task.with_negatives("original"), run.task_run.n_samples, run.task_run.seed
            counts, overlap = count(task, draw_splits(task, n, seed, "original"), n, seed, "original")
            publish.publish_splits(overlap, counts, self.tables)

    def keep(self, run: OpenRun, prefix: str, cell: Cell, result: ModelResult) -> None:
        """Write a finished cell: its files, its rows, its log's end; its page follows with those of its task."""
        save_result(result, self.config.out)
        publish.publish_rows(result, self.tables)
        run.unpublished.append((cell, result))
        run.log.model_done(prefix, result)
        self.outcome.results.append(result)
        self.progress.cell_done(result)
        if result.alarm:
            self.warn(result)
        run.left -= 1
        run.failed |= result.status != "done" or result.alarm is not None
        if run.left == 0:
            run.log.finish("failed" if run.failed else "done")

    def warn(self, result: ModelResult) -> None:
        """Say that a cell is above its ceiling."""
        self.progress.note(f"alarm: {result.config.model} on {result.config.task}: {result.alarm}", alarming=True)


def tell_of(tell: Callable[[Told], None], prefix: str, record: EpochRecord) -> None:
    """Tell an epoch of the cell with this prefix."""
    tell((prefix, record))
