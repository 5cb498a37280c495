"""What --reuse keeps and what it does not: a stored cell is known by its code, its settings and its rows."""

import csv
import dataclasses
import json
import re
import shutil
import subprocess
import sys

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
RULE = "x[:, 0, 0] > 0"
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
    from torchtx.layers import silent

    class TorchPool(nn.Module):
        def __init__(self, spec, shape):
            super().__init__()
            self.embed = nn.Linear(shape.feature, spec.width)
            self.head = nn.Linear(spec.width, 1)

        def forward(self, x, note=silent):
            return self.head(torch.tanh(self.embed(x)).mean(dim=1))[:, 0]

    return {Pool: TorchPool}
"""
LABEL = ("x[:, 0, 0] > 0", "x[:, 1, 0] > 0")
CLASS = ("torch.tanh(self.embed(x))", "torch.relu(self.embed(x))")
INITIALIZER = ("0.5 * rng", "0.25 * rng")


def run(out, *arguments):
    return main([*SMALL, "--out", str(out), *arguments])


def numbers(out, kind="*"):
    return {path.name: path.read_bytes() for path in (out / "artifacts").rglob(f"*.{kind}.safetensors")}


def result_of(out):
    (path,) = out.rglob("cells/*.json")
    return load_result(path)


@pytest.fixture
def plugin(tmp_path, capsys):
    """Return a function that trains the plugin's model on its task, after an edit, and returns what was said."""
    file, out = tmp_path / "mine.py", tmp_path / "out"

    def train(*arguments, edit=("", "")):
        file.write_text(PLUGIN.replace(*edit))
        capsys.readouterr()
        run(out, "--tasks", "first", "--models", "pool", "--plugin", str(file), *arguments)
        return capsys.readouterr().out

    train.out = out
    return train


@pytest.mark.parametrize("edit", [LABEL, CLASS, INITIALIZER], ids=["label", "class", "initializer"])
def test_edited_plugin_is_trained_again_and_a_line_says_why(plugin, edit):
    plugin()
    before = numbers(plugin.out)
    assert "first pool (torch), seed 0, n 40: reused" in plugin("--reuse")
    said = plugin("--reuse", edit=edit)
    assert "first pool (torch), seed 0, n 40: trained again: the code or library versions that decide its" in said
    assert "reused" not in said
    assert numbers(plugin.out).keys() == before.keys()
    assert numbers(plugin.out) != before
    assert "first pool (torch), seed 0, n 40: reused" in plugin("--reuse", edit=edit)


def test_words_of_a_plugin_may_change(plugin):
    plugin()
    assert ": reused" in plugin("--reuse", edit=("import numpy", "# as an example\nimport numpy"))


def test_reuse_any_keeps_what_other_code_made(plugin):
    plugin()
    before = numbers(plugin.out)
    said = plugin("--reuse", "any", edit=CLASS)
    assert "first pool (torch), seed 0, n 40: reused" in said
    assert "again" not in said
    assert numbers(plugin.out) == before


def test_other_rows_of_a_task_that_reads_them_from_a_file_are_trained_on_again(plugin, tmp_path):
    rows = tmp_path / "shift.txt"
    rows.write_text("0")
    edit = ("x[:, 0, 0] > 0", f"x[:, 0, 0] > float(open({str(rows)!r}).read())")
    plugin(edit=edit)
    assert ": reused" in plugin("--reuse", edit=edit)
    rows.write_text("0.5")
    assert "trained again: its task now gives other rows or labels" in plugin("--reuse", edit=edit)


def newer(monkeypatch, module):
    """Let a module of the core be other than it is, as after a git pull."""
    sources, path = provenance.own_sources, f"coretx/{module}.py"

    def edited(places):
        return {name: digest + "!" * (name == path) for name, digest in sources(places).items()}

    monkeypatch.setattr(provenance, "own_sources", edited)


def test_cell_of_other_code_of_ours_is_trained_again(tmp_path, capsys, monkeypatch):
    assert run(tmp_path, "--models", "logreg") == 0
    newer(monkeypatch, "training/loop")
    capsys.readouterr()
    assert run(tmp_path, "--models", "logreg", "--reuse") == 0
    assert "trained again: the code or library versions that decide its weights" in capsys.readouterr().out
    assert run(tmp_path, "--models", "logreg", "--reuse") == 0
    assert "logreg (jax), seed 0, n 40: reused" in capsys.readouterr().out


