"""The engine-free core: tasks, data, model specs, training loop, logs, reports.

Plugins import `Task`, `ModelSpec`, `Optimizer` and `InputShape` from here; notebooks `RunConfig`, `run` and
`load_results`.
"""

from coretx.api import Results, load_results, run
from coretx.config import RunConfig
from coretx.models.spec import InputShape, ModelSpec, Optimizer
from coretx.tasks.base import Task
from coretx.version import __version__

__all__ = [
    "InputShape",
    "ModelSpec",
    "Optimizer",
    "Results",
    "RunConfig",
    "Task",
    "__version__",
    "load_results",
    "run",
]
