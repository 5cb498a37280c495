"""Small whole runs: their files, and the files after a bad cell, a signal or a missing engine."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from coretx.cli import main
from coretx.config import RunConfig
from coretx.display.progress import Progress
from coretx.evaluation.explanations import explain
from coretx.evaluation.scores import cross_entropy
from coretx.records.store import load_result
from coretx.reports import publish
from coretx.running import experiment, train_cell
from coretx.running.plan import make_plan
from coretx.running.run_data import draw_all
from coretx.running.train_cell import train_cells
from coretx.running.workers import Stopped, WorkerPool
from coretx.tasks import splits
from coretx.tasks.sampling import prepare_data

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--models", "logreg", "mlp", "--epochs", "2", "--n-samples", "40", "--wandb", "disabled", "--device", "cpu")
PLUGIN = """
from coretx import ModelSpec, Optimizer
from coretx.models.architectures import LogisticRegression
MODELS = [
    ModelSpec("exploding", LogisticRegression(), "None.", Optimizer(1e30, 1e30)),
]
"""
WITHOUT_TORCH = """
import importlib.machinery
finder = importlib.machinery.PathFinder
found = finder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] == "torch" else found(name, path, target)
finder.find_spec = find_spec
"""


def small_run(out, *arguments):
    return main([*SMALL, "--out", str(out), *arguments])


def cells(out):
    """Return {model: result} of all cells below out; each must be whole."""
    found = [load_result(path) for path in (out / "artifacts").glob("*/cells/*.json")]
    return {result.config.model: result for result in found}


def table(out):
    with (out / "benchmarks" / "benchmarking.csv").open() as file:
        return list(csv.DictReader(file))


def log(out):
    """Return the lines of the one log below out."""
    (path,) = (out / "artifacts" / "sign_of_winner" / "runs").glob("*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def numbers(out):
    """Return the bytes of every weights and predictions file by its name, which holds the cell's id."""
    return {path.name: path.read_bytes() for path in (out / "artifacts").rglob("*.safetensors")}


