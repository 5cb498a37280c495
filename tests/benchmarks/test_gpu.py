"""What a run on a GPU does otherwise, tested without one: starts side by side, shares of the right peak, fewer runs."""

import json
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from benchmarks import strategies
from benchmarks.speed import __main__ as command
from benchmarks.speed import derived, rounds
from benchmarks.speed.ladder import Ladder, ladder_report, planned
from benchmarks.speed.processes import CannotRun
from benchmarks.speed.report import cold_table, peak, speed_report
from benchmarks.speed.rounds import Entry, started
from benchmarks.speed.scaling import axis_row, scaling_report
from benchmarks.speed.work import Work
from benchmarks.strategies import Cell, better, prepared

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "speed" / "results"
PEAKS = {"jax, highest": 4e13, "jax, default": 3e14}
ON_GPU = {"arguments": {"device": "gpu"}, "device_name": "NVIDIA H100", "peak_size": 8192}
BOTH = ("cpu", "gpu")


@dataclass
class Answers:
    """In place of a contestant's process: notes what it is asked."""

    label: str
    log: list[str]

    def ask(self, what):
        self.log.append(f"{what} {self.label}")
        return {"how": "solo", "seconds": 0.5, "passes": 2}


def begin(label, log, meet=lambda: None):
    meet()
    log.append(f"start {label}")
    return Entry(label, "jax", Work("mlp"), Answers(label, log), {})


def fail(reason):
    raise CannotRun(reason)


def gpu_run(kind):
    """Return the committed run of a kind, as if its device had been a GPU."""
    run = json.loads((RESULTS / f"{kind}.json").read_text())
    for part in run["axes"] if kind == "scaling" else run["models"].values():
        part["peak"] = [PEAKS for _ in part["peak"]]
    return run | ON_GPU | {"arguments": run["arguments"] | ON_GPU["arguments"]}


@pytest.fixture
def two_at_once(monkeypatch):
    """Return what a thread waits at until another does too, on a machine of two cores."""
    for module in (rounds, strategies):
        monkeypatch.setattr(module, "cores", lambda: 2)
    return threading.Barrier(2, timeout=20).wait


def test_contestants_start_side_by_side_on_a_gpu(two_at_once):
    begins = {label: partial(begin, label, [], two_at_once) for label in ("a", "b")}
    assert [label for label, _ in started(begins, "gpu")] == ["a", "b"]


@pytest.mark.parametrize(
    ("device", "order"),
    [
        ("cpu", ["start a", "settle a", "start b", "settle b"]),
        ("gpu", ["start a", "start b", "settle a", "settle b"]),
    ],
)
def test_contestants_settle_one_after_the_other(device, order):
    log = []
    entries = [entry for _, entry in started({label: partial(begin, label, log) for label in ("a", "b")}, device)]
    starts = log.index("settle a")
    assert sorted(log[:starts]) + log[starts:] == order
    assert [(entry.how, entry.settled, entry.passes) for entry in entries] == 2 * [("solo", 0.5, 2)]


def test_a_contestant_in_torch_starts_alone_on_a_gpu():
    log = []
    begins = {label: partial(begin, label, log) for label in ("a", "b", "c")}
    assert [label for label, _ in started(begins, "gpu", alone={"b"})] == ["a", "b", "c"]
    assert {*log[:2]} == {"start a", "start c"}
    assert log[2:] == ["settle a", "start b", "settle b", "settle c"]


@pytest.mark.parametrize("device", BOTH)
def test_a_contestant_that_cannot_start_leaves_the_others(device):
    begins = {"a": partial(fail, "no memory"), "b": partial(begin, "b", [])}
    (_, failed), (_, fine) = started(begins, device)
    assert str(failed) == "no memory"
    assert fine.label == "b"


@pytest.mark.parametrize(("device", "restart"), [("cpu", True), ("gpu", False)])
def test_jax_starts_again_from_the_cache_on_a_cpu_alone(device, restart, monkeypatch):
    asked = []
    monkeypatch.setattr(command, "measure", lambda measurement, say: asked.append(measurement) or {"models": {}})
    command.speed_run(command.Arguments(device=device), ("mlp",))
    assert asked[0].restart is restart


def test_a_share_is_of_the_precision_that_is_trained_with():
    assert derived.peak_rate(PEAKS) == 4e13
    assert derived.peak_rate({"numpy": 1.0, "torch": 3.0, "jax, highest": 2.0}) == 3.0

    def share(peaks):
        run = gpu_run("speed")
        models = {
            name: model | {"peak": [PEAKS | peaks for _ in model["peak"]]} for name, model in run["models"].items()
        }
        result = derived.find(models["mlp"], "jax", 1)
        return derived.share_of_peak(models["mlp"], result, run | {"models": models}, evaluation=False).median

    assert share({"jax, default": 1e20}) == share({})
    assert share({"jax, highest": 2e13}) == pytest.approx(2 * share({}))


