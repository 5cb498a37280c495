from coretx.runlog.base import MemoryLog, RunLog, Tee
from coretx.runlog.jsonl import JsonLinesLog
from coretx.runlog.wandb import WandbLog


def test_every_log_follows_the_protocol(tmp_path):
    logs = [MemoryLog(), Tee([]), JsonLinesLog(tmp_path), WandbLog("disabled", tmp_path, print)]
    assert [isinstance(log, RunLog) for log in logs] == [True] * 4


def test_memory_log_keeps_the_calls_in_order(make):
    config = make.config()
    run, epoch, result = make.run(config), make.epoch(0), make.result(config)
    log = MemoryLog()
    log.start(run)
    log.epoch("mlp", epoch)
    log.model_done("mlp", result)
    log.finish("done")
    assert log.calls == [
        ("start", (run,)),
        ("epoch", ("mlp", epoch)),
        ("model_done", ("mlp", result)),
        ("finish", ("done",)),
    ]


def test_tee_tells_every_log_the_same(make):
    config = make.config()
    logs = [MemoryLog(), MemoryLog()]
    tee = Tee(logs)
    tee.start(make.run(config))
    tee.epoch("mlp", make.epoch(0))
    tee.model_done("mlp", make.result(config))
    tee.finish("failed")
    assert [verb for verb, _ in logs[0].calls] == ["start", "epoch", "model_done", "finish"]
    assert logs[0].calls == logs[1].calls