@pytest.mark.parametrize("module", ["reports/pages/model_page", "records/store", "cli"])
def test_code_that_shows_or_keeps_leaves_cells_alone(module, tmp_path, capsys, monkeypatch):
    assert run(tmp_path, "--models", "logreg") == 0
    newer(monkeypatch, module)
    assert run(tmp_path, "--models", "logreg", "--reuse") == 0
    assert "logreg (jax), seed 0, n 40: reused" in capsys.readouterr().out


@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_cell_of_other_code_for_scores_is_scored_again_from_its_weights(engine, tmp_path, capsys, monkeypatch, plain):
    arguments = ("--backend", engine, "--models", "self_attention", "--tasks", "has_all_tokens", "--eval-lengths", "6")
    arguments = (*arguments, "--members", "2", "--learning-rates", "0.5x", "1x")
    assert run(tmp_path, *arguments) == 0
    before, files = {path: load_result(path) for path in tmp_path.rglob("cells/*.json")}, numbers(tmp_path)
    newer(monkeypatch, "evaluation/scores")
    monkeypatch.setattr("coretx.running.train_cell.train_groups", lambda *rest: pytest.fail("trained again"))
    capsys.readouterr()
    assert run(tmp_path, *arguments, "--reuse") == 0
    said = capsys.readouterr().out
    assert said.count("scored again: the code or library versions that decide scores have changed") == 2
    assert "reused" not in said
    assert numbers(tmp_path) == files
    for path, old in before.items():
        new = load_result(path)
        assert plain(new) == plain(dataclasses.replace(old, provenance=new.provenance))
        kept = dataclasses.replace(old.provenance, code=new.provenance.code)
        assert (new.provenance, new.provenance.code.weights) == (kept, old.provenance.code.weights)
        assert new.provenance.code.scores != old.provenance.code.scores
    capsys.readouterr()
    assert run(tmp_path, *arguments, "--reuse") == 0
    assert capsys.readouterr().out.count(": reused") == 2


def test_scores_that_other_code_gave_are_replaced(tmp_path, monkeypatch):
    """In the record, which the table and the page are made from."""

    def halved(predictions):
        found = score(predictions).items()
        return {name: dataclasses.replace(scores, accuracy=scores.accuracy / 2) for name, scores in found}

    with monkeypatch.context() as patched:
        patched.setattr(results, "score", halved)
        assert run(tmp_path, "--models", "logreg") == 0
    first = json.loads(next(tmp_path.rglob("cells/*.json")).read_text())["scores"]["test"]["accuracy"][0]
    newer(monkeypatch, "evaluation/scores")
    assert run(tmp_path, "--models", "logreg", "--reuse") == 0
    second = json.loads(next(tmp_path.rglob("cells/*.json")).read_text())["scores"]["test"]["accuracy"][0]
    assert second == 2 * first == result_of(tmp_path).scores["test"].accuracy[0]


@pytest.mark.parametrize("kind", ["weights.safetensors", "json"])
def test_broken_cell_is_trained_again_and_a_line_says_why(tmp_path, capsys, kind):
    assert run(tmp_path, "--models", "logreg") == 0
    (file,) = tmp_path.rglob(f"logreg.*.{kind}") if kind != "json" else tmp_path.rglob("cells/*.json")
    file.write_bytes(file.read_bytes()[:-1])
    capsys.readouterr()
    assert run(tmp_path, "--models", "logreg", "--reuse", "any") == 0
    assert "trained again: its files are broken or of another version" in capsys.readouterr().out


def test_diverged_cell_is_trained_again_and_a_line_says_why(tmp_path, capsys):
    for arguments in ((), ("--reuse",)):
        assert run(tmp_path, "--models", "mlp", "--learning-rates", "1e30", *arguments) == 1
    assert "trained again: it diverged" in capsys.readouterr().out


