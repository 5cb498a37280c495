"""From a configuration to the cells it asks for: names resolved, engines picked, every choice written down."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from coretx.config import RunConfig
from coretx.errors import UsageError, choices
from coretx.evaluation.lengths import variant
from coretx.models.spec import ModelSpec
from coretx.records.cell_config import CellConfig
from coretx.records.durable import check_writable
from coretx.records.provenance import code_of
from coretx.records.results import UNKNOWN_CODE, Code
from coretx.running.plugins import Catalogue, load_catalogue
from coretx.tasks.base import Task
from coretx.tasks.registry import get_task
from coretx.tasks.splits import DATA_SEEDS_APART
from coretx.training.backend import ENGINES, Backend, load_backend
from coretx.training.grid import GridPoint, grid_points

Say = Callable[[str], None]
"""Where a line for the user goes."""


@dataclass(frozen=True)
class Cell:
    """One population to train: a spec with its epochs settled, on a task, in an engine that has it."""

    task: Task
    spec: ModelSpec
    backend: Backend
    config: CellConfig
    point: GridPoint = field(default_factory=GridPoint)
    code: Code = UNKNOWN_CODE
    """Today's: what a stored cell is known by beside its config."""


@dataclass(frozen=True)
class TaskRun:
    """The cells of one task with one n and one seed, by log prefix: what one log and one draw of data serve."""

    task: Task
    n_samples: int
    seed: int
    cells: dict[str, Cell]

    @property
    def populations(self) -> list[dict[str, Cell]]:
        """The cells by log prefix in parts that train together: one model in one engine, at every grid point."""
        parts: dict[tuple[str, str], dict[str, Cell]] = {}
        for prefix, cell in self.cells.items():
            parts.setdefault((cell.config.model, cell.config.backend), {})[prefix] = cell
        return list(parts.values())


@dataclass(frozen=True)
class Plan:
    """A configuration with all that it asks for: the runs in order, and lines to say about the choices made."""

    config: RunConfig
    catalogue: Catalogue
    runs: tuple[TaskRun, ...]
    notes: tuple[str, ...]


def make_plan(config: RunConfig) -> Plan:
    """Return what to run. Raises UsageError for what cannot be and OutputError where `config.out` refuses.

    Nothing is written, and nothing slow is imported before names, numbers and the output folder are found good.
    """
    catalogue = load_catalogue(config.plugin)
    notes: list[str] = []
    check_writable(config.out)
    runs = tuple(task_runs(config, catalogue, notes.append))
    return Plan(config, catalogue, runs, (*notes, *devices_used(runs)))


def task_runs(config: RunConfig, catalogue: Catalogue, say: Say) -> list[TaskRun]:
    """Return every task's run, in order; UsageError for whatever is unknown, missing or given twice."""
    names = tuple(catalogue.tasks) if config.tasks == ("all",) else config.tasks
    tasks = [get_task(name, catalogue.tasks).with_negatives(negatives(config)) for name in names]
    unique("task", [task.name for task in tasks])
    unique("n-samples", config.n_samples)
    for task in tasks:
        for length in config.eval_lengths:
            variant(task, length)
    chosen = [pick_engine(config, spec, engine, say) for spec, engine in name_engines(config, catalogue)]
    unique("model", [f"{spec.name}:{engine}" for spec, engine in chosen])
    backends = {
        engine: load_backend(engine, config.device, catalogue.model_classes(engine), config.engine_options)
        for engine in dict.fromkeys(engine for _, engine in chosen)
    }
    models = [(spec, backends[engine]) for spec, engine in chosen]
    for spec, backend in models:
        if not backend.supports(spec):
            raise UsageError(
                f"model {spec.name} names the engine {backend.name}, which has no class for "
                f"{type(spec.architecture).__name__}: return one from {backend.name}_models()"
            )

    @cache
    def code(engine: str, files: tuple[Path, ...]) -> Code:
        return code_of(ENGINES[engine], backends[engine].versions, files)

    seeds = range(config.seed, config.seed + DATA_SEEDS_APART * config.data_seeds, DATA_SEEDS_APART)
    draws = [replace(config, seed=seed) for seed in seeds]
    coded = [
        [(spec, backend, code(backend.name, catalogue.files_of(task, spec, backend.name))) for spec, backend in models]
        for task in tasks
    ]
    return [
        task_run(draw, task, n, of_task)
        for task, of_task in zip(tasks, coded, strict=True)
        for n in config.n_samples
        for draw in draws
    ]


