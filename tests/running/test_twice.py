"""The same command twice, its cells finishing in another order: the same tables, and each cell's log the same."""

import csv
import json

import pytest

from coretx.api import run
from coretx.config import RunConfig
from coretx.running import experiment

TIMES = {"seconds", "seconds_compile", "seconds_train", "date", "commit"}
"""The columns of dates, durations and the commit."""
MODELS = ("logreg", "mlp", "temporal")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs with results and folder: two populations side by side, the last rung first; and one at a time."""
    found = []
    for workers in (2, 1):
        out = tmp_path_factory.mktemp("run")
        config = RunConfig(
            tasks=("single_digit_sum",), models=MODELS, epochs=3, n_samples=(60,), members=2,
            learning_rates=("1x", "0.5x"), device="cpu", wandb="disabled", quiet=True, out=out,
        )  # fmt: skip
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(experiment, "concurrent_populations", lambda populations, workers=workers: workers)
            found.append((run(config), out))
    return found


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(file)]


def test_tables_are_the_same_but_for_times(runs):
    one, other = ({path.name: table(path) for path in (out / "benchmarks").glob("*.csv")} for _, out in runs)
    assert len(one) == 7
    assert one == other


def test_tables_with_no_times_are_the_same_bytes(runs):
    for name in ("comparisons", "curves", "groups", "overlap", "splits"):
        one, other = ((out / "benchmarks" / f"{name}.csv").read_bytes() for _, out in runs)
        assert one == other, name


def lines(path):
    """Return the lines of a log by the cell they are about, without times."""
    found = {}
    for text in path.read_text().splitlines():
        line = {name: value for name, value in json.loads(text).items() if name not in ("time", "seconds")}
        found.setdefault(line.get("prefix"), []).append(line)
    return found


def test_log_of_each_cell_is_in_order_and_the_same(runs):
    one, other = ({path.name: lines(path) for path in (out / "artifacts").glob("*/runs/*.jsonl")} for _, out in runs)
    assert len(one) == 1
    assert one == other
    for log in one.values():
        assert [line["event"] for line in log[None]] == ["start", "finish"]
        assert list(log[None][0]["cells"]) == [f"{model}{point}" for model in MODELS for point in ("", "-lr0.5x")]
        for prefix in log[None][0]["cells"]:
            assert [line.get("epoch") for line in log[prefix]] == [0, 1, 2, None]


def test_results_are_in_the_order_of_the_plan(runs):
    one, other = ([result.config for result in results] for results, _ in runs)
    assert one == other
    assert [config.model for config in one[::2]] == list(MODELS)
