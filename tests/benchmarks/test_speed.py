"""The command from end to end, on as little work as there can be."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks.speed import pages
from benchmarks.speed.__main__ import main
from benchmarks.speed.comparison import spread
from benchmarks.speed.contestants import Setting
from benchmarks.speed.ladder import Ladder, alike, beside, ladder_report, measure_ladder
from benchmarks.speed.processes import CannotRun, Process, request
from benchmarks.speed.rounds import Entry, rounds
from benchmarks.speed.scaling import AXES, Axis, growth, measure_scaling, scaling_report, verdict
from benchmarks.speed.work import Work
from coretx.errors import UsageError
from coretx.tasks.registry import get_task
from coretx.tasks.splits import draw_splits
from coretx.training.backend import cores

ROOT = Path(__file__).resolve().parents[2]
TINY = Work("logreg", epochs=1, n_samples=8)
PEAK = {"contestant": "peak", "device": "cpu", "size": 64}
MACHINE = {"processor": "p", "cores": 2, "memory_bytes": 2**30}
HEAD = {
    "machine": MACHINE,
    "versions": dict.fromkeys(("python", "jax", "torch", "numpy"), "1"),
    "commit": "c",
    "date": "2026-01-01T00:00:00",
    "load": 0.0,
    "seconds": 60.0,
    "arguments": {"device": "cpu", "repeats": 1},
    "peak_size": 64,
}


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "performance.md"
    path.write_text(f"# Before\n\n{pages.BEGIN}\nstale\n{pages.END}\n\nAfter.\n")
    return path


def test_help_tells_every_run():
    command = [sys.executable, "-m", "benchmarks.speed", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for flag in ("--quick", "--compile", "--scaling", "--ladder", "--device", "--write"):
        assert flag in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--models", "gru"], "unknown model 'gru'"),
        (["--contestants", "mlx"], "choose from: jax, eager, tuned, compiled, ensemble, original"),
        (["--members", "0"], "--members must be at least 1; got 0"),
        (["--scaling", "--ladder"], "runs of their own"),
        (["--write", "missing.md"], "missing.md is not"),
        (["--from-results"], "--from-results needs --write"),
        (["--quick", "--write", "missing.md"], "leave out --quick"),
        (["--scaling", "--members", "2"], "--scaling does not take --members"),
        (["--ladder", "--contestants", "jax"], "--ladder does not take --contestants"),
        (["--ladder", "--quick"], "--ladder does not take --quick"),
        (["--models", "mlp"], "--models: this is not what the published results are of"),
        (["--ladder", "--n-samples", "100"], "give another folder with --out"),
    ],
)
def test_usage_errors_come_before_measuring(arguments, said, capsys):
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_tiny_run_from_end_to_end(tmp_path, page, capsys):
    what = ["--models", "logreg", "--members", "2", "--contestants", "jax", "eager"]
    size = ["--epochs", "2", "--n-samples", "16", "--repeats", "2"]
    assert main([*what, *size, "--out", str(tmp_path), "--write", str(page)]) == 0
    run = json.loads((tmp_path / "speed.json").read_text())
    results = run["models"]["logreg"]["contestants"]
    assert [(one["contestant"], one["members"]) for one in results] == [("jax", 2), ("eager", 1)]
    assert run["faults"] == []
    for one in results:
        assert [sample["round"] for sample in one["samples"]] == [0, 1]
        assert one["start"]["cold"] > one["start"]["first"] > 0
        assert one["peak_bytes"] > 2**20
    assert 0 < results[0]["start"]["cached_compile"] < results[0]["start"]["compile"]
    text = page.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith("After.\n")
    assert "stale" not in text
    assert "| logreg | 2 | " in text
    assert (tmp_path / "performance-speed.svg").read_text().lstrip().startswith("<?xml")
    capsys.readouterr()
    assert main(["--from-results", "--out", str(tmp_path), "--write", str(page)]) == 0
    assert page.read_text() == text


def test_a_contestant_that_fails_says_why(tmp_path):
    with pytest.raises(CannotRun, match="UsageError: unknown contestant 'mlx'"):
        Process(request("mlx", TINY, Setting(), "cpu"), tmp_path)


def test_a_contestant_that_is_killed_says_so(tmp_path):
    process = Process(request("eager", TINY, Setting(), "cpu"), tmp_path)
    process._process.kill()
    with pytest.raises(CannotRun, match="ended with code -9"):
        process.ask("sample")


def test_scaling_measures_every_size(tmp_path, page):
    axis = Axis("members", "members", TINY, (1, 2, 3))
    found = measure_scaling([axis], repeats=1, device="cpu", say=lambda line: None)
    sizes = found["axes"][0]["sizes"]
    assert [size["size"] for size in sizes] == [1, 2, 3]
    assert sizes[2]["operations"] == 3 * sizes[0]["operations"]
    per_operation = [size["samples"][0]["seconds"] / size["operations"] for size in sizes]
    assert growth(found["axes"][0]).median == pytest.approx(per_operation[2] / per_operation[1])
    run = HEAD | found
    assert "| logreg | members | 1, 2, 3 |" in scaling_report(run)
    pages.save(run | {"kind": "scaling"}, tmp_path)
    assert pages.write(tmp_path, page) == [page, tmp_path / "performance-scaling.svg"]


def test_a_device_that_is_not_there_is_said(tmp_path, capsys):
    if jax.default_backend() == "gpu":
        pytest.skip("there is a GPU")
    assert main(["--device", "gpu", "--models", "logreg", "--out", str(tmp_path)]) == 2
    assert "it sees only: cpu" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_did_not_run_has_no_ratio():
    axis = {"sizes": [], "middle": 2, "largest": 3, "peak": [{"numpy": 1e9}], "axis": "rows", "work": {"model": "mlp"}}
    failed = axis | {"not_run": {"3": "ended with code -9"}}
    assert growth(failed) is None
    assert "- mlp, rows 3 could not run: ended with code -9" in scaling_report(HEAD | {"axes": [failed]})


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: f"{axis.work.model}, {axis.name}")
def test_axes_have_a_middle(axis):
    assert len(axis.sizes) % 2 == 1
    assert list(axis.sizes) == sorted(axis.sizes)
    assert axis.works()[-1] != axis.work


def test_ladder_times_the_command_line():
    ladder = Ladder(("logreg",), ("sign_of_winner",), members=(2,), epochs=2, n_samples=16)
    found = measure_ladder(ladder, lambda line: None)
    cold, again = found["runs"]
    assert (cold["cells"], cold["members"], cold["cold"], again["cold"]) == (1, 2, True, False)
    assert cold["wall"] > cold["compile"] > again["compile"] > 0
    assert found["alone"]["empty"] > found["alone"]["filled"] > 0
    before, after = found["eager"]
    assert min(before, after) > 0
    for run in found["runs"]:
        assert min(run["parent"], run["apart"]) > 0  # W&B offline has a process of its own
        assert run["parent"] + run["apart"] < run["cpu"] < 2 * cores() * run["wall"]
    assert found["device_name"] == "cpu"
    report = ladder_report(HEAD | found)
    assert "| 2 | empty | 1 of 2 epochs |" in report
    assert f"{(before + after) / cold['wall']:.1f} |" in report  # two members, and the mean of the two
    assert f"take {found['alone']['empty']:.1f} s from nothing and {found['alone']['filled']:.1f} s" in report
    assert "With nothing beside them" not in ladder_report(HEAD | found | {"alone": None})


def test_what_is_beside_training_is_the_parent_and_the_processes_apart():
    assert beside({"cpu": 10.0, "parent": 1.0, "apart": 1.5}) == pytest.approx(0.25)
    assert beside({"cpu": 10.0}) is None


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


@pytest.mark.parametrize(
    ("rounds", "said"), [((1.0, 1.1, 1.15), "yes"), ((1.0, 1.1, 1.3), "in the median"), ((1.1, 1.3, 1.3), "NO")]
)
def test_a_size_is_cheap_in_every_round_or_in_the_median(rounds, said):
    assert verdict(spread(rounds)) == said


def test_a_width_is_for_one_model():
    with pytest.raises(UsageError, match="a width is for multilayer_transformer"):
        Work("mlp", width=64).spec  # noqa: B018


def test_a_contestant_that_dies_in_a_round_is_told_and_left_out(tmp_path):
    peak, doomed, fine = (Process(one, tmp_path) for one in (PEAK, *[request("eager", TINY, Setting(), "cpu")] * 2))
    entries = [Entry(name, "eager", TINY, process, {}, "", {}) for name, process in (("a", doomed), ("b", fine))]
    doomed._process.kill()
    not_run = {}
    peaks = rounds(entries, 2, peak, not_run)
    assert list(not_run) == ["a"]
    assert [len(entry.samples) for entry in entries] == [0, 2]
    assert all(rate > 0 for rates in peaks for rate in rates.values())
    for process in (peak, fine):
        process.close()
