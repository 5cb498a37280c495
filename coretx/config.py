"""The request for a run: one frozen record, the same for the command line and for Python."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from coretx.errors import UsageError, choices

MIN_SAMPLES = 4
"""Fewest rows of a split: two of each class, so that a ranking exists."""
MAX_SEED = 2**53
"""The largest whole number that every reader of JSON keeps exactly."""


class MeshShape(NamedTuple):
    """The devices of a population: along its members, and along the rows of each batch."""

    members: int = 1
    data: int = 1

    def __str__(self) -> str:
        """Return the shape as --mesh takes it."""
        return f"members={self.members},data={self.data}"

    @classmethod
    def parse(cls, text: str) -> "MeshShape":
        """Return the shape in the text of --mesh; UsageError for another text.

        >>> MeshShape.parse("members=4,data=2")
        MeshShape(members=4, data=2)
        """
        axes = {name: number for name, _, number in (part.partition("=") for part in text.split(","))}
        if not axes.keys() <= set(cls._fields) or not all(n.isdecimal() and int(n) for n in axes.values()):
            raise UsageError(f"--mesh takes numbers of devices, as in members=4,data=2; got {text!r}")
        return cls(**{axis: int(number) for axis, number in axes.items()})


REUSE = ("no", "same", "any")
"""The values of --reuse."""
MatmulPrecision = Literal["highest", "high", "default"]


@dataclass(frozen=True)
class EngineOptions:
    """The settings of an engine beside the kind of its device."""

    mesh: MeshShape | None = None
    matmul_precision: MatmulPrecision = "highest"
    compile_cache: bool = True
    distributed: bool = False


DEFAULT_OPTIONS = EngineOptions()


@dataclass(frozen=True)
class RunConfig:
    """What to train, and how."""

    backend: Literal["jax", "torch"] = "jax"
    """Engine of every model that does not name its own. A model that this engine lacks runs in the other."""
    tasks: tuple[str, ...] = ("sign_of_winner",)
    """Names of tasks, or `all`."""
    models: tuple[str, ...] = ("all",)
    """Names of models, or `all`; `mlp:torch` names the engine too."""
    n_samples: tuple[int, ...] = (1000,)
    """Rows of each split; each number is a run of its own."""
    seed: int = 0
    """Seed of all randomness. Train data uses it, test data seed + 1, validation data seed + 2: choose seeds at least
    3 apart for different data."""
    split: Literal["disjoint", "original"] = "disjoint"
    """How data is drawn. `disjoint`: train, validation and test share no problem. `original`: train and test are drawn
    independently and with replacement, without a validation split."""
    negatives: Literal["balanced", "original"] | None = None
    """How arithmetic tasks make wrong answers: `balanced`, distributed like the true ones, or uniform as in the
    `original`. The default goes with --split: `balanced` for disjoint."""
    recipe: Literal["original", "tuned"] = "tuned"
    """Learning rates and weight decays of the ladder: `tuned` on validation (`python -m benchmarks.tuning`), or the
    `original` ones. Models of a plugin keep their own."""
    eval_lengths: tuple[int, ...] = ()
    """Other sequence lengths to evaluate the trained models on; for sums, numbers of digits."""
    members: int = 1
    """Independent copies of each model, trained together; reports show their mean and spread."""
    data_seeds: int = 1
    """Number of draws of data, with seeds 3 apart from --seed on. Each is a run of its own; reports show their spread
    apart from the spread over members."""
    epochs: int | None = None
    """Epochs of every model; the default is each model's own number."""
    learning_rates: tuple[str, ...] = ("1x",)
    """Learning rates, as multiples of the recipe's (0.5x 1x 2x) or as values; several are a grid, trained together."""
    weight_decays: tuple[str, ...] = ("1x",)
    """Weight decays, likewise; each is combined with each learning rate."""
    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Kind of device to train on; the default is the engine's choice."""
    mesh: str | None = None
    """Devices for each population, as in members=4,data=2. By default the members are spread over as many devices as
    divide them."""
    matmul_precision: MatmulPrecision = "highest"
    """Precision of float32 matrix products on an accelerator; `default` is fastest, with fewer bits."""
    compile_cache: bool = True
    """Whether to cache compiled programs in the user's cache folder for later runs; on unless this flag is given."""
    distributed: bool = False
    """Train with all processes of a launcher (Slurm, Open MPI, Cloud TPU, ...); the first one writes and shows."""
    out: Path = Path()
    """Folder for artifacts/ and benchmarks/."""
    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    """Weights & Biases: `auto` obeys WANDB_MODE, else is online when logged in and offline when not."""
    plugin: tuple[Path, ...] = ()
    """Python files with your own tasks and models (see README)."""
    reuse: Literal["no", "same", "any"] = "no"
    """Keep stored results instead of training again. `same` (or `--reuse` alone): results of today's code and data;
    where only the scoring code has changed, they are scored again. `any`: results of any code.
    Diverged cells are always trained again."""
    quiet: bool = False
    """Print failures alone."""
    color: bool = True
    """Whether to print in colour on a terminal (never with NO_COLOR); on unless this flag is given."""

    def __post_init__(self) -> None:
        """Raise UsageError for a number out of its range."""
        if not self.tasks or not self.models or not self.n_samples:
            raise UsageError("--tasks, --models and --n-samples each need at least one value")
        if (n := min(self.n_samples)) < MIN_SAMPLES:
            raise UsageError(f"--n-samples must be at least {MIN_SAMPLES}, two rows of each class; got {n}")
        numbers = {"members": (self.members, 1), "data-seeds": (self.data_seeds, 1), "epochs": (self.epochs, 1)}
        for flag, (value, least) in {**numbers, "seed": (self.seed, 0)}.items():
            if value is not None and value < least:
                raise UsageError(f"--{flag} must be at least {least}; got {value}")
        if self.seed > MAX_SEED:
            raise UsageError(f"--seed must be at most {MAX_SEED}; got {self.seed}")
        for length in self.eval_lengths:
            if length < 1 or self.eval_lengths.count(length) > 1:
                raise UsageError(
                    f"--eval-lengths takes numbers of steps, at least 1 and each once; got {length} among "
                    f"{' '.join(map(str, self.eval_lengths))}"
                )
        if self.mesh is not None:
            MeshShape.parse(self.mesh)
        if self.reuse not in REUSE:
            raise UsageError(f"--reuse must be one of {choices(REUSE)}; got {self.reuse!r}")
        if self.distributed and self.reuse != "no":
            raise UsageError("--reuse cannot go with --distributed: processes must agree on what to train")

    @property
    def negatives_rule(self) -> str:
        """The rule for wrong answers: the given one, else the default of the protocol."""
        return self.negatives or {"disjoint": "balanced", "original": "original"}[self.split]

    @property
    def engine_options(self) -> EngineOptions:
        """The settings of the engines."""
        mesh = None if self.mesh is None else MeshShape.parse(self.mesh)
        return EngineOptions(mesh, self.matmul_precision, self.compile_cache, self.distributed)
