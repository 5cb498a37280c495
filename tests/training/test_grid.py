"""Grids of hyperparameters: points, names, and groups that train as they would alone."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from coretx.cli import main, parse
from coretx.config import RunConfig
from coretx.errors import UsageError
from coretx.models.registry import build_models
from coretx.models.spec import InputShape, Optimizer
from coretx.reports.publish import page_path
from coretx.running.experiment import follow
from coretx.running.plan import make_plan
from coretx.training.grid import GridPoint, grid_points
from coretx.training.loop import Population, first_divergence, start, train, train_groups

RECIPE = Optimizer(0.4, 0.2, weight_decay=0.01, epochs=3, batch_size=8)


def optimizers(*factors):
    return tuple(GridPoint(lr, wd).apply(RECIPE) for lr, wd in factors)


def population(optimizers, name="mlp", members=2):
    (spec,) = build_models([name])
    return Population(replace(spec, optimizer=optimizers[0]), 0, "t", members, "float32", optimizers)


def trained(engine, rows, who, strategy=None):
    access = engine.open(who.spec, InputShape(5, 2), who.size, strategy=strategy)
    start(access, who)
    records = [[] for _ in who.optimizers]
    return train_groups(access, who, rows, [own.append for own in records]), records


def test_points_are_every_rate_with_every_decay_in_order():
    points = grid_points(("0.5x", "1x"), ("1x", "0"))
    assert [point.name for point in points] == ["lr0.5x", "lr0.5x-wd0", "", "wd0"]


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (GridPoint(), (0.4, 0.2, 0.01)),
        (GridPoint("0.5x"), (0.2, 0.1, 0.01)),
        (GridPoint("0.1", "0"), (0.1, 0.05, 0.0)),
        (GridPoint("1e-2x", "3x"), (0.004, 0.002, 0.03)),
    ],
)
def test_point_scales_the_whole_schedule(point, expected):
    optimizer = point.apply(RECIPE)
    found = optimizer.learning_rate_start, optimizer.learning_rate_end, optimizer.weight_decay
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("value", "end"), [("1x", 0.2), ("0.5x", 0.1), ("0.3", 0.3)])
def test_rate_that_starts_at_zero_still_does(value, end):
    optimizer = GridPoint(value).apply(Optimizer(0.0, 0.2))
    assert (optimizer.learning_rate_start, optimizer.learning_rate_end) == (0.0, end)


@pytest.mark.parametrize("value", ["0.5x", "1x", "2x", "3x", "0.333x", "0.111x", "0.037x", "10x", "0.01", "0", "0.25"])
def test_point_keeps_the_name_that_results_were_stored_under(value):
    assert grid_points(("1x",), (value,)) == (GridPoint("1x", value),)


@pytest.mark.parametrize(
    ("value", "same"), [("1e+1x", "10x"), ("1.0x", "1x"), ("00.50", "0.5"), ("1e+20", "1e20"), ("1e-7x", "1e-07x")]
)
def test_number_has_one_name_however_it_is_written(value, same):
    (point,) = grid_points((value,), ("1x",))
    assert point == GridPoint(same)
    assert grid_points((same,), ("1x",)) == (point,)
    assert page_path(Path(), "task", "mlp", "jax", f"tuned {point.name}".strip())


@pytest.mark.parametrize("flag", ["--learning-rates", "--weight-decays"])
@pytest.mark.parametrize("value", ["1e999", "1e999x", "1e308x"])
def test_number_that_is_not_finite_is_refused_before_anything_is_written(flag, value, tmp_path, plugin_file, capsys):
    """1e308 is a number, but no longer where it multiplies the recipe's 10."""
    arguments = ("--models", "steep", "--plugin", str(plugin_file), "--wandb", "disabled", flag, value)
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {flag} ")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def plugin_file(tmp_path):
    path = tmp_path / "steep.py"
    path.write_text(
        "from coretx import ModelSpec, Optimizer\nfrom coretx.models.architectures import LogisticRegression\n"
        "MODELS = [ModelSpec('steep', LogisticRegression(), 'None.', Optimizer(10.0, 10.0, weight_decay=10.0))]\n"
    )
    return path


@pytest.mark.parametrize("value", ["x", "-1x", "0x", "0", "nan", "1xx", "", "1 x", "inf", "1e-999"])
def test_rate_that_is_none_is_refused(value):
    with pytest.raises(UsageError, match="--learning-rates takes multiples"):
        grid_points((value,), ("1x",))


@pytest.mark.parametrize("values", [(), ("1x", "1.0x"), ("0.01", "1e-2")])
def test_values_given_twice_or_none_are_refused(values):
    with pytest.raises(UsageError, match="each given once"):
        grid_points(("1x",), values)


def test_groups_train_as_they_would_alone(engine, rows):
    """Bit for bit: both engines loop over members here."""
    whole = optimizers(("1x", "1x"), ("0.5x", "2x"), ("0.1x", "0"))
    together, records = trained(engine, rows, population(whole), "loop")
    for place, optimizer in enumerate(whole):
        (alone,), (own,) = trained(engine, rows, population((optimizer,)), "loop")
        for name, values in alone.history.items():
            assert together[place].history[name].tobytes() == values.tobytes(), name
        for name, values in alone.weights.items():
            assert together[place].weights[name].tobytes() == values.tobytes(), name
        assert [record.epoch for record in records[place]] == [record.epoch for record in own] == [0, 1, 2]


