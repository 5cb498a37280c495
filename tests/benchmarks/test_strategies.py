"""How members of a population run fastest: what is prepared when, and when stacking is taken."""

import json
import threading
from functools import partial

import pytest

from benchmarks import strategies
from benchmarks.strategies import Cell, better, prepared


def cells(log, meet=lambda: None):
    """Yield two cells of one way each, which notes when it is opened and run."""

    def way(name):
        meet()
        log.append(f"run {name}")
        return {"wall": 1.0}

    for name in ("a", "b"):
        log.append(f"open {name}")
        yield Cell(name, 2, {"loop": partial(way, name)})


def test_strategies_compile_side_by_side_on_a_gpu(monkeypatch):
    monkeypatch.setattr(strategies, "cores", lambda: 2)
    two_at_once = threading.Barrier(2, timeout=20).wait
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
    def fail():
        raise MemoryError("no memory")

    with pytest.raises(MemoryError, match="no memory"):
        list(prepared(iter([Cell("a", 2, {"loop": fail})]), "gpu"))


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
