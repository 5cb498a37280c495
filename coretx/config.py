"""What a run is asked to do: one frozen record, the same for the command line and for Python."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from coretx.errors import UsageError

MIN_SAMPLES = 4
"""Fewest rows a split may have: two of each class, so that a ranking exists."""


@dataclass(frozen=True)
class RunConfig:
    """What to train, and how."""

    backend: Literal["jax", "torch"] = "jax"
    """Engine of every model that does not name its own. A model that this engine lacks runs in the other."""
    tasks: tuple[str, ...] = ("sign_of_winner",)
    """Names of tasks, or `all`."""
    models: tuple[str, ...] = ("all",)
    """Names of models, or `all`; `mlp:torch` names its own engine."""
    n_samples: tuple[int, ...] = (1000,)
    """Rows of each split; several numbers are runs of their own."""
    seed: int = 0
    """Names every stream of randomness: train data takes it, test data takes it + 1."""
    members: int = 1
    """Independent runs of each model that are trained together and reported as mean and spread."""
    epochs: int | None = None
    """Epochs of every model, in place of its own number."""
    device: Literal["cpu", "gpu", "tpu"] | None = None
    """What to train on; the engine's own choice where not given."""
    out: Path = Path()
    """Folder for artifacts/ and benchmarks/."""
    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    """Weights & Biases: `auto` obeys WANDB_MODE, else is online when logged in and offline when not."""
    plugin: tuple[Path, ...] = ()
    """Python files with tasks and models of your own (see README)."""
    reuse: bool = False
    """Skip cells whose result is already there."""

    def __post_init__(self) -> None:
        """Raise UsageError for a number out of its range."""
        if not self.tasks or not self.models or not self.n_samples:
            raise UsageError("--tasks, --models and --n-samples each need at least one value")
        for n in self.n_samples:
            if n < MIN_SAMPLES:
                raise UsageError(f"--n-samples must be at least {MIN_SAMPLES}, two rows of each class; got {n}")
        for flag, value, least in (("members", self.members, 1), ("epochs", self.epochs, 1), ("seed", self.seed, 0)):
            if value is not None and value < least:
                raise UsageError(f"--{flag} must be at least {least}; got {value}")
