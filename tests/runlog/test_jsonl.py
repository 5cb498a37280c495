import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coretx.errors import OutputError
from coretx.records.encoding import as_json
from coretx.runlog.jsonl import JsonLinesLog
from coretx.training.loop import EpochRecord


def write(folder, make, members=1, **records):
    """Log a run of two epochs and return its file; `epoch` and `result` replace what is logged by default."""
    config = make.config(members=members, epochs=2)
    log = JsonLinesLog(folder)
    log.start(make.run(config))
    for epoch in range(2):
        log.epoch("mlp", records.get("epoch", make.epoch(epoch, members)))
    log.model_done("mlp", records.get("result", make.result(config)))
    log.finish("done")
    return folder / f"{make.run(config).id}.jsonl"


def events(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_is_start_epochs_model_done_finish(make, tmp_path):
    kinds = [event["event"] for event in events(write(tmp_path, make))]
    assert kinds == ["start", "epoch", "epoch", "model_done", "finish"]


def test_start_has_the_record_of_the_run(make, tmp_path):
    start = events(write(tmp_path, make))[0]
    cell = make.config(epochs=2)
    assert start["cells"] == {"mlp": {"id": cell.id, **cell.as_dict()}}
    assert (start["task"], start["seed"], start["n_samples"], start["commit"]) == ("toy", 0, 40, "abc")
    assert start["overlap"]["overlap_count"] == 2


def test_epoch_has_a_list_of_members_per_metric(make, tmp_path):
    epoch = events(write(tmp_path, make, members=3))[2]
    assert (epoch["prefix"], epoch["epoch"]) == ("mlp", 1)
    assert epoch["metrics"]["loss_train"] == [1, 2, 3]


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(-0.0)
@example(5e-324)
def test_a_number_of_a_record_reads_back_as_the_same_bits(value):
    for record in (value, np.array([value]), np.array([[value, 1.0]]).T):
        read = np.ravel(json.loads(as_json(record)))
        assert np.float64(read[0]).tobytes() == np.float64(value).tobytes()


def test_model_done_has_exact_scores_and_seconds(make, tmp_path):
    done = events(write(tmp_path, make, members=3))[3]
    scores = make.result(make.config(members=3, epochs=2)).scores["test"]
    assert done["scores"]["test"]["accuracy"] == scores.accuracy.tolist()
    assert done["scores"]["test"]["confusion"] == scores.confusion.tolist()
    assert (done["status"], done["failure"], done["seconds"]["train"]) == ("done", None, 1.5)
    assert done["id"] == make.config(members=3, epochs=2).id


def test_diverged_model_has_the_reason_and_no_scores(make, tmp_path):
    done = events(write(tmp_path, make, result=make.diverged(make.config(epochs=2))))[3]
    assert (done["status"], done["failure"], done["scores"]) == ("diverged", "member 0, epoch 1: loss nan", {})


def test_number_that_is_not_finite_is_null(make, tmp_path):
    epoch = EpochRecord(0, {"loss_train": np.array([np.nan, np.inf, -np.inf, 1.5])})
    assert '"loss_train":[null,null,null,1.5]' in write(tmp_path, make, epoch=epoch).read_text()


def test_equal_runs_differ_in_times_alone(make, tmp_path):
    runs = [events(write(tmp_path / name, make)) for name in "ab"]
    bare = [[{key: event[key] for key in event if key not in ("time", "seconds")} for event in run] for run in runs]
    assert bare[0] == bare[1]


def test_a_second_run_starts_the_file_afresh(make, tmp_path):
    write(tmp_path, make)
    assert len(events(write(tmp_path, make))) == 5


def test_folder_that_cannot_be_is_an_output_error(make, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"could not write .*file"):
        write(tmp_path / "file" / "logs", make)


def test_full_disk_is_an_output_error(make, tmp_path):
    path = tmp_path / f"{make.run(make.config()).id}.jsonl"
    path.symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left"):
        JsonLinesLog(tmp_path).start(make.run(make.config()))


def test_finish_without_start_writes_nothing(tmp_path):
    JsonLinesLog(tmp_path).finish("failed")
    assert list(tmp_path.iterdir()) == []
