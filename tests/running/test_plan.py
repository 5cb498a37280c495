"""From a configuration to cells."""

import dataclasses
import re

import pytest

from coretx.config import RunConfig
from coretx.errors import UsageError
from coretx.models import recipes
from coretx.models.architectures import MLP
from coretx.models.registry import build_models
from coretx.models.spec import ModelSpec, Optimizer
from coretx.records.cell_config import CellConfig
from coretx.running import plan, plugins
from coretx.running.plan import log_prefix, make_plan, task_runs
from coretx.running.plugins import Catalogue, load_catalogue
from coretx.tasks.registry import TASKS
from coretx.training.grid import GridPoint

LADDER = [spec.name for spec in build_models()]
CONFIG = CellConfig(
    task="sign_of_winner",
    model="mlp",
    backend="jax",
    seed=0,
    members=1,
    n_samples=1000,
    epochs=1000,
    split="original",
    recipe="original",
    dtype="float32",
    device="cpu",
    strategy="solo",
    matmul_precision="highest",
    hyperparameters={"architecture": {"class": "MLP", "width": 16}, "optimizer": {"learning_rate_start": 0.1}},
)
TORCH_ONLY = ModelSpec("torch_only", MLP(3), "One engine is enough.", engines=("torch",))


def planned(catalogue=None, **settings):
    config = RunConfig(**{"models": ("mlp",), "device": "cpu"} | settings)
    return task_runs(config, catalogue or load_catalogue(), print)


def test_all_is_every_task_and_model_of_plugins_too():
    runs = planned(Catalogue(TASKS, (TORCH_ONLY,)), tasks=("all",), models=("all",))
    assert [run.task.name for run in runs] == list(TASKS)
    assert [list(run.cells) for run in runs] == [[*LADDER, "torch_only"]] * len(TASKS)


def test_every_n_and_every_draw_of_data_three_seeds_apart_is_a_run_of_its_own():
    tasks = ("has_all_tokens", "any_abs_gt_one")
    runs = planned(tasks=tasks, n_samples=(10, 20), seed=2, data_seeds=3)
    found = [(run.task.name, run.n_samples, run.seed, run.cells["mlp"].config.seed) for run in runs]
    assert found == [(task, n, seed, seed) for task in tasks for n in (10, 20) for seed in (2, 5, 8)]
    (alone,) = planned(tasks=tasks[:1], n_samples=(10,), seed=5)
    assert runs[1].cells["mlp"].config.id == alone.cells["mlp"].config.id


@pytest.mark.parametrize(
    ("backend", "models", "found"),
    [
        ("torch", ("mlp", "logreg:jax"), {"mlp": "torch", "logreg": "jax"}),
        ("jax", ("mlp", "mlp:torch", "logreg:torch"), {"mlp": "jax", "mlp-torch": "torch", "logreg": "torch"}),
    ],
)
def test_backend_is_the_default_engine_and_a_prefix_names_torch_where_both_run(backend, models, found):
    (run,) = planned(backend=backend, models=models)
    assert {prefix: cell.backend.name for prefix, cell in run.cells.items()} == found
    assert [cell.spec.name for cell in run.cells.values()] == [prefix.removesuffix("-torch") for prefix in found]


def test_prefix_names_any_engine_but_the_first_of_the_model(monkeypatch):
    monkeypatch.setattr(plan, "ENGINES", {"jax": "jaxtx", "torch": "torchtx", "numpy": "numpytx"})
    point = GridPoint()
    found = {engine: log_prefix("mlp", engine, ["numpy", "torch"], point) for engine in ("numpy", "torch")}
    assert found == {"numpy": "mlp-numpy", "torch": "mlp"}


@pytest.mark.parametrize(("asked", "epochs"), [(None, 9), (7, 7)])
def test_epochs_of_the_run_go_before_those_of_a_model(asked, epochs):
    own = ModelSpec("short", MLP(), "Brief.", Optimizer(epochs=9))
    (cell,) = planned(Catalogue(TASKS, (own,)), models=("short",), epochs=asked)[0].cells.values()
    assert (cell.config.epochs, cell.spec.optimizer.epochs) == (epochs, epochs)


