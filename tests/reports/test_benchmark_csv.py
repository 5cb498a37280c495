import dataclasses
import math

import pytest

from coretx.errors import UsageError
from coretx.reports.tables import benchmark as benchmark_csv
from coretx.tasks.splits import Overlap, SplitCounts

HEADER = (
    "id,task,model,backend,split,seed,members,n_samples,epochs,recipe,protocol,negatives,rows,keys,small_space,"
    "accuracy,accuracy_std,accuracy_low,accuracy_high,accuracy_rows_low,accuracy_rows_high,"
    "loss,loss_std,loss_low,loss_high,loss_rows_low,loss_rows_high,auc,auc_std,auc_low,auc_high,auc_rows_low,auc_rows_high,"
    "best_epoch,accuracy_last,loss_last,view,ceiling,ceiling_kind,"
    "alarm,parameters,seconds,device,commit,version,date"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "benchmarks" / "benchmarking.csv"


def test_columns_are_exactly_the_promised_ones(path, make_row):
    benchmark_csv.upsert(path, [make_row()])
    assert path.read_text().splitlines()[0] == HEADER


def test_overlap_columns_are_exactly_the_promised_ones(tmp_path):
    row = benchmark_csv.overlap_row(Overlap("mlp_task", "original", 0, 1000, 250, 1000, "natural", 300))
    benchmark_csv.upsert_overlaps(tmp_path / "overlap.csv", [row])
    assert (tmp_path / "overlap.csv").read_text() == (
        "task,split,seed,n_samples,overlap_count,test_total,overlap_rate,negatives,overlap_keys\n"
        "mlp_task,original,0,1000,250,1000,0.25,natural,300\n"
    )


def test_split_columns_are_exactly_the_promised_ones(tmp_path):
    overlap = Overlap("sums", "disjoint", 0, 1000, 0, 22, "balanced", 0)
    counts = {"test": SplitCounts((11, 11), (11, 11), (5, 6), 6, True)}
    benchmark_csv.upsert_splits(tmp_path / "splits.csv", benchmark_csv.split_rows(overlap, counts))
    assert (tmp_path / "splits.csv").read_text() == (
        "task,split,negatives,seed,n_samples,part,rows_0,rows_1,distinct_rows_0,distinct_rows_1,distinct_keys_0,"
        "distinct_keys_1,keys,small_space\nsums,disjoint,balanced,0,1000,test,11,11,11,11,5,6,6,1\n"
    )


def test_rows_read_back_as_written(path, make_row):
    rows = [
        make_row(accuracy=1 / 3),
        make_row(split="train", accuracy=None, loss=None, auc=None),
        make_row(id="b", device='a "b", c'),
    ]
    benchmark_csv.upsert(path, rows)
    assert benchmark_csv.read_rows(path) == rows


def test_no_file_is_no_rows(path):
    assert benchmark_csv.read_rows(path) == []


def test_upsert_replaces_a_row_and_keeps_the_others(path, make_row):
    benchmark_csv.upsert(path, [make_row(id=name) for name in ("a", "b", "c")])
    benchmark_csv.upsert(path, [make_row(id="d"), make_row(id="b", accuracy=0.5)])
    assert [(row.id, row.accuracy) for row in benchmark_csv.read_rows(path)] == [
        ("a", 0.9875),
        ("b", 0.5),
        ("c", 0.9875),
        ("d", 0.9875),
    ]


def test_upsert_keeps_another_split_of_the_same_cell(path, make_row):
    benchmark_csv.upsert(path, [make_row(split="train")])
    benchmark_csv.upsert(path, [make_row(split="test")])
    assert [row.split for row in benchmark_csv.read_rows(path)] == ["test", "train"]


def test_upsert_of_the_same_row_leaves_the_same_bytes(path, make_row):
    benchmark_csv.upsert(path, [make_row(accuracy=2 / 3)])
    before = path.read_bytes()
    benchmark_csv.upsert(path, benchmark_csv.read_rows(path))
    assert path.read_bytes() == before


def test_a_field_with_a_line_break_is_refused_and_nothing_written(path, make_row):
    with pytest.raises(UsageError, match="device"):
        benchmark_csv.upsert(path, [make_row(device="cpu\nx")])
    assert not path.exists()


GOOD = (
    "0123456789ab,t,mlp,jax,test,0,1,1000,1000,original,original,natural,1000,1000,0,0.9,,,,,,0.1,,,,,,0.99,,,,,,,,,full,1.0,exact,0,"
    "193,3.5,cpu,abc,0.1.0,2026-03-01"
)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (GOOD.replace("mlp", '"mlp'), "unexpected end"),
        (GOOD + ",extra", f"got {HEADER.count(',') + 2}"),
        ("", "got 0"),
        (GOOD.rpartition(",")[0], f"got {HEADER.count(',')}"),
        (GOOD.replace("0.9,", "nan,", 1), "accuracy"),
        (GOOD.replace(",1000,1000,", ",1e3,1000,"), "n_samples"),
        (GOOD.replace(",1000,1000,", ",1_000,1000,"), "n_samples"),
        (GOOD.replace(",193,", ",,"), "parameters"),
        (GOOD.replace("mlp", "m\rlp"), "new-line"),
        ("<<<<<<< HEAD", "got 1"),
        (GOOD, "twice"),
    ],
)
def test_a_malformed_line_is_refused_by_file_and_number(path, bad, reason):
    path.parent.mkdir()
    path.write_bytes("\n".join([HEADER, GOOD, bad, GOOD.replace("0123", "4567"), ""]).encode())
    with pytest.raises(UsageError) as caught:
        benchmark_csv.read_rows(path)
    assert f"{path}, line 3: " in str(caught.value)
    assert reason in str(caught.value)


