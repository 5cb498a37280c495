"""Synthetic records of a run, as training would make them, and the way back from an offline W&B run to its rows."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from wandb.proto.wandb_internal_pb2 import Record

from coretx.evaluation.scores import Predictions, split_scores
from coretx.records.cell_config import CellConfig
from coretx.records.results import ModelResult, Provenance, RunRecord
from coretx.runlog import wandb
from coretx.runlog.wandb import WandbLog
from coretx.tasks.splits import Overlap
from coretx.training.loop import EpochRecord

PLAIN = (
    "loss_train",
    "accuracy_train",
    "loss_test",
    "accuracy_test",
    "grad_norm",
    "weight_norm",
    "learning_rate",
)
ATTENTION = (*PLAIN, "attn_logits_mean", "attn_logits_std", "attn_logits_maxabs")


def make_config(model: str = "mlp", *, members: int = 1, epochs: int = 3, n_samples: int = 40) -> CellConfig:
    """Return the config of a small cell."""
    return CellConfig(
        task="toy",
        model=model,
        backend="jax",
        seed=0,
        members=members,
        n_samples=n_samples,
        epochs=epochs,
        split="original",
        recipe="original",
        dtype="float32",
        device="cpu",
        strategy="solo",
        matmul_precision="highest",
        hyperparameters={
            "architecture": {"class": "MLP", "width": 8},
            "optimizer": {"learning_rate_start": 0.1, "learning_rate_end": 0.01, "batch_size": 16},
        },
    )


def make_run(*configs: CellConfig) -> RunRecord:
    """Return the run of these cells, each under its model's name."""
    overlap = Overlap("toy", "original", 0, 40, 2, 40)
    cells = {config.model: config for config in configs}
    return RunRecord("toy", "Toy", 0, 40, cells, overlap, commit="abc", version="0.1.0")


def make_epoch(epoch: int, members: int = 1, keys: tuple[str, ...] = PLAIN) -> EpochRecord:
    """Return an epoch whose metric number k of member m is epoch + k + m, so that a mix-up shows."""
    return EpochRecord(epoch, {key: np.arange(members) + float(epoch + place) for place, key in enumerate(keys)})


def make_result(config: CellConfig, seed: int = 0) -> ModelResult:
    """Return a finished cell with random answers that are better than chance."""
    rng = np.random.default_rng(seed)
    predictions = {}
    for split in ("train", "test"):
        y = (np.arange(config.n_samples) % 2).astype(np.float64)
        logits = rng.normal(size=(config.members, config.n_samples)) + 2 * y - 1
        predictions[split] = Predictions(np.zeros((config.n_samples, 5, 2)), y, logits)
    return ModelResult(
        config=config,
        provenance=Provenance("0.1.0", "abc", "2026-01-01", "cpu", {}, {"total": 2.5, "compile": 1.0, "train": 1.5}),
        status="done",
        parameters=7,
        history={},
        weights={},
        scores={split: split_scores(p.logits, p.y) for split, p in predictions.items()},
        predictions=predictions,
    )


def make_diverged(config: CellConfig) -> ModelResult:
    """Return a cell whose loss was not finite."""
    provenance = Provenance("0.1.0", "abc", "2026-01-01", "cpu", {}, {"total": 1.0})
    return ModelResult(config, provenance, "diverged", 7, {}, {}, failure="member 0, epoch 1: loss nan")


BLOCK = 32 * 1024
FILE_HEADER = 7
RECORD_HEADER = 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@dataclass
class OfflineRun:
    """What one run file holds; a chart's row holds the place of its table under `<key>_table`."""

    folder: Path
    project: str = ""
    name: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    panels: dict[str, dict[str, Any]] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    step_metrics: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    exit_code: int | None = None

    def table(self, key: str) -> list[list[Any]]:
        """Return the rows of a chart as it was logged last."""
        place = [row[f"{key}_table"]["path"] for row in self.rows if f"{key}_table" in row][-1]
        return json.loads((self.folder / "files" / place).read_text())["data"]


def read_offline_runs(folder: Path) -> list[OfflineRun]:
    """Return every finished offline run below the folder, in the order of its projects' names.

    `finish` may return before wandb's other process has written the file's end: the exit record is waited for.
    """
    deadline = time.monotonic() + 10
    while True:
        runs = [_read(path) for path in folder.rglob("offline-run-*/run-*.wandb")]
        if all(run.exit_code is not None for run in runs) or time.monotonic() > deadline:
            return sorted(runs, key=lambda run: run.project)
        time.sleep(0.02)


