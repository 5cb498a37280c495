"""The log that is always on: one JSON object a line."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from coretx.records.durable import LineWriter
from coretx.records.encoding import as_json
from coretx.records.results import ModelResult, RunRecord, scores_record
from coretx.runlog.base import Status
from coretx.runlog.rows import run_values
from coretx.training.loop import EpochRecord


class JsonLinesLog:
    """Writes `<folder>/<run.id>.jsonl`, fresh at `start`; every line names its "event".

    Lines of an earlier run of the same cells stay after the new `start`: the epochs of each cell that is scored again,
    and the epochs and `model_done` of each reused cell.

    start: time, id, task, title, seed, n_samples, version, commit, overlap, counts {split: see `SplitCounts`},
    cells {prefix: id and config}, device_name {engine: its device}, reused and scored_again [prefix].
    epoch: prefix, epoch, metrics {key: [value per member]}.
    model_done: prefix, id, status, failure, parameters, scores {split: see `scores_record`}, best_epoch [per member]
    or null, last_scores (of the last epoch, if an earlier one is reported), groups [see `GroupScore`],
    lengths [see `LengthScore`], seconds.
    finish: status, time.

    Cells train at the same time: the lines of one cell are in order, the lines of several interleave. A number reads
    back exactly; a number that is not finite becomes null, so that every line is JSON. Raises OutputError if the disk
    refuses.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        self._writer: LineWriter | None = None

    def start(self, run: RunRecord) -> None:
        """Open the file and write the run's record."""
        path = self._folder / f"{run.id}.jsonl"
        first = _line("start", {**run_values(run), "time": _now(), "id": run.id})
        kept = _kept_lines(path, run)
        self._writer = LineWriter(path, [first, *kept] if kept else [])
        if not kept:
            self._writer.write(first)

    def epoch(self, prefix: str, record: EpochRecord) -> None:
        """Write one epoch of one model."""
        self._write("epoch", {"prefix": prefix, "epoch": record.epoch, "metrics": record.metrics})

    def model_done(self, prefix: str, result: ModelResult) -> None:
        """Write the final scores of one model, or how it diverged."""
        fields = {
            "prefix": prefix,
            "id": result.config.id,
            "status": result.status,
            "failure": result.failure,
            "parameters": result.parameters,
            "scores": scores_record(result.scores),
            "best_epoch": result.best_epoch,
            "last_scores": scores_record(result.last_scores),
            "groups": result.groups,
            "lengths": result.lengths,
            "seconds": result.provenance.seconds,
        }
        self._write("model_done", fields)

    def finish(self, status: Status) -> None:
        """Write how the run ended and close the file."""
        if self._writer is None:
            return
        self._write("finish", {"status": status, "time": _now()})
        self._writer.close()
        self._writer = None

    def _write(self, event: str, fields: dict[str, Any]) -> None:
        assert self._writer is not None, "start comes before every other verb"
        self._writer.write(_line(event, fields))


def _line(event: str, fields: Mapping[str, Any]) -> str:
    return as_json({"event": event, **fields}).decode()


def _kept_lines(path: Path, run: RunRecord) -> list[str]:
    """Return the lines of the earlier run's log about the cells that this run reuses."""
    if not (run.reused or run.scored_again) or not path.exists():
        return []
    kept = {("epoch", prefix) for prefix in (*run.reused, *run.scored_again)}
    kept |= {("model_done", prefix) for prefix in run.reused}
    found = []
    for line in path.read_text().splitlines():
        with suppress(orjson.JSONDecodeError):  # a killed run leaves part of a line
            event = orjson.loads(line)
            if (event["event"], event.get("prefix")) in kept:
                found.append(line)
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