def test_a_malformed_file_is_not_overwritten(path, make_row):
    path.parent.mkdir()
    path.write_text(f"{HEADER}\nbroken\n")
    with pytest.raises(UsageError):
        benchmark_csv.upsert(path, [make_row()])
    assert path.read_text() == f"{HEADER}\nbroken\n"


@pytest.mark.parametrize("header", ["model,task,accuracy,loss", "", "\ufeff" + HEADER, HEADER.replace("seed,", "")])
def test_a_wrong_header_is_refused(path, header):
    path.parent.mkdir()
    path.write_text(header + "\n")
    with pytest.raises(UsageError, match="line 1: the header"):
        benchmark_csv.read_rows(path)


def test_a_line_cut_off_is_refused(path):
    path.parent.mkdir()
    path.write_text(f"{HEADER}\n{GOOD}")
    with pytest.raises(UsageError, match=r"line 2: .*newline"):
        benchmark_csv.read_rows(path)


def test_an_empty_file_is_refused(path):
    path.parent.mkdir()
    path.write_text("")
    with pytest.raises(UsageError, match="line 1"):
        benchmark_csv.read_rows(path)


def test_bytes_that_are_no_text_are_refused_by_line(path):
    path.parent.mkdir()
    path.write_bytes(HEADER.encode() + b"\n\xff\n")
    with pytest.raises(UsageError, match=r"line 2: .*UTF-8"):
        benchmark_csv.read_rows(path)


def test_line_ends_of_windows_are_read(path):
    path.parent.mkdir()
    path.write_bytes(f"{HEADER}\r\n{GOOD}\r\n".encode())
    assert benchmark_csv.read_rows(path)[0].date == "2026-03-01"


def test_a_result_gives_a_row_per_split(make_result):
    result = make_result()
    rows = benchmark_csv.rows(result)
    assert [row.split for row in rows] == ["train", "test"]
    assert {row.id for row in rows} == {result.config.id}


def test_scores_are_mean_and_sample_standard_deviation_over_members(make_result):
    result = make_result(members=3)
    accuracy = [float(value) for value in result.scores["test"].accuracy]
    mean = sum(accuracy) / 3
    row = benchmark_csv.rows(result)[1]
    assert row.accuracy == pytest.approx(mean)
    assert row.accuracy_std == pytest.approx(math.sqrt(sum((value - mean) ** 2 for value in accuracy) / 2))


def test_intervals_over_members_and_over_rows_are_columns(make_result):
    result = make_result(members=3)
    row = benchmark_csv.rows(result)[1]
    found = result.summaries("test")
    for name in ("accuracy", "loss", "auc"):
        assert (getattr(row, f"{name}_low"), getattr(row, f"{name}_high")) == found[name].members
        assert (getattr(row, f"{name}_rows_low"), getattr(row, f"{name}_rows_high")) == found[name].rows


def test_one_member_has_no_spread(make_result):
    row = benchmark_csv.rows(make_result(members=1))[0]
    assert (row.accuracy_std, row.loss_std, row.accuracy_low, row.auc_high) == (None,) * 4
    assert row.accuracy_rows_low < row.accuracy < row.accuracy_rows_high


def test_a_split_of_one_class_has_no_auc(make_result, one_class):
    rows = benchmark_csv.rows(make_result(predictions=one_class))
    assert {row.auc for row in rows} == {None}
    assert None not in {row.accuracy for row in rows}


def test_a_diverged_cell_has_rows_without_scores(diverged):
    rows = benchmark_csv.rows(diverged)
    assert [row.split for row in rows] == ["train", "test"]
    assert {(row.accuracy, row.accuracy_std, row.loss, row.loss_std, row.auc) for row in rows} == {(None,) * 5}


def test_every_field_of_a_row_is_a_column(make_row):
    assert tuple(dataclasses.asdict(make_row())) == tuple(HEADER.split(","))
