"""The contestants by name, each opened as a population that the core's own training loop can train."""

# pyright: reportAbstractUsage=false
# (a contestant of torch_contestants inherits from the protocol what it is never asked for)
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.speed.work import Work
from coretx.errors import UsageError, choices
from coretx.training.backend import Backend, ModelAccess, load_backend

CONTESTANTS: Mapping[str, str] = {
    "jax": "this project's JAX engine",
    "eager": "this project's torch engine as it is: one thread, AdamW as torch chooses it",
    "tuned": "the same with the AdamW and number of threads that a trial before the rounds found fastest, by model",
    "compiled": "the same with its loss, forward and backward, through torch.compile, and fused AdamW",
    "ensemble": "torch.func: stack_module_state, functional_call and vmap over members; fused AdamW, threads as tuned",
    "original": "an eager torch loop that reads every number in every step, as the original did",
}
MANY = ("jax", "ensemble")
"""Who trains several members in one program; the others train them one after the other, so one is measured."""

OPTIMIZERS = ("default", "foreach", "fused")
"""The three implementations of torch.optim.AdamW."""


@dataclass(frozen=True)
class Setting:
    """What may be chosen for a torch contestant."""

    optimizer: str = "default"
    threads: int = 1

    def __str__(self) -> str:
        return f"{self.optimizer} AdamW, {self.threads} thread{'s' * (self.threads > 1)}"


def open_contestant(name: str, work: Work, setting: Setting, device: str) -> tuple[ModelAccess, str]:
    """Return a contestant's population, its weights unset, and how it runs; only its own libraries are imported."""
    if name not in CONTESTANTS:
        raise UsageError(f"unknown contestant {name!r}; choose from: {choices(CONTESTANTS)}")
    if name == "jax":
        engine = load_backend("jax", device)
        return engine.open(work.spec, work.shape, work.members), engine.strategy(work.spec, work.members)
    backend = load_backend("torch", "cpu")  # says how to install torch where it is missing
    return open_torch(name, work, setting, backend), str(setting)


def open_torch(name: str, work: Work, setting: Setting, backend: Backend) -> ModelAccess:
    """Return the population of a contestant in torch."""
    import torch

    import torchtx.settings
    from benchmarks.speed import torch_contestants

    torchtx.settings.THREADS = setting.threads  # while this project's engine works
    torch.set_num_threads(setting.threads)
    if name == "ensemble":
        return torch_contestants.Ensemble(work.spec, work.shape, work.members, setting.optimizer)
    if name == "original":
        return torch_contestants.Original(work.spec, work.shape, work.members)
    if name == "compiled":
        torch_contestants.compile_losses()
    if name != "eager":
        torch_contestants.choose_adamw(setting.optimizer)
    return backend.open(work.spec, work.shape, work.members)
