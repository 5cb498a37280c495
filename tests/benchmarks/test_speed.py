"""The speed benchmark from end to end, on as little work as there can be."""

import json
import threading
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks.publish import PUBLISHED
from benchmarks.speed import __main__ as command
from benchmarks.speed import report, rounds
from benchmarks.speed.__main__ import main
from benchmarks.speed.ladder import Ladder, alike, measure_ladder
from benchmarks.speed.processes import CannotRun, Process
from benchmarks.speed.rounds import Entry, Measurement, started
from benchmarks.speed.work import Work
from benchmarks.speed.worker import request
from coretx.tasks.registry import get_task
from coretx.tasks.splits import draw_splits

TINY = Work("logreg", epochs=1, n_samples=8)


def published(name):
    return json.loads((PUBLISHED / "speed" / f"{name}.json").read_text())


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "performance.md"
    path.write_text("# Before\n\n<!--speed-->\nstale\n<!--/speed-->\n\nAfter.\n")
    return path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--models", "gru"], "unknown model 'gru'"),
        (["--contestants", "mlx"], "choose from: jax, eager, tuned"),
        (["--members", "0"], "--members must be at least 1; got 0"),
        (["--out", str(PUBLISHED / "speed"), "--write", "missing.md"], "got missing.md without them"),
        (["--out", "missing", "--write", "missing.md"], "missing holds none of speed, ladder"),
        (["--ladder", "--contestants", "jax"], "--ladder does not take --contestants"),
        (["--ladder", "--quick"], "--ladder does not take --quick"),
    ],
)
def test_usage_errors_come_before_measuring(arguments, said, capsys):
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_tiny_run_from_end_to_end(tmp_path, page, capsys):
    what = ["--models", "logreg", "--members", "2", "--epochs", "2", "--n-samples", "16", "--repeats", "2"]
    assert main([*what, "--out", str(tmp_path)]) == 0
    run = json.loads((tmp_path / "speed.json").read_text())
    results = run["models"]["logreg"]["contestants"]
    assert [(one["contestant"], one["members"]) for one in results] == [("jax", 2), ("eager", 1), ("tuned", 1)]
    assert run["faults"] == []
    assert [[sample["round"] for sample in one["samples"]] for one in results] == [[0, 1]] * 3
    assert results[0]["compile"] > 0
    assert results[2]["how"] == min(results[2]["choices"], key=results[2]["choices"].get)
    assert "| logreg | " in capsys.readouterr().out
    assert main(["--out", str(tmp_path), "--write", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith("After.\n")
    assert "stale" not in text
    assert "| logreg | " in text


def test_the_page_shows_the_committed_runs():
    text = (PUBLISHED.parents[1] / "docs" / "performance.md").read_text()
    for name in report.TITLES:
        assert report.report(published(name)) in text


def test_a_contestant_that_fails_says_why(tmp_path):
    with pytest.raises(CannotRun, match="unknown model 'gru'"):
        Process(request("eager", Work("gru"), "cpu"), tmp_path)


def test_a_contestant_that_dies_in_a_round_is_told_and_left_out(tmp_path):
    entries = [Entry(name, TINY, Process(request("eager", TINY, "cpu"), tmp_path)) for name in ("a", "b")]
    entries[0].process._process.kill()
    not_run = {}
    rounds.rounds(entries, 2, not_run)
    assert list(not_run) == ["a x 1"]
    assert "ended with code -9" in not_run["a x 1"]
    assert [len(entry.samples) for entry in entries] == [0, 2]
    entries[1].process.close()


def test_a_device_that_is_not_there_is_said(tmp_path, capsys):
    if jax.default_backend() == "gpu":
        pytest.skip("there is a GPU")
    assert main(["--device", "gpu", "--models", "logreg", "--out", str(tmp_path)]) == 2
    assert "it sees only: cpu" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_contestants_start_side_by_side(monkeypatch):
    meet = threading.Barrier(2, timeout=20)

    def begin(contestant, *rest):
        meet.wait()
        return contestant

    monkeypatch.setattr(rounds, "begin", begin)
    monkeypatch.setattr(rounds, "cores", lambda: 2)
    found = started("mlp", Measurement(("mlp",), (4,), ("jax", "eager"), 1, 1, 8), Path("none"))
    assert {label: begun.result() for label, begun in found.items()} == {"jax x 4": "jax", "eager x 1": "eager"}


def test_a_contestant_that_cannot_run_leaves_the_others(monkeypatch):
    def begin(contestant, *rest):
        if contestant == "jax":
            raise CannotRun("no memory")
        return start(contestant, *rest)

    start = rounds.begin
    monkeypatch.setattr(rounds, "begin", begin)
    said = []
    model = rounds.measure_model("logreg", Measurement(("logreg",), (1,), ("jax", "eager"), 1, 1, 8), said.append)
    assert model["not_run"] == {"jax x 1": "no memory"}
    assert [one["contestant"] for one in model["contestants"]] == ["eager"]
    assert said[0] == "logreg, jax x 1: cannot run: no memory"
    run = published("speed")
    run = run | {"models": {"logreg": model}, "arguments": run["arguments"] | {"members": [1]}}
    assert "logreg, jax x 1 could not run: no memory." in report.report(run)
    assert "| logreg | - | - | - |" in report.report(run)


@pytest.mark.parametrize(
    ("given", "members", "contestants"),
    [
        ({}, (1, 8, 32), ("jax", "eager", "tuned")),
        ({"quick": True}, (1, 8), ("jax", "eager")),
        ({"device": "gpu"}, (1, 4, 16, 64, 256, 1024), ("jax", "eager")),
    ],
)
def test_what_is_measured_where_nothing_is_given(given, members, contestants, monkeypatch):
    monkeypatch.setattr(command, "measure_model", lambda *_: {"contestants": []})
    asked = command.speed_run(command.Arguments(**given))["arguments"]
    assert (asked["members"], asked["contestants"], len(asked["models"])) == (members, contestants, 7)


def test_other_work_ends_in_exit_code_1(tmp_path, monkeypatch, capsys):
    model = published("speed")["models"]["mlp"]
    model["contestants"][0]["disagreement"] = 1.0
    monkeypatch.setattr(command, "measure_model", lambda *_: model)
    assert main(["--models", "mlp", "--members", "1", "--out", str(tmp_path)]) == 1
    assert "NOT THE SAME WORK: mlp, jax, 1 members: a loss is 1.0e+00 from another's" in capsys.readouterr().out


def test_ladder_times_the_command_line():
    ladder = Ladder(("logreg",), ("sign_of_winner",), members=(2,), epochs=2, n_samples=16)
    found = measure_ladder(ladder, lambda line: None)
    empty, filled = found["runs"]
    assert (empty["cells"], empty["members"], empty["cache"], filled["cache"]) == (1, 2, "empty", "filled")
    assert empty["wall"] > empty["compile"] > filled["compile"] > 0
    before, after = found["eager"]
    assert min(before, after, empty["cpu"]) > 0
    said = report.report(published("ladder") | found)
    assert "| 2 | empty | 1 | " in said
    assert f" | {(before + after) / empty['wall']:.1f} |" in said  # two members, and the mean of the two


def test_tasks_alike_in_shape_and_rows_are_timed_once():
    tasks = ["sign_of_winner", "has_all_tokens", "has_pos_and_neg", "multi_digit_sum"]
    assert alike(tasks, 1000) == [["sign_of_winner", "has_pos_and_neg"], ["has_all_tokens"], ["multi_digit_sum"]]
    sums = ["single_digit_sum", "single_digit_sum_swapped"]  # of one shape; the second has twice as many problems
    assert alike(sums, 1000) == [[sums[0]], [sums[1]]]
    assert alike(sums, 8) == [sums]


def test_eager_trains_the_rows_that_main_trains():
    work = Work("mlp", task="has_all_tokens", protocol="disjoint")
    drawn = draw_splits(get_task("has_all_tokens"), 1000, 0, "disjoint")
    assert work.data().keys() == {"train", "val", "test"}
    for name, split in work.data().items():
        np.testing.assert_array_equal(split.x, drawn[name].x)


def test_gpu_runs_are_told_apart_from_those_on_a_cpu(tmp_path):
    run = published("gpu-speed")
    assert report.save(run, tmp_path).name == "gpu-speed.json"
    assert ", NVIDIA " in report.report(run)
    assert "NVIDIA" not in report.report(published("speed"))
    assert Ladder((), members=(64, 1), device="gpu").runs() == [(64, "empty"), (1, "empty")]