def test_diverged_group_ends_and_leaves_the_others_alone(engine, rows, monkeypatch):
    monkeypatch.setattr("coretx.training.loop.epochs_per_chunk", lambda n: 1)
    whole = optimizers(("1e30", "1x"), ("1x", "1x"))
    (bad, good), records = trained(engine, rows, population(whole, "logreg"), "loop")
    (alone,), _ = trained(engine, rows, population(whole[1:], "logreg"), "loop")
    (bad_alone,), _ = trained(engine, rows, population(whole[:1], "logreg"), "loop")
    assert first_divergence(bad.history) is not None
    assert len(records[0]) == bad.history["loss_train"].shape[1] < 3
    assert good.history["loss_train"].tobytes() == alone.history["loss_train"].tobytes()
    for name, values in bad_alone.weights.items():
        assert bad.weights[name].tobytes() == values.tobytes(), name


@pytest.fixture
def fetched(engine, monkeypatch):
    """Return a list that grows by one with every state that is fetched from a population of the engine."""
    fetched, opening = [], type(engine).open

    def open_counted(*args, **settings):
        access = opening(*args, **settings)
        state = access.state
        access.state = lambda: fetched.append(access) or state()
        return access

    monkeypatch.setattr(type(engine), "open", open_counted)
    return fetched


@pytest.mark.parametrize(("good", "times"), [(0, 1), (1, 2), (4, 2)])
def test_weights_of_all_groups_that_end_together_are_fetched_at_once(engine, rows, fetched, monkeypatch, good, times):
    monkeypatch.setattr("coretx.training.loop.epochs_per_chunk", lambda n: 2)
    points = [(f"{factor + 1}e30", "1x") for factor in range(3)] + [
        (f"0.{factor + 1}x", "1x") for factor in range(good)
    ]
    groups, _ = trained(engine, rows, population(optimizers(*points), "logreg"), "loop")
    assert all(group.weights["head.weight"].shape[0] == 2 for group in groups)
    assert len(fetched) == times


def test_chosen_weights_of_all_cells_are_fetched_at_once(engine, fetched):
    rates = ("0.5x", "1x", "2x")
    plan = make_plan(RunConfig(backend=engine.name, models=("mlp",), n_samples=(40,), epochs=2, learning_rates=rates))
    results = follow(plan).results
    assert all(result.best_epoch is not None for result in results)
    assert len(fetched) == 3, "at the end of training, for the choice, and after it"


def test_one_group_is_a_plain_training(engine, rows):
    who = population((RECIPE,))
    access = engine.open(who.spec, InputShape(5, 2), who.size)
    start(access, who)
    history = train(access, replace(who, grid=()), rows, lambda record: None)
    (group,), _ = trained(engine, rows, who)
    assert history["loss_train"].tobytes() == group.history["loss_train"].tobytes()


def test_plan_has_a_cell_for_every_point_and_one_population_for_a_model(tmp_path):
    settings = {"learning_rates": ("0.5x", "1x"), "members": 2, "recipe": "original"}
    config = RunConfig(models=("mlp", "logreg"), out=tmp_path, **settings)
    (run,) = make_plan(config).runs
    assert list(run.cells) == ["mlp-lr0.5x", "mlp", "logreg-lr0.5x", "logreg"]
    assert [list(cells) for cells in run.populations] == [["mlp-lr0.5x", "mlp"], ["logreg-lr0.5x", "logreg"]]
    configs = [cell.config for cell in run.cells.values()]
    assert [config.recipe for config in configs] == ["original lr0.5x", "original"] * 2
    assert len({config.id for config in configs}) == 4
    assert configs[0].hyperparameters["optimizer"]["learning_rate_start"] == 0.05


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rates": ("0.5x", "1.0x"), "members": 2},
        {"learning_rates": ("1x", "2x"), "weight_decays": ("0", "1e-2")},
        {"weight_decays": ("0",), "matmul_precision": "high"},
        {"mesh": "members=1", "eval_lengths": (8, 11)},
    ],
    ids=["rates", "both", "precision", "mesh"],
)
def test_command_of_a_cell_asks_for_all_that_was_trained_with_it(tmp_path, settings):
    """Its strategy is chosen for all members of all points: one point alone could be another cell."""
    config = RunConfig(models=("mlp",), out=tmp_path, tasks=("two_digit_sum",), **settings)
    cells = next(iter(make_plan(config).runs)).cells.values()
    for cell in cells:
        command = shlex.split(cell.command.removeprefix("python main.py"))
        again = parse([*command, "--out", str(tmp_path)], RunConfig()).run
        assert again.mesh == ("members=1,data=1" if config.mesh else None)
        assert [one.config for one in make_plan(again).runs[0].cells.values()] == [one.config for one in cells]


def test_grid_run_writes_a_page_and_rows_for_every_point(program, tmp_path):
    done = program(
        *("--models", "logreg", "--epochs", 2, "--n-samples", 40, "--learning-rates", "0.5x", "1x", "--out", tmp_path)
    )
    assert done.returncode == 0, done.stderr
    pages = {path.name for path in (tmp_path / "artifacts" / "sign_of_winner").glob("*.html")}
    assert pages == {"index.html", "logreg.html", "logreg.lr0.5x.html"}
    assert re.search(r"n 40: of 2 points validation chooses `tuned( lr0\.5x)?`, loss \d", done.stdout)
    rows = (tmp_path / "benchmarks" / "benchmarking.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 3
    assert "--learning-rates 0.5x" in (tmp_path / "artifacts" / "sign_of_winner" / "logreg.lr0.5x.html").read_text()
