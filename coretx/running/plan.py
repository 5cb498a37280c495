"""From a configuration to its cells: names resolved, engines picked, every choice written down."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from coretx.config import RunConfig
from coretx.errors import UsageError, choices
from coretx.evaluation.lengths import variant
from coretx.models.spec import ModelSpec
from coretx.records.cell_config import CellConfig
from coretx.records.durable import check_writable
from coretx.records.provenance import code_of
from coretx.records.results import Code
from coretx.running.plugins import Catalogue, load_catalogue
from coretx.tasks.base import Task
from coretx.tasks.registry import get_task
from coretx.tasks.splits import DATA_SEEDS_APART
from coretx.training.backend import ENGINES, Backend, load_backend
from coretx.training.grid import GridPoint, grid_points

Say = Callable[[str], None]
"""Print a line for the user."""


@dataclass(frozen=True)
class Cell:
    """One population to train: a spec with its epochs and rates settled, on a task, in an engine that has it."""

    task: Task
    spec: ModelSpec
    backend: Backend
    config: CellConfig
    point: GridPoint
    code: Code
    """Digests of the code that makes the cell today."""
    command: str
    """The command line that trains the cell again."""


@dataclass(frozen=True)
class TaskRun:
    """The cells of one task with one n and one seed, by log prefix: they share one draw of data and one log."""

    task: Task
    n_samples: int
    seed: int
    cells: dict[str, Cell]

    @property
    def populations(self) -> list[dict[str, Cell]]:
        """The cells by log prefix in groups that train together: one model in one engine, at every grid point."""
        groups: dict[tuple[str, str], dict[str, Cell]] = {}
        for prefix, cell in self.cells.items():
            groups.setdefault((cell.config.model, cell.config.backend), {})[prefix] = cell
        return list(groups.values())


@dataclass(frozen=True)
class Plan:
    """A configuration with everything it asks for: the runs in order, and lines for the user about the choices."""

    config: RunConfig
    catalogue: Catalogue
    runs: tuple[TaskRun, ...]
    notes: tuple[str, ...]

    @property
    def cells(self) -> list[Cell]:
        """All cells in order."""
        return [cell for run in self.runs for cell in run.cells.values()]


def make_plan(config: RunConfig) -> Plan:
    """Return the plan of a run. Raises UsageError for a bad request, OutputError where `config.out` cannot be written.

    It writes no file, and checks names, numbers and the output folder before it imports an engine.
    """
    catalogue = load_catalogue(config.plugin)
    notes: list[str] = []
    check_writable(config.out)
    runs = tuple(task_runs(config, catalogue, notes.append))
    return Plan(config, catalogue, runs, (*notes, *devices_used(runs)))


def task_runs(config: RunConfig, catalogue: Catalogue, say: Say) -> list[TaskRun]:
    """Return the runs of every task, n and seed, in order; UsageError for a name that is unknown or given twice."""
    tasks, models = chosen_tasks(config, catalogue), chosen_models(config, catalogue, say)
    seeds = range(config.seed, config.seed + DATA_SEEDS_APART * config.data_seeds, DATA_SEEDS_APART)
    runs = []
    for task in tasks:
        coded = [
            (
                spec,
                backend,
                code_of(ENGINES[backend.name], backend.versions, catalogue.files_of(task, spec, backend.name)),
            )
            for spec, backend in models
        ]
        runs += [task_run(replace(config, seed=seed), task, n, coded) for n in config.n_samples for seed in seeds]
    return runs


def chosen_tasks(config: RunConfig, catalogue: Catalogue) -> list[Task]:
    """Return the tasks that the configuration names, with its rule for wrong answers."""
    names = tuple(catalogue.tasks) if config.tasks == ("all",) else config.tasks
    tasks = [get_task(name, catalogue.tasks).with_negatives(config.negatives_rule) for name in names]
    unique("task", [task.name for task in tasks])
    unique("n-samples", config.n_samples)
    for task in tasks:
        for length in config.eval_lengths:
            variant(task, length)
    return tasks


def chosen_models(config: RunConfig, catalogue: Catalogue, say: Say) -> list[tuple[ModelSpec, Backend]]:
    """Return the models that the configuration names, their recipe and epochs settled, each with its engine."""
    names = [spec.name for spec in catalogue.models()] if config.models == ("all",) else config.models
    asked = [name.partition(":") for name in names]
    specs = catalogue.models([name for name, _, _ in asked], recipe=config.recipe)
    chosen = []
    for spec, (_, colon, engine) in zip(specs, asked, strict=True):
        if colon and engine not in ENGINES:
            raise UsageError(f"unknown engine in {spec.name}:{engine}; choose from: {choices(ENGINES)}")
        chosen.append((with_epochs(spec, config.epochs), pick_engine(spec, engine, config.backend, say)))
    unique("model", [f"{spec.name}:{engine}" for spec, engine in chosen])
    backends = {
        engine: load_backend(engine, config.device, catalogue.model_classes(engine), config.engine_options)
        for engine in dict.fromkeys(engine for _, engine in chosen)
    }
    for spec, engine in chosen:
        if not backends[engine].supports(spec):
            raise UsageError(
                f"model {spec.name} names the engine {engine}, which has no class for "
                f"{type(spec.architecture).__name__}: return one from {engine}_models()"
            )
    return [(spec, backends[engine]) for spec, engine in chosen]


def with_epochs(spec: ModelSpec, epochs: int | None) -> ModelSpec:
    """Return the spec with this number of epochs, or its own where None."""
    return spec if epochs is None else replace(spec, optimizer=replace(spec.optimizer, epochs=epochs))


def pick_engine(spec: ModelSpec, named: str, default: str, say: Say) -> str:
    """Return the engine of a model: the named one, else the default, else its first one, which a line says."""
    engine = named or default
    if engine in spec.engines:
        return engine
    if named:
        raise UsageError(f"model {spec.name} has no {named} engine; it runs in: {choices(spec.engines)}")
    say(f"{spec.name} runs in {spec.engines[0]}: the {engine} engine does not have it")
    return spec.engines[0]


def unique(what: str, names: Sequence[object]) -> None:
    """Raise UsageError where a name is given twice."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"each {what} can be given once; {twice[0]} is given {names.count(twice[0])} times")


