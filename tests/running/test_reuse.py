"""The stored cells that --reuse keeps, and the others: a cell is known by its code, its settings and its rows."""

import csv
import dataclasses
import io
import json
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout

import pytest

from coretx.cli import main
from coretx.evaluation.scores import score
from coretx.records import provenance, results
from coretx.records.cell_config import CellConfig
from coretx.records.store import load_result, save_result
from coretx.reports import publish
from coretx.reports.tables.files import Tables
from coretx.running import reuse

SMALL = ("--epochs", "3", "--n-samples", "40", "--wandb", "disabled", "--device", "cpu")
PLUGIN = """
import numpy as np
from dataclasses import dataclass
from coretx import ModelSpec, Optimizer, Task

class First(Task):
    name = "first"
    rule = "1 when the first feature is positive."

    def generate_candidates(self, n, rng):
        return rng.standard_normal((n, 5, 2), dtype=np.float32)

    def label(self, x):
        return (x[:, 0, 0] > 0).astype(np.float32)

@dataclass(frozen=True)
class Pool:
    width: int = 4

def starting(name, shape, rng):
    return 0.5 * rng.standard_normal(shape)

TASKS = [First()]
MODELS = [ModelSpec("pool", Pool(), "None.", Optimizer(0.1, 0.1), engines=("torch",), initializer=starting)]

def torch_models():
    import torch
    from torch import nn
    from torchtx.layers import no_record

    class TorchPool(nn.Module):
        def __init__(self, spec, shape):
            super().__init__()
            self.embed = nn.Linear(shape.feature, spec.width)
            self.head = nn.Linear(spec.width, 1)

        def forward(self, x, note=no_record):
            return self.head(torch.tanh(self.embed(x)).mean(dim=1))[:, 0]

    return {Pool: TorchPool}
"""
LABEL = ("x[:, 0, 0] > 0", "x[:, 1, 0] > 0")
CLASS = ("torch.tanh(self.embed(x))", "torch.relu(self.embed(x))")
INITIALIZER = ("0.5 * rng", "0.25 * rng")


LOGREG = ("--models", "logreg")
OURS = "logreg (jax), seed 0, n 40: "
MINE = "first pool (torch), seed 0, n 40: "


def run(out, *arguments, code=0):
    """Run the program, check its exit code, and return the lines it prints."""
    with redirect_stdout(io.StringIO()) as said:
        assert main([*SMALL, "--out", str(out), *arguments]) == code
    return said.getvalue()


def numbers(out):
    return {path.name: path.read_bytes() for path in (out / "artifacts").rglob("*.safetensors")}