def side_by_side(populations: Iterable[Sequence[Cell]]) -> int:
    """Return how many of these populations train at once: the smallest number that any of their engines gives."""
    asked = (cells[0].backend.side_by_side(len(cells) * cells[0].config.members) for cells in populations)
    return min(asked, default=1)


def devices_used(runs: Sequence[TaskRun]) -> list[str]:
    """Return a line for each engine: what it runs on, and how many populations train at once."""
    populations = [[*cells.values()] for run in runs for cells in run.populations]
    together = side_by_side(populations)
    most = f"up to {together} populations side by side" if together > 1 else "one population at a time"
    backends = dict.fromkeys(cells[0].backend for cells in populations)
    return [f"{backend.name} on {backend.device_name}, {most}" for backend in backends]


def negatives(config: RunConfig) -> str:
    """Return the rule for wrong answers: the one asked for, else the one that goes with the protocol."""
    return config.negatives or {"disjoint": "balanced", "original": "original"}[config.split]


def name_engines(config: RunConfig, catalogue: Catalogue) -> list[tuple[ModelSpec, str | None]]:
    """Return each spec that is asked for, its recipe and epochs settled, with the engine that its name names."""
    all_models = [spec.name for spec in catalogue.models()]
    asked = all_models if config.models == ("all",) else config.models
    pairs = [(name.partition(":")[0], name.partition(":")[2] if ":" in name else None) for name in asked]
    specs = catalogue.models([name for name, _ in pairs], recipe=config.recipe)
    for name, engine in pairs:
        if engine is not None and engine not in ENGINES:
            raise UsageError(f"unknown engine in {name}:{engine}; choose from: {choices(ENGINES)}")
    return [(with_epochs(spec, config.epochs), engine) for spec, (_, engine) in zip(specs, pairs, strict=True)]


def with_epochs(spec: ModelSpec, epochs: int | None) -> ModelSpec:
    """Return the spec with this number of epochs, or its own where None."""
    return spec if epochs is None else replace(spec, optimizer=replace(spec.optimizer, epochs=epochs))


def pick_engine(config: RunConfig, spec: ModelSpec, named: str | None, say: Say) -> tuple[ModelSpec, str]:
    """Return the spec with its engine: the named one, else the run's, else the one that has it, which is said."""
    engine = named or config.backend
    if engine in spec.engines:
        return spec, engine
    if named is not None:
        raise UsageError(f"model {spec.name} has no {named} engine; it runs in: {choices(spec.engines)}")
    say(f"{spec.name} runs in {spec.engines[0]}: the {engine} engine does not have it")
    return spec, spec.engines[0]


def unique(what: str, names: Sequence[object]) -> None:
    """Raise UsageError where a name stands twice."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"each {what} can be given once; {twice[0]} stands there {names.count(twice[0])} times")


def task_run(
    config: RunConfig, task: Task, n_samples: int, models: Sequence[tuple[ModelSpec, Backend, Code]]
) -> TaskRun:
    """Return the cells of one task with one n, each under its log prefix."""
    names = [spec.name for spec, _, _ in models]
    points = grid_points(config.learning_rates, config.weight_decays)
    cells = {}
    for spec, backend, code in models:
        both = names.count(spec.name) > 1
        strategy = backend.strategy(spec, config.members * len(points))
        for point in points:
            parts = (spec.name, "torch" if both and backend.name == "torch" else "", point.name)
            scaled = replace(spec, optimizer=point.apply(spec.optimizer))
            resolved = cell_config(config, task, n_samples, scaled, backend, strategy, point)
            cells["-".join(part for part in parts if part)] = Cell(task, scaled, backend, resolved, point, code)
    return TaskRun(task, n_samples, config.seed, cells)


def cell_config(
    config: RunConfig,
    task: Task,
    n_samples: int,
    spec: ModelSpec,
    backend: Backend,
    strategy: str,
    point: GridPoint,
) -> CellConfig:
    """Return the resolved configuration of one cell."""
    return CellConfig(
        task=task.name,
        model=spec.name,
        backend=backend.name,
        seed=config.seed,
        members=config.members,
        n_samples=n_samples,
        epochs=spec.optimizer.epochs,
        split=config.split,
        recipe=f"{config.recipe} {point.name}".strip(),
        dtype="float32",
        device=backend.device,
        strategy=strategy,
        matmul_precision=config.matmul_precision,
        hyperparameters=spec.hyperparameters(),
        negatives=task.negatives,
        eval_lengths=config.eval_lengths,
        at_default=spec.at_default(),
    )
