"""W&B logs in a process of their own: what they write is what a log in this process writes, whatever becomes of it."""

import subprocess
import sys
import time
from threading import current_thread

import numpy as np
import pytest

from coretx.runlog import wandb_process
from coretx.runlog.base import RunLog
from coretx.runlog.wandb import WandbLog
from coretx.runlog.wandb_process import WandbProcess

ROWS = ("project", "name", "config", "rows", "panels", "step_metrics", "hidden", "exit_code")


def tell(log, make, *, members=2, status="done"):
    """Tell a log of two models whose epochs come interleaved, one of which diverges."""
    configs = make.config("mlp", members=members), make.config("logreg", members=members)
    log.start(make.run(*configs))
    for epoch in range(3):
        for config in configs:
            log.epoch(config.model, make.epoch(epoch, members))
    log.model_done("mlp", make.result(configs[0]))
    log.model_done("logreg", make.diverged(configs[1]))
    log.finish(status)


def without_places(rows):
    """Return rows without the names of tables' files and their digests, which hold the run's random id."""
    return [{key: value for key, value in row.items() if not key.endswith("_table")} for row in rows]


@pytest.mark.parametrize("members", [1, 3])
def test_it_writes_what_a_log_in_this_process_writes(make, tmp_path, said, read_back, members):
    with WandbProcess("offline", tmp_path / "apart", said.append) as logs:
        tell(logs.log(), make, members=members)
    tell(WandbLog("offline", tmp_path / "here", said.append), make, members=members)
    (one,), (other,) = read_back(tmp_path / "apart"), read_back(tmp_path / "here")
    assert len(one.rows) == 7
    for name in ROWS:
        ours, theirs = getattr(one, name), getattr(other, name)
        assert (without_places(ours) == without_places(theirs)) if name == "rows" else (ours == theirs), name
    assert set(one.rows[-1]) == set(other.rows[-1])
    for panel in one.panels:
        assert one.table(panel) == other.table(panel)
    folders = [f"{tmp_path / place / 'wandb'}" for place in ("apart", "here")]
    assert said == [f"W&B: offline; runs lie in {at}, to send them: wandb sync {at}/offline-run-*" for at in folders]


def test_runs_of_one_program_are_apart_and_say_a_line_once_in_the_thread_that_calls(make, tmp_path, read_back):
    said = []
    with WandbProcess("offline", tmp_path, lambda line: said.append(current_thread())) as logs:
        for status in ("done", "failed"):
            log = logs.log()
            assert isinstance(log, RunLog)
            tell(log, make, status=status)
    assert sorted(run.exit_code for run in read_back(tmp_path)) == [0, 1]
    assert said == [current_thread()]


@pytest.mark.parametrize(("mode", "environment"), [("disabled", None), ("auto", "disabled")])
def test_no_process_where_w_and_b_is_disabled(make, tmp_path, said, monkeypatch, mode, environment):
    monkeypatch.setattr(wandb_process, "start_process", None)  # whoever starts one fails
    if environment is not None:
        monkeypatch.setenv("WANDB_MODE", environment)
    with WandbProcess(mode, tmp_path, said.append) as logs:
        tell(logs.log(), make)
    assert said == []


def test_a_log_that_was_not_finished_is_closed_as_interrupted(make, tmp_path, said, read_back):
    with WandbProcess("offline", tmp_path, said.append) as logs:
        log = logs.log()
        log.start(make.run(make.config("mlp")))
        log.epoch("mlp", make.epoch(0))
    (run,) = read_back(tmp_path)
    assert (run.exit_code, len(run.rows)) == (130, 1)


def test_a_process_that_cannot_be_started_is_said_once(make, tmp_path, said, monkeypatch):
    def refuse():
        raise OSError("no more processes")

    monkeypatch.setattr(wandb_process, "start_process", refuse)
    with WandbProcess("offline", tmp_path, said.append) as logs:
        tell(logs.log(), make)
    assert said == ["W&B: its process cannot be started (no more processes); the run goes on without it"]


def test_a_process_that_ends_early_is_said_and_the_rest_of_the_run_is_not_sent(make, tmp_path, said, monkeypatch):
    command = "import sys; print('ready', flush=True); sys.stdin.buffer.read(200); sys.exit(3)"

    def start_process():
        return subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    monkeypatch.setattr(wandb_process, "start_process", start_process)
    with WandbProcess("offline", tmp_path, said.append) as logs:
        log = logs.log()
        log.start(make.run(make.config("mlp")))
        deadline = time.monotonic() + 20
        while len(said) < 2 and time.monotonic() < deadline:
            log.epoch("mlp", make.epoch(0))
            time.sleep(0.01)
    assert said[0] == "ready"
    assert "W&B: its process ended with code 3; the run goes on without it" in said
    assert all("the run goes on without it" in line for line in said[1:])


def test_what_cannot_be_sent_ends_the_log_and_not_the_run(make, tmp_path, said):
    with WandbProcess("offline", tmp_path, said.append) as logs:
        logs.call("start", 0, lambda: None)  # what is made within a function cannot be pickled
        tell(logs.log(), make)
    assert len(said) == 1
    assert said[0].startswith("W&B: its process is not reached (")


KILLED = """
import sys, time, numpy as np
from pathlib import Path
from coretx.records.cell_config import CellConfig
from coretx.records.results import RunRecord
from coretx.tasks.splits import Overlap
from coretx.training.loop import EpochRecord
from coretx.runlog.wandb_process import WandbProcess

cell = CellConfig("t", "mlp", "jax", 0, 1, 8, 9, "s", "r", "float32", "cpu", "solo", "highest", {})
logs = WandbProcess("offline", Path(sys.argv[1]), lambda line: print("said", flush=True))
log = logs.log()
log.start(RunRecord("t", "t", 0, 8, {"mlp": cell}, Overlap("t", "s", 0, 8, 0, 8), "c", "v"))
while True:
    log.epoch("mlp", EpochRecord(0, {"loss_train": np.array([1.0])}))
    time.sleep(0.05)
"""


def test_the_log_is_closed_though_the_program_was_killed(tmp_path, read_back):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "said\n"  # so that the log is open
        program.kill()
    (run,) = read_back(tmp_path)
    assert run.exit_code == 130
    assert run.rows


def test_inputs_of_the_rows_stay_here(make):
    result = make.result(make.config("mlp", n_samples=500))
    sent = wandb_process.strip_arrays(result)
    assert {split: part.x.size for split, part in sent.predictions.items()} == {"train": 0, "test": 0}
    np.testing.assert_array_equal(sent.predictions["test"].logits, result.predictions["test"].logits)