def test_config_of_a_cell_is_resolved():
    (run,) = planned(models=("mlp",), seed=3, members=2, n_samples=(50,), recipe="original")
    config = run.cells["mlp"].config
    assert (config.seed, config.members, config.n_samples, config.device) == (3, 2, 50, "cpu")
    assert config.hyperparameters["optimizer"]["learning_rate_start"] == 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tasks": ("sign",)}, "unknown task 'sign'; choose from: sign_of_winner, "),
        ({"models": ("rnn",)}, "unknown model 'rnn'; choose from: logreg, mlp, "),
        ({"models": ("rnn:torch",)}, "unknown model 'rnn'; choose from: logreg, mlp, "),
        ({"models": ("mlp:numpy",)}, "unknown engine in mlp:numpy; choose from: jax, torch"),
        ({"models": ("mlp:torch:jax",)}, "unknown engine in mlp:torch:jax; choose from: jax, torch"),
        ({"models": ("mlp:",)}, "choose from: jax, torch"),
        ({"models": ("torch_only:jax",)}, "model torch_only has no jax engine; it runs in: torch"),
        ({"tasks": ("aa+bb=cc", "two_digit_sum")}, "each task can be given once; two_digit_sum is given 2 times"),
        ({"models": ("mlp", "mlp:jax")}, "each model can be given once; mlp:jax is given 2 times"),
        ({"n_samples": (10, 10)}, "each n-samples can be given once; 10 is given 2 times"),
        ({"backend": "torch", "device": "tpu"}, "backend torch runs on cpu, gpu, got --device tpu"),
    ],
    ids=lambda value: "-".join(str(v) for v in value.values()) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        planned(Catalogue(TASKS, (TORCH_ONLY,)), **settings)


def test_engine_without_a_class_for_a_model_says_where_to_return_one():
    @dataclasses.dataclass(frozen=True)
    class Unknown:
        pass

    with pytest.raises(UsageError, match=r"model odd .* no class for Unknown: return one from jax_models\(\)"):
        planned(Catalogue(TASKS, (ModelSpec("odd", Unknown(), "None."),)), models=("odd",))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tasks": ()}, "each need at least one value"),
        ({"models": ()}, "each need at least one value"),
        ({"n_samples": ()}, "each need at least one value"),
        ({"n_samples": (10, 3)}, "--n-samples must be at least 4, two rows of each class; got 3"),
        ({"epochs": 0}, "--epochs must be at least 1; got 0"),
        ({"members": 0}, "--members must be at least 1; got 0"),
        ({"data_seeds": 0}, "--data-seeds must be at least 1; got 0"),
        ({"seed": -1}, "--seed must be at least 0; got -1"),
        ({"seed": 2**64}, "--seed must be at most 9007199254740992; got 18446744073709551616"),
    ],
)
def test_number_out_of_range_is_refused(settings, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        RunConfig(**settings)


def test_model_that_only_torch_has_runs_there_and_a_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "load_catalogue", lambda files: Catalogue(TASKS, (TORCH_ONLY,)))
    made = make_plan(RunConfig(models=("mlp", "torch_only", "logreg:torch"), device="cpu", out=tmp_path / "out"))
    assert [cell.backend.name for cell in made.cells] == ["jax", "torch", "torch"]
    assert made.notes == (
        "torch_only runs in torch: the jax engine does not have it",
        "jax on cpu, one population at a time",
        "torch on cpu, one population at a time",
    )
    assert list(tmp_path.iterdir()) == [], "a plan writes nothing"


def test_plan_says_how_many_populations_train_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxtx.backend.cores", lambda: 3)
    made = make_plan(RunConfig(models=("mlp",), device="cpu", out=tmp_path))
    assert made.notes == ("jax on cpu, up to 3 populations side by side",)


@pytest.mark.parametrize(
    ("config", "known"), [(CONFIG, "73fcef2b4125"), (None, "8272da143385")], ids=["made", "planned"]
)
def test_id_of_a_cell_stays(config, known):
    config = config or planned()[0].cells["mlp"].config
    assert config.id == known, (
        "the id of an unchanged config changed, so --reuse finds nothing and every published row stands twice: "
        "right only together with a new format of the results"
    )