def pages(out):
    return {path.relative_to(out): path.read_bytes() for path in out.rglob("*.html")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, program):
    """The folder of a small run in a process of its own."""
    out = tmp_path_factory.mktemp("finished")
    done = program(*SMALL, "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    return out


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the folder of the small run."""
    return shutil.copytree(finished, tmp_path / "copied")


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory, program):
    """Return a function that runs the program where torch is not installed."""
    folder = tmp_path_factory.mktemp("without")
    (folder / "sitecustomize.py").write_text(WITHOUT_TORCH)
    return lambda *arguments: program(*arguments, PYTHONPATH=str(folder), PYTHONHASHSEED="1")


@pytest.fixture
def plugin(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    return str(tmp_path / "mine.py")


def test_run_leaves_whole_cells_and_pages_and_no_temporary_file(finished):
    assert {model: result.status for model, result in cells(finished).items()} == {"logreg": "done", "mlp": "done"}
    names = [f"artifacts/sign_of_winner/{name}.html" for name in ("index", "logreg", "mlp")] + ["benchmarks/index.html"]
    assert sorted(path.as_posix() for path in pages(finished)) == names
    assert {path.name for path in finished.rglob(".*") if path.suffix != ".lock"} == set()


def test_table_has_a_row_for_every_model_and_split_with_the_scores_of_the_cells(finished):
    rows, results = table(finished), cells(finished)
    found = [(row["task"], row["model"], row["split"], row["backend"]) for row in rows]
    splits = ("test", "train", "val")
    assert sorted(found) == [("sign_of_winner", m, s, "jax") for m in ("logreg", "mlp") for s in splits]
    for row in rows:
        scores = results[row["model"]].scores[row["split"]]
        assert float(row["accuracy"]) == pytest.approx(scores.accuracy[0], abs=1e-6)
        assert float(row["loss"]) == pytest.approx(scores.loss[0], abs=1e-6)


def test_overlap_of_the_run_is_written(finished):
    """For the protocol of the run and, to compare with, for the original's."""
    rows = list(csv.DictReader((finished / "benchmarks" / "overlap.csv").open()))
    assert [(row["task"], row["split"], row["test_total"]) for row in rows] == [
        ("sign_of_winner", "disjoint", "10000"),
        ("sign_of_winner", "original", "40"),
    ]
    assert rows[0]["overlap_count"] == rows[0]["overlap_keys"] == "0"


def test_table_of_other_columns_stops_the_run_before_it_trains(tmp_path, capsys):
    table = tmp_path / "benchmarks" / "comparisons.csv"
    table.parent.mkdir()
    table.write_text("task,verdict\n")
    assert small_run(tmp_path, "--models", "logreg") == 2
    assert "comparisons.csv, line 1: the header must be" in capsys.readouterr().err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [table]


def test_counts_stand_beside_the_result_and_in_the_table(finished):
    parts = list(csv.DictReader((finished / "benchmarks" / "splits.csv").open()))
    assert [(row["split"], row["part"]) for row in parts] == [
        *(("disjoint", part) for part in ("test", "train", "val")),
        *(("original", part) for part in ("test", "train")),
    ]
    counts = cells(finished)["mlp"].counts
    rows = {"train": (20, 20), "val": (20, 20), "test": (5000, 5000)}
    assert {part: count.distinct_rows for part, count in counts.items()} == rows
    assert log(finished)[0]["counts"]["val"]["rows"] == [20, 20]


def test_record_tells_the_run_line_by_line(finished):
    lines = log(finished)
    assert lines[0]["device_name"] == {"jax": "cpu"}
    assert (lines[0]["event"], lines[-1]["event"], lines[-1]["status"]) == ("start", "finish", "done")
    epochs = [(line["prefix"], line["epoch"]) for line in lines if line["event"] == "epoch"]
    assert sorted(epochs) == [(model, epoch) for model in ("logreg", "mlp") for epoch in (0, 1)]


def test_config_and_provenance_stand_beside_the_result(finished):
    result = cells(finished)["mlp"]
    assert (result.config.backend, result.config.device, result.config.seed) == ("jax", "cpu", 0)
    assert {"jax", "numpy", "python"} <= result.provenance.versions.keys()
    assert re.fullmatch(r"unknown|[0-9a-f]{12}(-dirty)?", result.provenance.commit)


def test_command_of_a_cell_makes_the_cell_again_whichever_others_run(finished, tmp_path):
    command = cells(finished)["mlp"].provenance.command.removeprefix("python main.py ").split()
    assert main([*command, "--wandb", "disabled", "--out", str(tmp_path)]) == 0
    again = numbers(tmp_path)
    assert again
    assert again.items() <= numbers(finished).items()


def test_same_seed_gives_the_same_bytes_in_another_process_without_torch(finished, without_torch, tmp_path):
    """Another hash seed, another folder, no torch: nothing of this may reach a number."""
    done = without_torch(*SMALL, "--out", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(numbers(tmp_path)) == 6
    assert numbers(tmp_path) == numbers(finished)


def test_other_seed_gives_other_numbers(finished, tmp_path):
    assert small_run(tmp_path, "--seed", "1") == 0
    assert not numbers(tmp_path).keys() & numbers(finished).keys()
    assert cells(tmp_path)["mlp"].scores["test"].loss != cells(finished)["mlp"].scores["test"].loss


@pytest.mark.parametrize("lost", ["benchmarks", "artifacts/sign_of_winner/mlp.html"])
def test_reuse_writes_the_rows_and_pages_that_are_not_there(copied, lost):
    def written():
        """Pages whole, tables without their order, in which the cells finished."""
        return pages(copied), {path: sorted(path.read_text().splitlines()) for path in copied.rglob("*.csv")}

    before = written()
    gone = copied / lost
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    assert small_run(copied, "--reuse") == 0
    assert written() == before


def test_diverged_cell_is_marked_without_scores_and_the_ladder_goes_on(tmp_path, plugin):
    assert small_run(tmp_path, "--models", "exploding", "mlp", "--plugin", plugin) == 1
    found = cells(tmp_path)
    assert {model: result.status for model, result in found.items()} == {"exploding": "diverged", "mlp": "done"}
    assert re.fullmatch(r"the loss of member 0 was not finite in epoch \d+", found["exploding"].failure)
    rows = [row for row in table(tmp_path) if row["model"] == "exploding"]
    assert [row["split"] for row in rows] == ["test", "train", "val"]
    assert {row[name] for row in rows for name in ("accuracy", "loss", "auc")} == {""}


def test_torch_that_is_not_installed_is_exit_code_2_with_the_command(without_torch, tmp_path):
    done = without_torch(*SMALL, "--models", "mlp", "logreg:torch", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert re.fullmatch(r"error: .*not installed: pip install 'torch>=2\.13,<2\.14'\n", done.stderr)
    assert not (tmp_path / "out").exists()


def test_task_that_breaks_its_contract_stops_the_run_before_anything_is_written(tmp_path, capsys):
    (tmp_path / "one_class.py").write_text(
        "import numpy as np\nfrom coretx import Task\n"
        "class OneClass(Task):\n    name = 'one_class'\n"
        "    def generate_candidates(self, n, rng): return rng.standard_normal((n, 5, 2), dtype=np.float32)\n"
        "    def label(self, x): return np.ones(len(x), np.float32)\n"
        "TASKS = [OneClass()]\n"
    )
    out = tmp_path / "out"
    assert small_run(out, "--tasks", "sign_of_winner", "one_class", "--plugin", str(tmp_path / "one_class.py")) == 2
    assert "task one_class: both classes must occur" in capsys.readouterr().err
    assert not out.exists()


def test_row_of_train_in_test_stops_the_run_before_anything_is_written(tmp_path, capsys, monkeypatch):
    draw = splits.prepare_data

    def planted(n, seed, *, task, side=None):
        data = draw(n, seed, task=task, side=side)
        if side == "test":
            data.x[7] = draw(n, seed - 1, task=task, side="train").x[3]
        return data

    monkeypatch.setattr(splits, "prepare_data", planted)
    assert small_run(tmp_path / "out", "--tasks", "two_digit_sum") == 2
    message = capsys.readouterr().err
    assert re.search(r'two_digit_sum: train and test must share nothing, but "\d\d \+ \d\d = \d\d" of test', message)
    assert "one of 1 such rows" in message
    assert not (tmp_path / "out").exists()


def test_space_that_is_too_small_gives_what_it_has_and_says_so(tmp_path, capsys):
    arguments = ("--tasks", "single_digit_sum", "--models", "logreg", "--n-samples", "1000")
    assert small_run(tmp_path, *arguments) == 0
    result = cells(tmp_path)["logreg"]
    rows = {name: scores.n for name, scores in result.scores.items()}
    found = f"{rows['train']} train, {rows['val']} validation, {rows['test']} test rows"
    assert f"single_digit_sum: 1000 rows of each split were asked for, its space has {found}" in capsys.readouterr().out
    assert all(count.small_space for count in result.counts.values())
    assert re.search(r"small space: 95 % interval over 6 problems", next(tmp_path.rglob("logreg.html")).read_text())
    assert "small space" in (tmp_path / "benchmarks" / "index.html").read_text()


def test_original_protocol_can_be_asked_for(tmp_path):
    assert small_run(tmp_path, "--models", "logreg", "--split", "original", "--tasks", "single_digit_sum") == 0
    result = cells(tmp_path)["logreg"]
    assert list(result.scores) == ["train", "test"]
    assert (result.config.split, result.config.negatives) == ("original", "original")
    assert result.predictions["test"].x.tobytes() == prepare_data(40, 1, task="single_digit_sum").x.tobytes()


def test_last_epoch_is_reported_beside_the_chosen_one(tmp_path):
    assert small_run(tmp_path, "--models", "multilayer_transformer", "--epochs", "30") == 0
    result = cells(tmp_path)["multilayer_transformer"]
    (best,) = result.best_epoch
    assert best == result.history["loss_val"][0].argmin()
    assert best < 29, "this test needs a model that is at its best before the end"
    for split, answers in result.predictions.items():  # the curves are of the first 40 rows of test
        for logits, epoch in ((answers.logits, best), (answers.last_logits, -1)):
            loss = cross_entropy(logits[:, :40], answers.y[:40])[0]
            assert split == "train" or loss == pytest.approx(result.history[f"loss_{split}"][0, epoch], rel=1e-5)
    row = next(row for row in table(tmp_path) if row["split"] == "test")
    assert float(row["best_epoch"]) == best
    assert float(row["loss_last"]) == pytest.approx(result.last_scores["test"].loss[0], abs=1e-6)
    page = next(tmp_path.rglob("multilayer_transformer.html")).read_text()
    assert f"epoch {best + 1} of 30" in page
    assert "last epoch" in page


def test_noise_for_test_labels_changes_no_weight_and_no_choice(tmp_path, monkeypatch):
    arguments = ("--models", "mlp", "--epochs", "12")
    assert small_run(tmp_path / "real", *arguments) == 0
    draw = splits.prepare_data

    def noisy(n, seed, *, task, side=None):
        data = draw(n, seed, task=task, side=side)
        labels = np.random.default_rng(5).permutation(data.y) if side == "test" else data.y
        return splits.Dataset(data.x, labels)

    monkeypatch.setattr(splits, "prepare_data", noisy)
    assert small_run(tmp_path / "noise", *arguments) == 0
    real, noise = (cells(tmp_path / name)["mlp"] for name in ("real", "noise"))
    assert real.scores["test"].accuracy != noise.scores["test"].accuracy
    assert real.best_epoch.tolist() == noise.best_epoch.tolist()
    assert {k: v.tobytes() for k, v in real.weights.items()} == {k: v.tobytes() for k, v in noise.weights.items()}


def test_file_where_a_folder_belongs_is_exit_code_3(tmp_path, capsys):
    (tmp_path / "benchmarks").touch()
    assert small_run(tmp_path, "--models", "logreg") == 3
    assert re.search(r"^error: .*benchmarks", capsys.readouterr().err, re.MULTILINE)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The folder of a run that got Ctrl-C when its first cell was done, its exit code and its output.

    The second cell, in torch, starts after it and takes a hundred times as long.
    """
    out = tmp_path_factory.mktemp("interrupted")
    arguments = ("--models", "logreg", "multilayer_transformer:torch", "--epochs", "1000", "--n-samples", "40")
    run = subprocess.Popen(
        [sys.executable, ROOT / "main.py", *arguments, "--wandb", "disabled", "--out", out],
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with run:
        seen = []
        for line in run.stdout:
            seen.append(line)
            if "logreg (jax)" in line and "accuracy" in line:
                run.send_signal(signal.SIGINT)
                break
        rest, errors = run.communicate(timeout=60)
    return out, run.returncode, "".join(seen) + rest, errors


def test_interrupted_run_ends_with_130_and_no_traceback(interrupted):
    _, code, printed, errors = interrupted
    assert (code, errors) == (130, "")
    assert "interrupted: finished cells are kept, the rest is dropped" in printed


def test_interrupted_run_keeps_and_publishes_what_was_finished(interrupted):
    out = interrupted[0]
    assert list(cells(out)) == ["logreg"]
    assert {row["model"] for row in table(out)} == {"logreg"}
    names = [f"artifacts/sign_of_winner/{name}.html" for name in ("index", "logreg")] + ["benchmarks/index.html"]
    assert sorted(path.as_posix() for path in pages(out)) == names
    assert log(out)[-1]["status"] == "interrupted"


@pytest.mark.parametrize("moment", ["start", "finish"])
def test_interrupt_while_a_cell_is_written_leaves_it_written_once(moment, tmp_path, monkeypatch, capsys):
    """Ctrl-C before the log is opened of a run whose cell is done, and while that cell is written."""
    kind, train, left, trained = experiment.JsonLinesLog, experiment.train_cells, [signal.SIGINT], threading.Event()
    write = getattr(kind, moment)

    def interrupted(*arguments):
        assert trained.wait(60)
        while left:
            signal.raise_signal(left.pop())
        return write(*arguments)

    def train_cells(*arguments):
        results = train(*arguments)
        trained.set()
        return results

    monkeypatch.setattr(kind, moment, interrupted)
    monkeypatch.setattr(experiment, "train_cells", train_cells)
    outcome = experiment.execute(
        make_plan(RunConfig(models=("logreg",), n_samples=(40,), epochs=2, wandb="disabled", out=tmp_path))
    )
    assert outcome.exit_code == 130
    assert [result.config.model for result in outcome.results] == ["logreg"]
    assert capsys.readouterr().out.count("[1/1] sign_of_winner logreg (jax), seed 0, n 40: accuracy") == 1
    events = [line["event"] for line in log(tmp_path)]
    assert events == ["start", "epoch", "epoch", "model_done", "finish"]


def test_error_in_one_cell_leaves_the_finished_cells(tmp_path, monkeypatch):
    """mlp fails at once; the main thread handles that when logreg is trained."""
    train, begin = train_cell.train_groups, Progress.cell_started
    failed, trained = threading.Event(), threading.Event()

    def train_groups(access, population, *rest):
        if population.spec.name == "mlp":
            failed.set()
            raise ZeroDivisionError("a plugin's")
        assert failed.wait(60)
        groups = train(access, population, *rest)
        trained.set()
        return groups

    def cell_started(*arguments):
        assert trained.wait(60)
        begin(*arguments)

    monkeypatch.setattr(train_cell, "train_groups", train_groups)
    monkeypatch.setattr(Progress, "cell_started", cell_started)
    with pytest.raises(ZeroDivisionError, match="a plugin's"):
        small_run(tmp_path, "--models", "mlp", "logreg")
    assert list(cells(tmp_path)) == ["logreg"]
    assert {row["model"] for row in table(tmp_path)} == {"logreg"}
    assert (tmp_path / "artifacts" / "sign_of_winner" / "logreg.html").exists()
    assert log(tmp_path)[-1]["status"] == "failed"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes.\nMore"),
        RuntimeError("CUDA out of memory. Tried to allocate 8 bytes."),
    ],
    ids=["numpy", "jax", "torch"],
)
def test_population_that_does_not_fit_into_memory_is_one_sentence(error, tmp_path, monkeypatch, capsys):
    def train_groups(*arguments):
        raise error

    monkeypatch.setattr(train_cell, "train_groups", train_groups)
    assert small_run(tmp_path, "--models", "mlp", "--members", "2") == 2
    message = capsys.readouterr().err
    begin = "error: sign_of_winner mlp (jax), seed 0, n 40: 2 members do not fit into memory; take fewer --members, "
    assert message.startswith(begin + "points of a grid or --n-samples (")
    assert message.count("\n") == 1


def test_run_goes_on_where_nobody_reads_what_it_says(tmp_path):
    """As behind `| head -1`: the reader is gone after a line, the files are written, and no traceback is."""
    arguments = [sys.executable, ROOT / "main.py", *SMALL, "--out", tmp_path]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline()
        run.stdout.close()
        errors = run.stderr.read()
    assert (run.returncode, errors) == (0, "")
    assert set(cells(tmp_path)) == {"logreg", "mlp"}


def test_second_interrupt_while_a_cell_is_written_ends_the_run(tmp_path, monkeypatch):
    def interrupted_twice(*arguments):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(publish, "publish_rows", interrupted_twice)
    assert small_run(tmp_path, "--models", "logreg") == 130
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_models_of_a_task_are_compared_with_those_of_earlier_runs(tmp_path):
    """In the run and in --rebuild-reports alike; the cells of both runs have the same rows."""
    arguments = ("--members", "2")
    assert small_run(tmp_path, *arguments, "--models", "logreg") == 0
    path = tmp_path / "benchmarks" / "comparisons.csv"
    assert not path.exists()
    assert small_run(tmp_path, *arguments, "--models", "mlp") == 0
    (row,) = csv.DictReader(path.open())
    assert (row["model"], row["against"], row["members"]) == ("mlp", "logreg", "2")
    scores = {model: result.scores["test"].accuracy.mean() for model, result in cells(tmp_path).items()}
    assert float(row["difference"]) == pytest.approx(scores["mlp"] - scores["logreg"], abs=1e-6)
    assert "What each rung added" in (tmp_path / "benchmarks" / "index.html").read_text()
    before = path.read_bytes()
    path.unlink()
    assert main(["--rebuild-reports", "--out", str(tmp_path)]) == 0
    assert path.read_bytes() == before


def test_draws_of_data_are_cells_of_their_own_with_a_spread_of_their_own(tmp_path):
    assert small_run(tmp_path, "--models", "mlp", "--data-seeds", "2", "--members", "2") == 0
    found = [load_result(path) for path in (tmp_path / "artifacts").glob("*/cells/*.json")]
    assert sorted(result.config.seed for result in found) == [0, 3]
    rows = {name: np.unique([r.predictions[name].x.tobytes() for r in found]) for name in ("train", "val", "test")}
    assert {name: len(different) for name, different in rows.items()} == dict.fromkeys(rows, 2)
    assert "Other data" in (tmp_path / "benchmarks" / "index.html").read_text()
    assert "over 2 draws of data (seeds 0, 3)" in next(tmp_path.rglob("mlp.html")).read_text()


def test_rebuild_writes_deleted_pages_again(finished, copied):
    for path in pages(copied):
        (copied / path).unlink()
    assert main(["--rebuild-reports", "--out", str(copied)]) == 0
    assert pages(copied) == pages(finished)


def test_rebuild_names_a_broken_cell_and_leaves_it(copied, capsys):
    (broken,) = copied.rglob("mlp.*.weights.safetensors")
    broken.write_bytes(b"")
    (page,) = copied.rglob("mlp.html")
    page.unlink()
    assert main(["--rebuild-reports", "--out", str(copied)]) == 1
    assert re.search(r"left out, not what was written: .*mlp\.jax", capsys.readouterr().out)
    assert broken.read_bytes() == b""
    assert not page.exists()


@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_dearest_rungs_begin_first_where_cells_train_side_by_side(engine, tmp_path, monkeypatch):
    begun = []

    class Recorded(WorkerPool):
        """Notes the jobs and trains none."""

        def __init__(self, jobs, work, workers):
            begun.extend((next(iter(job.cells.values())).config.model, workers > 1) for job in jobs)
            super().__init__([], work, workers)

    monkeypatch.setattr(experiment, "WorkerPool", Recorded)
    models, together = ("logreg", "mlp", "temporal"), engine == "jax"
    config = RunConfig(backend=engine, models=models, n_samples=(40,), wandb="disabled", quiet=True, out=tmp_path)
    experiment.execute(make_plan(config))
    assert begun == [(model, together) for model in (models[::-1] if together else models)]


def test_a_cells_seconds_hold_all_that_its_engine_compiles(engine, monkeypatch):
    accesses = []

    def slow(access, predictions, member):
        accesses.append(access)
        access.seconds["compile"] += 1000.0
        return explain(access, predictions, member)

    monkeypatch.setattr("coretx.running.train_cell.explain", slow)
    plan = make_plan(RunConfig(backend=engine.name, models=("mlp",), n_samples=(40,), epochs=1, wandb="disabled"))
    (result,) = experiment.follow(plan).results
    assert result.provenance.seconds["compile"] == pytest.approx(accesses[0].seconds["compile"], abs=1e-3)
    assert result.provenance.seconds["compile"] >= 1000


def stopping(event):
    raise Stopped


@pytest.mark.parametrize("on_epoch", [lambda record: None, stopping])
def test_every_population_gives_its_devices_back(engine, monkeypatch, on_epoch):
    """That of another length too, and one that is stopped."""
    opened, closed, opening = [], [], type(engine).open

    def open_watched(*args, **settings):
        access = opening(*args, **settings)
        close = access.close
        access.close = lambda: closed.append(access) or close()
        opened.append(access)
        return access

    monkeypatch.setattr(type(engine), "open", open_watched)
    settings = {"tasks": ("has_all_tokens",), "models": ("logreg", "temporal"), "eval_lengths": (6,)}
    plan = make_plan(RunConfig(backend=engine.name, n_samples=(40,), epochs=1, **settings))
    (run,), (drawn,) = plan.runs, draw_all(plan.runs, plan.config)
    for cell in run.cells.values():
        with nullcontext() if on_epoch is not stopping else pytest.raises(Stopped):
            train_cells([cell], drawn, [on_epoch])
    assert len(opened) == (2 if on_epoch is stopping else 4)
    assert {id(access) for access in closed} == {id(access) for access in opened}