def _read(path: Path) -> OfflineRun:
    """Return the content of a run file, as far as it is written."""
    run = OfflineRun(path.parent)
    for payload in _payloads(path.read_bytes()):
        record = Record.FromString(payload)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.project, run.name = record.run.project, record.run.display_name
            run.config = _values(record.run.config.update)
        elif kind == "config":
            visualize = _values(record.config.update)["_wandb"]["visualize"]
            run.panels |= {key: panel["panel_config"] for key, panel in visualize.items()}
        elif kind == "metric":
            run.step_metrics[record.metric.glob_name or record.metric.name] = record.metric.step_metric
            if record.metric.options.hidden:
                run.hidden.add(record.metric.name)
        elif kind == "history":
            values = _values(record.history.item)
            run.rows.append({key: value for key, value in values.items() if not key.startswith("_")})
        elif kind == "summary":
            run.summary |= _values(record.summary.update)
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def _values(items) -> dict[str, Any]:
    """Return the items as nested dicts: wandb writes {"a": {"b": 1}} as the path ("a", "b") and the value."""
    values: dict[str, Any] = {}
    for item in items:
        *parents, last = item.nested_key or [item.key]
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = json.loads(item.value_json)
    return values


def _payloads(data: bytes) -> Iterator[bytes]:
    """Yield the whole records, each joined from its pieces; a block's last bytes are padding where no header fits."""
    assert b":W&B".startswith(data[:4]), "not a W&B run file: has the format changed?"
    place, whole = FILE_HEADER, b""
    while place + RECORD_HEADER <= len(data):
        if BLOCK - place % BLOCK < RECORD_HEADER:
            place += BLOCK - place % BLOCK
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        place += RECORD_HEADER
        if place + length > len(data):
            return
        whole += data[place : place + length]
        place += length
        if kind in (FULL, LAST):
            yield whole
            whole = b""


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The builders of records."""
    return SimpleNamespace(
        config=make_config, run=make_run, epoch=make_epoch, result=make_result, diverged=make_diverged
    )


@pytest.fixture
def said() -> list[str]:
    """Return the lines a log said: pass `said.append` as its `say`."""
    return []


@pytest.fixture(autouse=True, scope="session")
def no_account(tmp_path_factory) -> Iterator[None]:
    """Hide the developer's own login, settings and home from wandb, and let it write values that can be read back."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_MODE", "WANDB_DIR", "WANDB_API_KEY", "WANDB_BASE_URL"):
            patch.delenv(name, raising=False)
        for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
            patch.setenv(name, str(tmp_path_factory.getbasetemp() / "home"))
        patch.setitem(wandb.SETTINGS, "x_history_value_encoding", "json")
        yield


def write_offline(folder: Path, configs: Sequence[CellConfig], calls: Sequence[tuple], status: Any) -> OfflineRun:
    """Log these calls (verb, *arguments) offline and read the run back."""
    log = WandbLog("offline", folder, lambda line: None)
    log.start(make_run(*configs))
    for verb, *arguments in calls:
        getattr(log, verb)(*arguments)
    log.finish(status)
    (run,) = read_offline_runs(folder)
    return run


@pytest.fixture(scope="session")
def logged(tmp_path_factory) -> Callable[..., OfflineRun]:
    """Return the function that logs one model offline and reads the run back; "mlp" is plain, others have attention."""

    @cache
    def log_model(model: str, members: int = 1, epochs: int = 3) -> OfflineRun:
        config, keys = make_config(model, members=members, epochs=epochs), PLAIN if model == "mlp" else ATTENTION
        calls = [("epoch", model, make_epoch(epoch, members, keys)) for epoch in range(epochs)]
        end = ("model_done", model, make_result(config))
        return write_offline(tmp_path_factory.mktemp("run"), [config], [*calls, end], "done")

    return log_model


@pytest.fixture
def written(tmp_path) -> Callable[..., OfflineRun]:
    """Return the function that logs these calls (verb, *arguments) offline and reads the run back."""
    return lambda configs, *calls, status="done": write_offline(tmp_path, configs, calls, status)


@pytest.fixture(scope="session")
def read_back() -> Callable[[Path], list[OfflineRun]]:
    """Return `read_offline_runs`."""
    return read_offline_runs