OTHER = {
    "seed": 1,
    "members": 2,
    "n_samples": 10,
    "epochs": 5,
    "hyperparameters": {"architecture": {"class": "MLP"}},
    "at_default": ("architecture.width",),
    "eval_lengths": (7,),
}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(CellConfig)])
def test_id_changes_with_every_field(field):
    assert dataclasses.replace(CONFIG, **{field: OTHER.get(field, "other")}).id != CONFIG.id


def test_field_that_comes_later_moves_no_id_while_it_has_its_default():
    later = dataclasses.make_dataclass("Later", [("optimism", float, 0.5)], bases=(CellConfig,), frozen=True)
    assert later(**dataclasses.asdict(CONFIG)).id == CONFIG.id
    assert later(**dataclasses.asdict(CONFIG), optimism=0.25).id != CONFIG.id


def test_later_field_of_a_part_of_the_spec_moves_no_id_while_it_has_its_default():
    """Of the architecture, as of the optimizer: the record has it, and says that it has its default."""
    mixed = dataclasses.make_dataclass("MLP", [("dropout", float, 0.0)], bases=(MLP,), frozen=True)
    specs = [ModelSpec("own", own, "None.") for own in (MLP(), mixed(), mixed(dropout=0.5))]
    before, same, other = (
        dataclasses.replace(CONFIG, hyperparameters=spec.hyperparameters(), at_default=spec.at_default())
        for spec in specs
    )
    assert same.hyperparameters["architecture"] == {"class": "MLP", "width": 16, "dropout": 0.0}
    assert before.id == same.id != other.id


def test_id_does_not_depend_on_the_order_of_hyperparameters():
    turned = dict(reversed(CONFIG.hyperparameters.items()))
    assert dataclasses.replace(CONFIG, hyperparameters=turned).id == CONFIG.id


def test_id_is_computed_once_and_leaves_no_trace_in_the_record(monkeypatch):
    """The display asks for it at every epoch."""
    asked, fresh = dataclasses.replace(CONFIG), dataclasses.replace(CONFIG)
    first = asked.id
    monkeypatch.setattr(CellConfig, "as_dict", lambda config: pytest.fail("computed again"))
    assert asked.id == first
    monkeypatch.undo()
    assert (asked, asked.as_dict(), repr(asked)) == (fresh, fresh.as_dict(), repr(fresh))
    assert dataclasses.replace(asked, seed=asked.seed + 1).id != first


def test_recipe_settles_the_rates_of_the_ladder(monkeypatch):
    """Who edits a number in recipes.py trains with it."""
    edited = Optimizer(0.03, 0.02, weight_decay=0.5, batch_size=7)
    monkeypatch.setitem(recipes.TUNED, "mlp", edited)
    (tuned,), (original,) = (planned(recipe=recipe)[0].cells.values() for recipe in ("tuned", "original"))
    assert tuned.spec.optimizer == edited
    assert original.spec.optimizer == build_models(["mlp"])[0].optimizer
    assert (tuned.config.recipe, original.config.recipe) == ("tuned", "original")
    assert tuned.config.id != original.config.id


@pytest.mark.parametrize("recipe", list(recipes.RECIPES))
def test_rates_edited_in_build_models_are_trained_with(recipe, monkeypatch):
    """As the original's users edit them: nothing is laid over what build_models returns."""
    edited = Optimizer(0.7, 0.3, weight_decay=0.05)

    def build(names=None, **settings):
        return tuple(dataclasses.replace(spec, optimizer=edited) for spec in build_models(names, **settings))

    monkeypatch.setattr(plugins, "build_models", build)
    (cell,) = planned(recipe=recipe)[0].cells.values()
    assert cell.spec.optimizer == edited


def test_unknown_recipe_is_named_with_the_choices():
    with pytest.raises(UsageError, match="unknown recipe 'mine'; choose from: original, tuned"):
        build_models(recipe="mine")
