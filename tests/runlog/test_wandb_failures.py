"""Whatever W&B does, a run goes on: in a process of its own where W&B's global state would leak, else with a fake."""

import os
import socket
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import pytest

from coretx.runlog.wandb import Session, WandbLog, import_wandb

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from coretx.records.cell_config import CellConfig
from coretx.records.results import RunRecord
from coretx.tasks.splits import Overlap
from coretx.training.loop import EpochRecord
from coretx.runlog.wandb import SETTINGS, Session, WandbLog

SETTINGS.update(init_timeout=1, finish_timeout=2)
session = Session()
for task in ("first", "second"):
    cell = CellConfig(task, "mlp", "jax", 0, 1, 8, 2, "s", "r", "float32", "cpu", "solo", "highest", {})
    run = RunRecord(task, task, 0, 8, {"mlp": cell}, Overlap(task, "s", 0, 8, 0, 8), "c", "v")
    log = WandbLog(sys.argv[1], Path(sys.argv[2]), lambda line: print("SAID", line), session)
    log.start(run)
    log.epoch("mlp", EpochRecord(0, {"loss_train": np.array([1.0])}))
    log.finish("done")
print("wandb" in sys.modules)
"""


def run_program(mode: str, folder: Path, **environment: str) -> tuple[list[str], str]:
    """Log two tasks in a process with no terminal; return what the log said and all that was printed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode, str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    printed = done.stdout + done.stderr
    return [line.removeprefix("SAID ") for line in printed.splitlines() if line.startswith("SAID ")], printed


def test_auto_without_a_login_logs_offline_and_says_so_once(read_back, tmp_path):
    said, printed = run_program("auto", tmp_path)
    place = tmp_path / "wandb"
    assert said == [
        f"W&B: offline (not logged in); runs lie in {place}, to send them: wandb sync {place}/offline-run-*"
    ]
    assert len(printed.splitlines()) == 2
    assert [run.project for run in read_back(tmp_path)] == [
        "transformer-scratchpad-first",
        "transformer-scratchpad-second",
    ]


def test_unknown_mode_of_the_environment_is_offline_and_said(read_back, tmp_path):
    said, _ = run_program("auto", tmp_path, WANDB_MODE="bogus")
    reason = "W&B: offline (WANDB_MODE=bogus is none of online, offline, disabled)"
    assert [text.split(";")[0] for text in said] == [reason]
    assert len(read_back(tmp_path)) == 2


def test_environment_disabled_says_nothing_and_never_imports_wandb(tmp_path):
    said, printed = run_program("auto", tmp_path, WANDB_MODE="disabled")
    assert (said, printed) == ([], "False\n")
    assert list(tmp_path.iterdir()) == []


def test_server_that_fails_leaves_the_runs_offline(read_back, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound but not listening: every connection is refused
        server = f"http://127.0.0.1:{free.getsockname()[1]}"
        said, _ = run_program("auto", tmp_path, WANDB_API_KEY="a" * 40, WANDB_BASE_URL=server)
    assert len(said) == 1
    assert said[0].startswith("W&B: offline (no connection: ")
    assert len(read_back(tmp_path)) == 2


def test_folder_of_the_environment_goes_first(read_back, tmp_path):
    run_program("offline", tmp_path / "flag", WANDB_DIR=str(tmp_path / "environment"))
    assert len(read_back(tmp_path / "environment")) == 2
    assert not (tmp_path / "flag").exists()


def test_folder_that_refuses_is_named_with_the_one_taken(make, said, tmp_path):
    (tmp_path / "file").write_text("")
    log = WandbLog("offline", tmp_path / "file" / "logs", said.append)
    log.start(make.run(make.config()))
    log.finish("done")
    (line,) = said
    assert f"{tmp_path}/file/logs cannot be written; runs lie in {tempfile.gettempdir()}" in line


def refuse(*_, **__):
    raise OSError("no\nsecond line")


@pytest.fixture
def fake(monkeypatch):
    """Return the function that puts a module in wandb's place: its calls raise, but for login and those given."""

    def install(login=None, **verbs):
        names = ("setup", "login", "init", "Settings", "Table", "plot_table")
        known = {"login": lambda **_: login, "setup": lambda **_: None, "Settings": dict} if login is not None else {}
        wandb = types.ModuleType("wandb")
        wandb.__dict__.update(dict.fromkeys(names, refuse) | known | verbs)
        monkeypatch.setitem(sys.modules, "wandb", wandb)

    return install


def fake_handle(**verbs):
    """Return an open run whose every call raises, but for those given."""
    place = types.SimpleNamespace(sync_dir="/runs/wandb/offline-run-1")
    calls = dict.fromkeys(("define_metric", "log", "finish"), refuse) | verbs
    return types.SimpleNamespace(settings=place, summary={}, **calls)


def log_everything(make, said, tmp_path):
    config = make.config()
    log = WandbLog("online", tmp_path, said.append, Session())
    log.start(make.run(config))
    log.epoch("mlp", make.epoch(0))
    log.model_done("mlp", make.result(config))
    log.finish("done")


def test_wandb_that_raises_from_every_call_is_said_once(make, said, tmp_path, fake):
    fake()
    log_everything(make, said, tmp_path)
    assert said == ["W&B: start failed (no); toy goes on without it"]


def test_wandb_that_cannot_be_imported_is_said_once(make, said, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    log_everything(make, said, tmp_path)
    assert len(said) == 1


@pytest.mark.parametrize(("verbs", "failing"), [({}, "start"), ({"define_metric": lambda *_, **__: None}, "epoch")])
def test_open_run_that_raises_is_said_once_with_its_place_and_closed(make, said, tmp_path, fake, verbs, failing):
    closed = []
    handle = fake_handle(finish=lambda exit_code: closed.append(exit_code), **verbs)
    fake(login=False, init=lambda **_: handle)
    log_everything(make, said, tmp_path)
    place = "/runs/wandb/offline-run-1"
    assert said[1:] == [f"W&B: {failing} failed (no); toy goes on without it, what it has so far: wandb sync {place}"]
    assert closed == [0]


def test_online_run_says_its_address(make, said, tmp_path, fake):
    handle = fake_handle(define_metric=lambda *_, **__: None, finish=lambda exit_code: None)
    handle.url = "https://server/run"
    fake(login=True, init=lambda **options: {"online": handle}[options["mode"]])
    log = WandbLog("auto", tmp_path, said.append)
    log.start(make.run(make.config()))
    log.finish("done")
    assert said == ["W&B: toy is logged to https://server/run"]


@pytest.mark.parametrize(("asked", "told"), [(None, "false"), ("true", "true")])
def test_wandb_reports_nothing_of_itself_unless_asked(monkeypatch, asked, told):
    monkeypatch.delenv("WANDB_ERROR_REPORTING", raising=False)
    if asked is not None:
        monkeypatch.setenv("WANDB_ERROR_REPORTING", asked)
    import_wandb()
    assert os.environ["WANDB_ERROR_REPORTING"] == told
