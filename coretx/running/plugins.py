"""Tasks and models from a Python file of the user: TASKS, MODELS, jax_models(), torch_models(), each optional."""

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from coretx.errors import UsageError, choices
from coretx.models.registry import build_models
from coretx.models.spec import ModelSpec
from coretx.records.provenance import plugin_files
from coretx.tasks.base import Task, check_name
from coretx.tasks.registry import TASKS
from coretx.training.backend import ENGINES

ModelClasses = Callable[[], Mapping[type, Any]]


@dataclass(frozen=True)
class Plugin:
    """A plugin file, the names of its tasks and models, and by engine its function that gives model classes."""

    file: Path
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    classes: Mapping[str, ModelClasses]

    def serves(self, task: Task, spec: ModelSpec, engine: str) -> bool:
        """Return whether the task, the spec or the model class of a cell comes from this file."""
        classes = self.classes.get(engine, dict)
        return task.name in self.tasks or spec.name in self.models or type(spec.architecture) in classes()


@dataclass(frozen=True)
class Catalogue:
    """All tasks and models that a run can name, and the plugins that define some of them."""

    tasks: Mapping[str, Task]
    extra_models: tuple[ModelSpec, ...] = ()
    plugins: tuple[Plugin, ...] = ()

    def model_classes(self, engine: str) -> tuple[ModelClasses, ...]:
        """Return the plugins' functions that give this engine model classes."""
        return tuple(plugin.classes[engine] for plugin in self.plugins if engine in plugin.classes)

    def files_of(self, task: Task, spec: ModelSpec, engine: str) -> tuple[Path, ...]:
        """Return the plugin files that a cell depends on."""
        return tuple(plugin.file for plugin in self.plugins if plugin.serves(task, spec, engine))

    def models(self, names: Sequence[str] | None = None, *, recipe: str = "original") -> tuple[ModelSpec, ...]:
        """Return the specs of these names, or all of them, with the rates of the recipe (see `build_models`)."""
        return build_models(names, recipe=recipe, extra=self.extra_models)

    def order(self) -> dict[str, Any]:
        """Return the titles of tasks and the order of tasks and models, for the dashboard."""
        return {
            "task_titles": {name: task.display_title for name, task in self.tasks.items()},
            "task_order": list(self.tasks),
            "model_order": [spec.name for spec in self.models()],
        }


def load_catalogue(files: Sequence[Path] = ()) -> Catalogue:
    """Return the tasks and models of the project and of the plugins; UsageError says which file is wrong, and how."""
    tasks: dict[str, Task] = dict(TASKS)
    specs: list[ModelSpec] = []
    plugins: list[Plugin] = []
    for file in files:
        module = load_module(file)
        own_tasks, own_specs = listed(module, "TASKS", Task, file), listed(module, "MODELS", ModelSpec, file)
        for task in own_tasks:
            if check_name("task", getattr(task, "name", "")) in tasks:
                raise UsageError(f"a task's name must be its own; a plugin uses one of: {choices(tasks)}")
            tasks[task.name] = task
        for spec in own_specs:
            if not spec.engines or not set(spec.engines) <= ENGINES.keys():
                wanted = f"its engines must be one or more of {choices(ENGINES)}"
                raise UsageError(f"model {spec.name}: {wanted}, got {spec.engines}")
        specs.extend(own_specs)
        functions = {engine: f"{engine}_models" for engine in ENGINES if hasattr(module, f"{engine}_models")}
        classes = {engine: cache(partial(model_classes, module, name, file)) for engine, name in functions.items()}
        names = tuple(task.name for task in own_tasks), tuple(spec.name for spec in own_specs)
        plugins.append(Plugin(file, *names, classes))
    catalogue = Catalogue(tasks, tuple(specs), tuple(plugins))
    catalogue.models()
    return catalogue


@contextmanager
def errors_named(where: str) -> Iterator[None]:
    """Turn an error in a plugin's code, SystemExit too, into a UsageError that says where it happened."""
    try:
        yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"{where}: {type(error).__name__}: {error}") from error


def load_module(file: Path) -> ModuleType:
    """Run a plugin file and return it as a module; the files that it imports are read again too.

    So the code that runs is the code in the files now, which the digest of a cell describes.
    """
    spec = importlib.util.spec_from_file_location(f"plugin_{file.stem}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise UsageError(f"--plugin must name a Python file, got {file}: no such file, or not one that ends in .py")
    files = {str(path) for path in plugin_files(file)}
    for name, loaded in list(sys.modules.items()):
        if name != "__main__" and getattr(loaded, "__file__", None) in files:
            del sys.modules[name]
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up annotations there
    with errors_named(f"--plugin {file} could not be loaded"):
        spec.loader.exec_module(module)
    return module


def model_classes(module: ModuleType, name: str, file: Path) -> Mapping[type, Any]:
    """Return the model classes that the module's function of this name gives; UsageError for any other value."""
    with errors_named(f"--plugin {file}: {name}() failed"):
        found = getattr(module, name)()
    if not isinstance(found, Mapping) or not all(isinstance(key, type) for key in found):
        raise UsageError(f"--plugin {file}: {name}() must return {{architecture: model class}}, got {found!r}")
    return found


def listed(module: ModuleType, name: str, kind: type, file: Path) -> Sequence[Any]:
    """Return the instances of this kind that the module lists under this name; it may lack the name."""
    values = getattr(module, name, ())
    if not isinstance(values, list | tuple):
        raise UsageError(f"--plugin {file}: {name} must be a list or a tuple, got {values!r}")
    for value in values:
        if not isinstance(value, kind):
            raise UsageError(f"--plugin {file}: {name} must hold instances of coretx.{kind.__name__}, got {value!r}")
    return values