def result_of(out, model="logreg"):
    (path,) = out.rglob(f"cells/{model}.*.json")
    return load_result(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a function that trains each of three folders once and returns it; no test writes to them."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "mine.py").write_text(PLUGIN)
    plugin = ("--tasks", "first", "--plugin", str(folder / "mine.py"))
    arguments = {"one": LOGREG, "two": ("--models", "logreg", "mlp"), "mine": ("--models", "pool", "logreg", *plugin)}

    def once(name):
        if not (folder / name).exists():
            assert "again" not in run(folder / name, *arguments[name], "--reuse"), "nothing was there"
        return folder / name

    return once


@pytest.fixture
def stored(trained, tmp_path):
    """A folder with a trained cell of logreg."""
    return shutil.copytree(trained("one"), tmp_path / "out")


@pytest.fixture
def plugin(trained, tmp_path):
    """Return a function that runs the plugin's model on its task, after an edit; model and logreg are trained there."""
    file, out = tmp_path / "mine.py", shutil.copytree(trained("mine"), tmp_path / "out")

    def train(*arguments, edits=()):
        text = PLUGIN
        for edit in edits:
            text = text.replace(*edit)
        file.write_text(text)
        return run(out, "--tasks", "first", "--models", "pool", "--plugin", str(file), *arguments)

    train.out, train.file = out, file
    return train


@pytest.mark.parametrize("edit", [LABEL, CLASS, INITIALIZER], ids=["label", "class", "initializer"])
def test_cell_of_an_edited_plugin_is_trained_again_and_a_line_says_why(plugin, edit):
    before = numbers(plugin.out)
    said = plugin("--reuse", edits=[edit])
    assert MINE + "trained again: the code or library versions that decide its" in said
    assert "reused" not in said
    assert numbers(plugin.out).keys() == before.keys()
    assert numbers(plugin.out) != before
    assert MINE + "reused" in plugin("--reuse", edits=[edit])


def test_words_of_a_plugin_may_change(plugin):
    assert ": reused" in plugin("--reuse", edits=[("import numpy", "# as an example\nimport numpy")])


def test_reuse_any_keeps_the_result_of_other_code(plugin):
    before = numbers(plugin.out)
    said = plugin("--reuse", "any", edits=[CLASS])
    assert MINE + "reused" in said
    assert "again" not in said
    assert numbers(plugin.out) == before


def test_cell_is_trained_again_where_the_task_reads_other_rows_from_a_file(plugin, tmp_path):
    rows = tmp_path / "shift.txt"
    rows.write_text("0")
    edits = [("x[:, 0, 0] > 0", f"x[:, 0, 0] > float(open({str(rows)!r}).read())")]
    plugin(edits=edits)
    assert ": reused" in plugin("--reuse", edits=edits)
    rows.write_text("0.5")
    assert "trained again: its task now gives other rows or labels" in plugin("--reuse", edits=edits)


def newer(monkeypatch, module):
    """Change the digest of a module of the core, as a git pull does that changes the module."""
    sources, path = provenance.own_sources, f"coretx/{module}.py"

    def edited(places):
        return {name: digest + "!" * (name == path) for name, digest in sources(places).items()}

    monkeypatch.setattr(provenance, "own_sources", edited)


def test_cell_of_other_code_of_ours_is_trained_again(stored, monkeypatch):
    newer(monkeypatch, "training/loop")
    assert "trained again: the code or library versions that decide its weights" in run(stored, *LOGREG, "--reuse")
    assert OURS + "reused" in run(stored, *LOGREG, "--reuse")


@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_cell_of_other_code_for_scores_is_scored_again_from_its_weights(engine, tmp_path, monkeypatch, plain):
    arguments = ("--backend", engine, "--models", "self_attention", "--tasks", "has_all_tokens", "--eval-lengths", "6")
    arguments = (*arguments, "--members", "2", "--learning-rates", "0.5x", "1x")
    run(tmp_path, *arguments)
    before, files = {path: load_result(path) for path in tmp_path.rglob("cells/*.json")}, numbers(tmp_path)
    newer(monkeypatch, "evaluation/scores")
    monkeypatch.setattr("coretx.running.train_cell.train_groups", lambda *rest: pytest.fail("trained again"))
    said = run(tmp_path, *arguments, "--reuse")
    assert said.count("scored again: the code or library versions that decide scores have changed") == 2
    assert "reused" not in said
    assert numbers(tmp_path) == files
    for path, old in before.items():
        new = load_result(path)
        assert plain(new) == plain(dataclasses.replace(old, provenance=new.provenance))
        kept = dataclasses.replace(old.provenance, code=new.provenance.code)
        assert (new.provenance, new.provenance.code.weights) == (kept, old.provenance.code.weights)
        assert new.provenance.code.scores != old.provenance.code.scores
    assert run(tmp_path, *arguments, "--reuse").count(": reused") == 2


def log_lines(out):
    (path,) = out.rglob("runs/*.jsonl")
    return path.read_text().splitlines()


def lines_of(lines, event, prefix):
    return [line for line in lines if (json.loads(line)["event"], json.loads(line).get("prefix")) == (event, prefix)]


def test_scores_of_other_code_are_replaced_and_the_log_keeps_the_epochs(tmp_path, monkeypatch):
    """The scores in the record: the table and the page are made from them."""

    def halved(predictions):
        found = score(predictions).items()
        return {name: dataclasses.replace(scores, accuracy=scores.accuracy / 2) for name, scores in found}

    def recorded():
        return json.loads(next(tmp_path.rglob("cells/*.json")).read_text())["scores"]["test"]["accuracy"][0]

    with monkeypatch.context() as patched:
        patched.setattr(results, "score", halved)
        run(tmp_path, *LOGREG)
    first, before = recorded(), log_lines(tmp_path)
    newer(monkeypatch, "evaluation/scores")
    run(tmp_path, *LOGREG, "--reuse")
    assert recorded() == 2 * first == result_of(tmp_path).scores["test"].accuracy[0]
    after = log_lines(tmp_path)
    assert lines_of(after, "epoch", "logreg") == lines_of(before, "epoch", "logreg")
    assert len(lines_of(after, "model_done", "logreg")) == 1


@pytest.mark.parametrize("kind", ["*.weights.safetensors", "cells/*.json"])
def test_broken_cell_is_trained_again_and_a_line_says_why(stored, kind):
    (file,) = stored.rglob(kind)
    file.write_bytes(file.read_bytes()[:-1])
    said = run(stored, *LOGREG, "--reuse", "any")
    assert "trained again: its files are broken or of another version" in said


def test_diverged_cell_is_trained_again_and_a_line_says_why(tmp_path):
    arguments = ("--models", "mlp", "--learning-rates", "1e30")
    run(tmp_path, *arguments, code=1)
    assert "trained again: it diverged" in run(tmp_path, *arguments, "--reuse", code=1)


def test_points_of_a_grid_are_kept_together_or_not_at_all(tmp_path):
    arguments = (*LOGREG, "--learning-rates", "0.5x", "1x")
    run(tmp_path, *arguments)
    next(tmp_path.rglob("cells/*.json")).unlink()
    said = run(tmp_path, *arguments, "--reuse")
    assert said.count("trained again: it trains together with other points of its grid") == 1


def test_a_changed_default_is_another_setting_though_the_id_is_the_same(stored):
    result = result_of(stored)
    settings = json.loads(json.dumps(result.config.hyperparameters))
    settings["optimizer"]["b1"] = 0.8
    other = dataclasses.replace(result.config, hyperparameters=settings)
    assert other.id == result.config.id
    save_result(dataclasses.replace(result, config=other), stored)
    assert "trained again: a default value has changed" in run(stored, *LOGREG, "--reuse", "any")


def test_a_later_field_does_not_part_a_cell_from_its_record(trained):
    now = result_of(trained("one")).config
    then = {name: value for name, value in now.hyperparameters["optimizer"].items() if name != "eps"}
    stored = dataclasses.replace(now, hyperparameters={**now.hyperparameters, "optimizer": then})
    assert stored.id == now.id
    assert reuse.same_settings(stored, now)
    assert CellConfig.from_dict(json.loads(json.dumps(now.as_dict()))) == now


def test_reuse_of_another_kind_is_refused():
    """In a process of its own: here a type checker would be faster."""
    code = "from coretx.config import RunConfig; RunConfig(reuse=True)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "UsageError: --reuse must be one of no, same, any; got True" in done.stderr


def test_page_shows_the_rule_that_the_cell_was_trained_by(plugin):
    (page,) = plugin.out.rglob("pool.torch.html")
    page.unlink()
    plugin("--reuse", "any", edits=[("the first feature is positive", "it is so")])
    assert "1 when the first feature is positive." in page.read_text()
    result = result_of(plugin.out, "pool")
    assert result.rule == "1 when the first feature is positive."
    assert publish.is_published(result, Tables(plugin.out))


@pytest.mark.parametrize("killed", [False, True])
def test_log_keeps_the_lines_of_reused_cells_and_gets_the_lines_of_the_others(trained, tmp_path, killed):
    """Byte for byte, also where a killed run left a part of a line."""
    out = shutil.copytree(trained("two"), tmp_path / "out")
    before, kept = log_lines(out), {name: data for name, data in numbers(out).items() if name.startswith("logreg")}
    if killed:
        next(out.rglob("runs/*.jsonl")).write_text("\n".join([*before[:-1], '{"event": "ep']))
    next(out.rglob("mlp.jax.*.json")).unlink()
    said = run(out, "--models", "logreg", "mlp", "--reuse")
    assert OURS + "reused" in said
    assert "mlp (jax), seed 0, n 40: accuracy" in said
    assert kept.items() <= numbers(out).items()
    after = log_lines(out)
    for event, lines in (("epoch", 3), ("model_done", 1)):
        assert len(lines_of(after, event, "logreg")) == len(lines_of(after, event, "mlp")) == lines
        assert lines_of(after, event, "logreg") == lines_of(before, event, "logreg")
    assert [json.loads(line)["event"] for line in (after[0], after[-1])] == ["start", "finish"]
    assert (json.loads(after[0])["reused"], json.loads(after[0])["scored_again"]) == (["logreg"], [])


def test_log_stays_where_all_cells_are_reused(stored):
    before = log_lines(stored)
    run(stored, *LOGREG, "--reuse")
    assert log_lines(stored) == before


def shown(out):
    """Return the models of the table, and the text of the task's page with the dashboard's."""
    with (out / "benchmarks" / "benchmarking.csv").open() as file:
        models = {row["model"] for row in csv.DictReader(file)}
    pages = [out / "artifacts" / "first" / "index.html", out / "benchmarks" / "index.html"]
    return models, "".join(page.read_text() for page in pages)


def test_page_never_shows_todays_rule_beside_the_score_of_another(plugin):
    """logreg is trained again after the label rule was edited; the score of pool is older."""
    models, pages = shown(plugin.out)
    assert models == {"pool", "logreg"}
    assert "pool.torch.html" in pages
    said = plugin(*LOGREG, edits=[LABEL])
    assert re.search(r"left out of tables and pages: .*pool\.torch\..*: first gives its test rows other labels", said)
    models, pages = shown(plugin.out)
    assert models == {"logreg"}
    assert "pool.torch.html" not in pages
    assert not list(plugin.out.rglob("pool.torch.html"))
    assert len(list(plugin.out.rglob("cells/pool.torch.*.json"))) == 1


def test_rule_that_fails_on_stored_rows_is_another_rule(plugin):
    rule = ("return (x", "assert abs(x).max() < 2, 'too large'; return (x")
    drawn = ("rng.standard_normal((n, 5, 2), dtype=np.float32)", "rng.random((n, 5, 2), np.float32) - 0.5")
    plugin(*LOGREG, edits=[rule, drawn])
    assert shown(plugin.out)[0] == {"logreg"}


@pytest.mark.parametrize("lost", [False, True], ids=["there", "lost"])
def test_cell_of_another_rule_is_kept_by_reuse_any_and_not_shown(plugin, lost):
    if lost:
        shutil.rmtree(plugin.out / "benchmarks")
    before = numbers(plugin.out)
    said = plugin("--models", "pool", "logreg", "--reuse", "any", edits=[LABEL])
    assert (said.count(": reused"), said.count("left out of tables and pages")) == (2, 2)
    assert numbers(plugin.out) == before
    assert not list(plugin.out.rglob("pool.torch.html"))


def test_rebuild_names_a_cell_of_another_rule_and_leaves_it_out(plugin):
    rebuild = ("--rebuild-reports", "--plugin", str(plugin.file))
    plugin.file.write_text(PLUGIN.replace(*LABEL))
    said = run(plugin.out, *rebuild, code=1)
    assert said.count("first gives its test rows other labels today, or has inputs") == 2
    assert not list(plugin.out.rglob("pool.torch.html"))
    plugin.file.write_text(PLUGIN)
    run(plugin.out, *rebuild)
    assert shown(plugin.out)[0] == {"pool", "logreg"}