def test_scaling_shares_are_of_that_precision_too():
    axis = gpu_run("scaling")["axes"][0]
    # As slow as the CPU that the samples are of, so that shares are not all rounded to nothing.
    slow, fast = {"jax, highest": 4e10}, {"jax, default": 3e11}
    alone, both = (axis_row(axis, derived.peak_rate(rates)) for rates in (slow, slow | fast))
    assert both == alone


def test_the_peak_names_the_card_and_both_rates():
    said = peak(ON_GPU, [PEAKS])
    assert said.startswith("Peak of NVIDIA H100: 40,000 GFLOP/s")
    assert "300,000 at `default`" in said
    assert said.endswith("a share of the peak is one of the highest of `highest`.")
    assert said.partition(":")[0] in scaling_report(gpu_run("scaling"))


def test_reports_say_what_is_otherwise_on_a_gpu():
    run = gpu_run("speed")
    side_by_side = f"JAX contestants were started side by side on {run['machine']['cores']} cores"
    torch_there = "Torch runs on the processor, `eager` on one thread."
    on_cpu = speed_report(json.loads((RESULTS / "speed.json").read_text()))
    for said in (side_by_side, torch_there, "Peak of NVIDIA H100"):
        assert said in speed_report(run)
        assert said not in on_cpu


def test_a_run_without_restarts_shows_none():
    run = gpu_run("speed")
    for model in run["models"].values():
        for result in model["contestants"]:
            result["start"] = {k: v for k, v in result["start"].items() if not k.startswith("cached")}
    row = next(line for line in cold_table(run).splitlines() if line.startswith("| mlp | 1 |"))
    assert [cell.strip() for cell in row.split("|")][5:7] == ["-", "-"]


def test_the_ladder_runs_from_the_cache_on_a_cpu_alone():
    assert planned(Ladder((), members=(64, 1))) == [(64, True), (1, True), (64, False)]
    assert planned(Ladder((), members=(64, 1), device="gpu")) == [(64, True), (1, True)]


def test_a_ladder_on_a_gpu_is_told():
    run = json.loads((RESULTS / "gpu-ladder.json").read_text())
    said = ladder_report(run)
    assert run["device_name"].startswith("NVIDIA ")
    assert f", {run['device_name']};" in said
    assert "| 64 | empty | 63 of 1000 epochs |" in said
    assert "| filled |" not in said


def cells(log, meet=lambda: None):
    """Yield two cells of one way each, which notes when it is opened and run."""

    def way(name):
        meet()
        log.append(f"run {name}")
        return {"wall": 1.0}

    for name in ("a", "b"):
        log.append(f"open {name}")
        yield Cell(name, 2, {"loop": partial(way, name)})


def test_strategies_compile_side_by_side_on_a_gpu(two_at_once):
    assert [cell.name for cell in prepared(cells([], two_at_once), "gpu")] == ["a", "b"]


@pytest.mark.parametrize(
    ("device", "order"),
    [
        ("cpu", ["open a", "run a", "timed a", "open b", "run b", "timed b"]),
        ("gpu", ["open a", "open b", "run a", "run b", "timed a", "timed b"]),
    ],
)
def test_strategies_are_timed_when_compiled(device, order):
    log = []
    for cell in prepared(cells(log), device):
        log.append(f"timed {cell.name}")
    if device == "gpu":
        log[2:4] = sorted(log[2:4])
    assert log == order


def test_a_way_that_fails_stops_the_measurement():
    with pytest.raises(CannotRun, match="no memory"):
        list(prepared(iter([Cell("a", 2, {"loop": partial(fail, "no memory")})]), "gpu"))


@pytest.mark.parametrize(
    ("vmap", "taken"),
    [
        ({"wall": 5.0, "cores": 9.5}, "loop"),
        ({"wall": 5.5, "cores": 5.0}, "loop"),
        ({"wall": 5.0, "cores": 9.0}, "vmap"),
        ({"wall": 4.6}, "loop"),
        ({"wall": 4.5}, "vmap"),
    ],
)
def test_stacking_must_gain_and_cost_no_time(vmap, taken):
    assert better({"wall": 5.0, "cores": 10.0} if "cores" in vmap else {"wall": 5.0}, vmap) == taken


def test_strategies_measure_every_rung_on_a_device(tmp_path, monkeypatch):
    """The command from end to end on one rung, with the CPU in the part of a GPU where programs are prepared."""
    path = tmp_path / "strategies.json"
    (spec,) = strategies.build_models(["logreg"])
    monkeypatch.setattr(strategies, "RESULT", path)
    monkeypatch.setattr(strategies, "SECONDS", 0.0)
    monkeypatch.setattr(strategies, "build_models", lambda: [spec])
    monkeypatch.setattr(strategies, "prepared", lambda cells, device: prepared(cells, "gpu"))
    strategies.main("cpu", (2,))
    record = json.loads(path.read_text())
    found = record["measured"]["cpu"]["LogisticRegression"]["2"]
    assert found["strategy"] in ("loop", "vmap")
    assert min(found[way][clock] for way in ("loop", "vmap") for clock in ("wall", "cores")) > 0
    assert record["where"]["cpu"]["device"] == "cpu"
