"""How members of a population run fastest: what is prepared when, and when stacking is taken."""

import json
import threading

import pytest

from benchmarks import strategies
from benchmarks.strategies import Cell, better, prepared


def test_strategies_compile_side_by_side():
    meet = threading.Barrier(2, timeout=20)
    cells = [Cell(name, 2, {"loop": lambda: {"wall": float(meet.wait())}}) for name in ("a", "b")]
    assert prepared(cells) == cells


def test_a_way_that_fails_stops_the_measurement():
    def fail():
        raise MemoryError("no memory")

    with pytest.raises(MemoryError, match="no memory"):
        prepared([Cell("a", 2, {"loop": fail})])


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
    """The command from end to end on one rung."""
    path = tmp_path / "strategies.json"
    (spec,) = strategies.build_models(["logreg"])
    monkeypatch.setattr(strategies, "RESULT", path)
    monkeypatch.setattr(strategies, "SECONDS", 0.0)
    monkeypatch.setattr(strategies, "build_models", lambda: [spec])
    monkeypatch.setattr(strategies, "cores", lambda: 2)
    strategies.main("cpu", (2,))
    record = json.loads(path.read_text())
    found = record["measured"]["cpu"]["LogisticRegression"]["2"]
    assert found["strategy"] in ("loop", "vmap")
    assert min(found[way][clock] for way in ("loop", "vmap") for clock in ("wall", "cores")) > 0
    assert record["where"]["cpu"]["device"] == "cpu"