def test_points_of_a_grid_are_kept_together_or_not_at_all(tmp_path, capsys):
    arguments = ("--models", "logreg", "--learning-rates", "0.5x", "1x")
    assert run(tmp_path, *arguments) == 0
    next(tmp_path.rglob("cells/*.json")).unlink()
    capsys.readouterr()
    assert run(tmp_path, *arguments, "--reuse") == 0
    said = capsys.readouterr().out
    assert said.count("trained again: it trains together with other points of its grid") == 1


def test_a_changed_default_is_another_setting_though_the_id_is_the_same(tmp_path, capsys):
    assert run(tmp_path, "--models", "logreg") == 0
    result = result_of(tmp_path)
    settings = json.loads(json.dumps(result.config.hyperparameters))
    settings["optimizer"]["b1"] = 0.8
    other = dataclasses.replace(result.config, hyperparameters=settings)
    assert other.id == result.config.id
    save_result(dataclasses.replace(result, config=other), tmp_path)
    capsys.readouterr()
    assert run(tmp_path, "--models", "logreg", "--reuse", "any") == 0
    assert "trained again: a default value has changed" in capsys.readouterr().out


def test_a_field_that_came_later_does_not_part_a_cell_from_its_record(tmp_path):
    assert run(tmp_path, "--models", "logreg") == 0
    now = result_of(tmp_path).config
    then = {name: value for name, value in now.hyperparameters["optimizer"].items() if name != "eps"}
    stored = dataclasses.replace(now, hyperparameters={**now.hyperparameters, "optimizer": then})
    assert stored.id == now.id
    assert reuse.same_settings(stored, now)
    assert CellConfig.from_dict(json.loads(json.dumps(now.as_dict()))) == now


def test_nothing_is_said_of_a_cell_that_is_not_there(tmp_path, capsys):
    assert run(tmp_path, "--models", "logreg", "--reuse") == 0
    assert "again" not in capsys.readouterr().out


def test_reuse_of_another_kind_is_refused():
    """In a process of its own: here a type checker would be faster."""
    code = "from coretx.config import RunConfig; RunConfig(reuse=True)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "UsageError: --reuse must be one of no, same, any; got True" in done.stderr


def test_page_shows_the_rule_that_the_cell_was_trained_by(plugin):
    plugin()
    (page,) = plugin.out.rglob("pool.torch.html")
    page.unlink()
    plugin("--reuse", "any", edit=("the first feature is positive", "it is so"))
    assert "1 when the first feature is positive." in page.read_text()
    assert result_of(plugin.out).rule == "1 when the first feature is positive."
    assert publish.is_published(result_of(plugin.out), Tables(plugin.out))


def log_lines(out):
    (path,) = out.rglob("runs/*.jsonl")
    return path.read_text().splitlines()


def told(lines, event, prefix):
    return [line for line in lines if (json.loads(line)["event"], json.loads(line).get("prefix")) == (event, prefix)]


def test_log_keeps_the_lines_of_reused_cells_and_gets_those_of_the_others(tmp_path):
    """Byte for byte; the log of a run of the same cells was emptied, and the epochs of reused ones were gone."""
    arguments = ("--models", "logreg", "mlp")
    assert run(tmp_path, *arguments) == 0
    before = log_lines(tmp_path)
    next(tmp_path.rglob("mlp.jax.*.json")).unlink()
    assert run(tmp_path, *arguments, "--reuse") == 0
    after = log_lines(tmp_path)
    for event, lines in (("epoch", 3), ("model_done", 1)):
        assert len(told(after, event, "logreg")) == len(told(after, event, "mlp")) == lines
        assert told(after, event, "logreg") == told(before, event, "logreg")
    assert [json.loads(line)["event"] for line in (after[0], after[-1])] == ["start", "finish"]
    assert (json.loads(after[0])["reused"], json.loads(after[0])["scored_again"]) == (["logreg"], [])


def test_log_stays_where_all_cells_are_reused(tmp_path):
    assert run(tmp_path, "--models", "logreg") == 0
    before = log_lines(tmp_path)
    assert run(tmp_path, "--models", "logreg", "--reuse") == 0
    assert log_lines(tmp_path) == before


