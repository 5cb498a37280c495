from coretx.runlog.base import RunLog, Tee
from coretx.runlog.jsonl import JsonLinesLog
from coretx.runlog.wandb import WandbLog


class MemoryLog:
    """Keeps every call as (verb, *arguments), in order."""

    def __init__(self):
        self.calls = []

    def start(self, run):
        self.calls.append(("start", run))

    def epoch(self, prefix, record):
        self.calls.append(("epoch", prefix, record))

    def model_done(self, prefix, result):
        self.calls.append(("model_done", prefix, result))

    def finish(self, status):
        self.calls.append(("finish", status))


def test_every_log_follows_the_protocol(tmp_path):
    logs = [Tee([]), JsonLinesLog(tmp_path), WandbLog("disabled", tmp_path, print)]
    assert [isinstance(log, RunLog) for log in logs] == [True] * 3


def test_tee_passes_every_call_on_to_every_log(make):
    config = make.config()
    run, epoch, result = make.run(config), make.epoch(0), make.result(config)
    logs = [MemoryLog(), MemoryLog()]
    tee = Tee(logs)
    tee.start(run)
    tee.epoch("mlp", epoch)
    tee.model_done("mlp", result)
    tee.finish("failed")
    calls = [("start", run), ("epoch", "mlp", epoch), ("model_done", "mlp", result), ("finish", "failed")]
    assert [log.calls for log in logs] == [calls, calls]