def task_run(
    config: RunConfig, task: Task, n_samples: int, models: Sequence[tuple[ModelSpec, Backend, Code]]
) -> TaskRun:
    """Return the cells of one task with one n, each under its log prefix."""
    points = grid_points(config.learning_rates, config.weight_decays)
    cells = {}
    for spec, backend, code in models:
        strategy = backend.strategy(spec, config.members * len(points))
        engines = [other.name for same, other, _ in models if same.name == spec.name]
        for point in points:
            scaled = replace(spec, optimizer=point.apply(spec.optimizer))
            resolved = CellConfig(
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
                hyperparameters=scaled.hyperparameters(),
                negatives=task.negatives,
                eval_lengths=config.eval_lengths,
                at_default=scaled.at_default(),
            )
            command = reproducing_command(resolved, config, points)
            prefix = log_prefix(spec.name, backend.name, engines, point)
            cells[prefix] = Cell(task, scaled, backend, resolved, point, code, command)
    return TaskRun(task, n_samples, config.seed, cells)


def log_prefix(model: str, engine: str, engines: Sequence[str], point: GridPoint) -> str:
    """Return a cell's name in its log: the model, its engine unless it is the first of its engines, the grid point.

    >>> [log_prefix("mlp", engine, ["torch", "jax"], GridPoint("0.5x")) for engine in ("jax", "torch")]
    ['mlp-lr0.5x', 'mlp-torch-lr0.5x']
    """
    first = next(name for name in ENGINES if name in engines)
    return "-".join(part for part in (model, "" if engine == first else engine, point.name) if part)


def reproducing_command(cell: CellConfig, config: RunConfig, points: Sequence[GridPoint]) -> str:
    """Return the command line that trains this cell again, with all points of its grid, which train together."""
    mesh = config.engine_options.mesh
    flags = {
        "tasks": [cell.task],
        "models": [f"{cell.model}:{cell.backend}"],
        "n-samples": [cell.n_samples],
        "seed": [cell.seed],
        "members": [cell.members],
        "epochs": [cell.epochs],
        "device": [cell.device],
        "split": [cell.split],
        "recipe": [config.recipe],
        "negatives": [cell.negatives] if cell.negatives != "natural" else [],
        "learning-rates": without_default(point.learning_rate for point in points),
        "weight-decays": without_default(point.weight_decay for point in points),
        "eval-lengths": cell.eval_lengths,
        "mesh": [mesh] if mesh else [],
        "matmul-precision": [cell.matmul_precision] if cell.matmul_precision != "highest" else [],
        "plugin": config.plugin,
    }
    given = [f"--{flag} {shlex.join(map(str, values))}" for flag, values in flags.items() if values]
    return " ".join(["python main.py", *given])


def without_default(values: Iterable[str]) -> list[str]:
    """Return each value of a grid once; an empty list if the recipe's own is the only one.

    >>> without_default(["0.5x", "0.5x", "1x", "1x"]), without_default(["1x", "1x"])
    (['0.5x', '1x'], [])
    """
    once = list(dict.fromkeys(values))
    return [] if once == ["1x"] else once


def concurrent_populations(populations: Iterable[Sequence[Cell]]) -> int:
    """Return how many of these populations train at once: the smallest number over their engines."""
    asked = (cells[0].backend.max_concurrent_populations(len(cells) * cells[0].config.members) for cells in populations)
    return min(asked, default=1)


def devices_used(runs: Sequence[TaskRun]) -> list[str]:
    """Return a line for each engine: its device, and how many populations train at once."""
    populations = [[*cells.values()] for run in runs for cells in run.populations]
    together = concurrent_populations(populations)
    most = f"up to {together} populations side by side" if together > 1 else "one population at a time"
    backends = dict.fromkeys(cells[0].backend for cells in populations)
    return [f"{backend.name} on {backend.device_name}, {most}" for backend in backends]
