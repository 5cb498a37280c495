"""The rows of benchmarking.csv, overlap.csv and splits.csv."""

import math

import pytest

from coretx.reports.tables.benchmark import SCORES, score_rows
from coretx.reports.tables.draws import OVERLAPS, SPLIT_COUNTS, split_rows
from coretx.tasks.splits import Overlap, SplitCounts

HEADER = (
    "id,task,model,backend,split,seed,members,n_samples,epochs,recipe,protocol,negatives,rows,keys,small_space,"
    "accuracy,accuracy_std,accuracy_low,accuracy_high,accuracy_rows_low,accuracy_rows_high,"
    "loss,loss_std,loss_low,loss_high,loss_rows_low,loss_rows_high,auc,auc_std,auc_low,auc_high,auc_rows_low,auc_rows_high,"
    "best_epoch,accuracy_last,loss_last,view,ceiling,ceiling_kind,"
    "alarm,parameters,seconds,device,commit,version,date"
)


def test_columns_are_exactly_the_promised_ones():
    assert SCORES.text([]) == f"{HEADER}\n"


def test_overlap_is_exactly_the_promised_row():
    row = OVERLAPS.row(Overlap("mlp_task", "original", 0, 1000, 250, 1000, "natural", 300))
    assert OVERLAPS.text([row]) == (
        "task,split,seed,n_samples,overlap_count,test_total,overlap_rate,negatives,overlap_keys\n"
        "mlp_task,original,0,1000,250,1000,0.25,natural,300\n"
    )


def test_split_is_exactly_the_promised_row():
    overlap = Overlap("sums", "disjoint", 0, 1000, 0, 22, "balanced", 0)
    counts = {"test": SplitCounts((11, 12), (13, 14), (5, 6), 7, True)}
    assert SPLIT_COUNTS.text(split_rows(overlap, counts)) == (
        "task,split,negatives,seed,n_samples,part,rows_0,rows_1,distinct_rows_0,distinct_rows_1,distinct_keys_0,"
        "distinct_keys_1,keys,small_space\nsums,disjoint,balanced,0,1000,test,11,12,13,14,5,6,7,1\n"
    )


def test_a_result_gives_a_row_per_split(make_result):
    result = make_result()
    rows = score_rows(result)
    assert [row.split for row in rows] == ["train", "test"]
    assert {row.id for row in rows} == {result.config.id}


def test_scores_are_mean_and_sample_standard_deviation_over_members(make_result):
    result = make_result(members=3)
    accuracy = [float(value) for value in result.scores["test"].accuracy]
    mean = sum(accuracy) / 3
    row = score_rows(result)[1]
    assert row.accuracy == pytest.approx(mean)
    assert row.accuracy_std == pytest.approx(math.sqrt(sum((value - mean) ** 2 for value in accuracy) / 2))


def test_intervals_over_members_and_over_rows_are_columns(make_result):
    result = make_result(members=3)
    row = score_rows(result)[1]
    found = result.summaries("test")
    for name in ("accuracy", "loss", "auc"):
        assert (getattr(row, f"{name}_low"), getattr(row, f"{name}_high")) == found[name].members
        assert (getattr(row, f"{name}_rows_low"), getattr(row, f"{name}_rows_high")) == found[name].rows


def test_one_member_has_no_spread(make_result):
    row = score_rows(make_result(members=1))[0]
    assert (row.accuracy_std, row.loss_std, row.accuracy_low, row.auc_high) == (None,) * 4
    assert row.accuracy_rows_low < row.accuracy < row.accuracy_rows_high


def test_a_split_of_one_class_has_no_auc(make_result, one_class):
    rows = score_rows(make_result(predictions=one_class))
    assert {row.auc for row in rows} == {None}
    assert None not in {row.accuracy for row in rows}


def test_a_diverged_cell_has_rows_without_scores(diverged):
    rows = score_rows(diverged)
    assert [row.split for row in rows] == ["train", "test"]
    assert {(row.accuracy, row.accuracy_std, row.loss, row.loss_std, row.auc) for row in rows} == {(None,) * 5}