def test_log_of_a_cell_that_is_scored_again_keeps_its_epochs(tmp_path, monkeypatch):
    assert run(tmp_path, "--models", "logreg") == 0
    before = log_lines(tmp_path)
    newer(monkeypatch, "evaluation/scores")
    assert run(tmp_path, "--models", "logreg", "--reuse") == 0
    after = log_lines(tmp_path)
    assert told(after, "epoch", "logreg") == told(before, "epoch", "logreg")
    assert len(told(after, "model_done", "logreg")) == 1


def test_log_of_a_killed_run_may_end_in_a_part_of_a_line(tmp_path):
    arguments = ("--models", "logreg", "mlp")
    assert run(tmp_path, *arguments) == 0
    (path,) = tmp_path.rglob("runs/*.jsonl")
    path.write_text("\n".join([*log_lines(tmp_path)[:-1], '{"event": "ep']))
    next(tmp_path.rglob("mlp.jax.*.json")).unlink()
    assert run(tmp_path, *arguments, "--reuse") == 0
    assert len(told(log_lines(tmp_path), "epoch", "logreg")) == 3


def shown(out):
    """Return the models of the table, and the texts of the task's page and of the dashboard."""
    with (out / "benchmarks" / "benchmarking.csv").open() as file:
        models = {row["model"] for row in csv.DictReader(file)}
    return models, *((out / place).read_text() for place in ("artifacts/first/index.html", "benchmarks/index.html"))


def test_page_never_shows_todays_rule_beside_the_score_of_another(plugin, tmp_path):
    """Of a model that is trained after the label rule was edited, and of one that was trained before."""
    plugin("--models", "pool", "logreg")
    models, page, dashboard = shown(plugin.out)
    assert models == {"pool", "logreg"}
    assert "pool.torch.html" in page
    said = plugin("--models", "logreg", edit=LABEL)
    assert re.search(r"left out of tables and pages: .*pool\.torch\..*: first gives its test rows other labels", said)
    models, page, dashboard = shown(plugin.out)
    assert models == {"logreg"}
    assert "pool.torch.html" not in page + dashboard
    assert not list(plugin.out.rglob("pool.torch.html"))
    assert len(list(plugin.out.rglob("cells/pool.torch.*.json"))) == 1


def test_rule_that_cannot_label_the_rows_of_then_is_another_rule(plugin):
    plugin("--models", "pool", "logreg")
    edit = ("return (x", "assert abs(x).max() < 2, 'too large'; return (x")
    drawn = (
        "return rng.standard_normal((n, 5, 2), dtype=np.float32)",
        "return rng.random((n, 5, 2), np.float32) - 0.5",
    )
    file = plugin.out.parent / "mine.py"
    file.write_text(PLUGIN.replace(*edit).replace(*drawn))
    assert run(plugin.out, "--tasks", "first", "--models", "logreg", "--plugin", str(file)) == 0
    assert shown(plugin.out)[0] == {"logreg"}


@pytest.mark.parametrize("lost", [False, True], ids=["there", "lost"])
def test_cell_of_another_rule_is_kept_by_reuse_any_and_not_shown(plugin, lost):
    plugin("--models", "pool", "logreg")
    if lost:
        shutil.rmtree(plugin.out / "benchmarks")
    before = numbers(plugin.out)
    said = plugin("--models", "pool", "logreg", "--reuse", "any", edit=LABEL)
    assert (said.count(": reused"), said.count("left out of tables and pages")) == (2, 2)
    assert numbers(plugin.out) == before
    assert not list(plugin.out.rglob("pool.torch.html"))


def test_rebuild_names_a_cell_of_another_rule_and_leaves_it_out(plugin, tmp_path, capsys):
    plugin("--models", "pool", "logreg")
    file = tmp_path / "mine.py"
    assert main(["--rebuild-reports", "--out", str(plugin.out), "--plugin", str(file)]) == 0
    file.write_text(PLUGIN.replace(*LABEL))
    capsys.readouterr()
    assert main(["--rebuild-reports", "--out", str(plugin.out), "--plugin", str(file)]) == 1
    assert capsys.readouterr().out.count("first gives its test rows other labels today, or has inputs") == 2
    assert not list(plugin.out.rglob("pool.torch.html"))
    file.write_text(PLUGIN)
    assert main(["--rebuild-reports", "--out", str(plugin.out), "--plugin", str(file)]) == 0
    assert shown(plugin.out)[0] == {"pool", "logreg"}
