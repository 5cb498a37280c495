"""The engine-free core: tasks, data, model specs, training loop, logs, reports.

What a plugin needs is here: `Task`, `ModelSpec`, `Optimizer`, `InputShape`.
"""

from coretx.config import RunConfig
from coretx.models.spec import InputShape, ModelSpec, Optimizer
from coretx.tasks.base import Task
from coretx.version import __version__

__all__ = ["InputShape", "ModelSpec", "Optimizer", "RunConfig", "Task", "__version__"]
