"""Tables hold exact numbers, and their rows in an order of their own: what finished first leaves no trace."""

import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coretx.evaluation.paired_test import holm
from coretx.records.csv_tables import CsvTable
from coretx.reports.publish import publish_rows
from coretx.reports.tables.benchmark import BENCHMARK, OVERLAP, SPLIT
from coretx.reports.tables.breakdown import GROUP
from coretx.reports.tables.comparisons import COMPARISONS
from coretx.reports.tables.training import COST, CURVE

PUBLISHED = Path(__file__).resolve().parents[2] / "benchmarks"
TABLES = {
    "benchmarking": BENCHMARK, "comparisons": COMPARISONS, "costs": COST, "curves": CURVE, "groups": GROUP,
    "overlap": OVERLAP, "splits": SPLIT,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Measured:
    """A row of a small table, with a column of every kind."""

    id: str
    task: str
    model: str
    n_samples: int
    value: float | None = None


TABLE = CsvTable(Measured, key=("id",))


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(-0.0)
@example(5e-324)
@example(1.0 - 2**-53)
@example(2.2250738585072011e-308)
def test_a_number_reads_back_as_the_same_bits(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    TABLE.upsert(path, [Measured("a", "t", "mlp", 1, value)])
    (row,) = TABLE.read(path)
    assert struct.pack("<d", row.value) == struct.pack("<d", value)


def test_holms_correction_can_be_made_again_from_the_table(tmp_path, make_comparison):
    p = [1e-12, 2.1e-9, 0.0123456789012345]
    corrected, _ = holm(p, [1.0, 1.0, 1.0])
    rows = [make_comparison(id=f"{i}", runs_p=p[i], runs_p_holm=float(corrected[i])) for i in range(3)]
    COMPARISONS.upsert(tmp_path / "comparisons.csv", rows)
    found = COMPARISONS.read(tmp_path / "comparisons.csv")
    again, _ = holm([row.runs_p for row in found], [1.0, 1.0, 1.0])
    assert again.tolist() == [row.runs_p_holm for row in found]


def test_a_number_of_numpy_is_written_as_any_other(tmp_path):
    TABLE.upsert(tmp_path / "table.csv", [Measured("a", "t", "mlp", 1, np.float64(0.1))])
    assert (tmp_path / "table.csv").read_text() == "id,task,model,n_samples,value\na,t,mlp,1,0.1\n"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused(tmp_path, value):
    with pytest.raises(AssertionError, match="value must be finite"):
        TABLE.upsert(tmp_path / "table.csv", [Measured("a", "t", "mlp", 1, value)])
    assert not (tmp_path / "table.csv").exists()


def test_a_file_of_rounded_numbers_is_read_as_it_is(tmp_path):
    (tmp_path / "table.csv").write_text("id,task,model,n_samples,value\na,t,mlp,1,0.333333\n")
    assert TABLE.read(tmp_path / "table.csv") == [Measured("a", "t", "mlp", 1, 0.333333)]


@pytest.mark.parametrize("name", TABLES)
def test_the_published_table_is_read(name):
    assert TABLES[name].read(PUBLISHED / f"{name}.csv")


ROWS = [
    Measured(id, task, model, n)
    for id, task, model, n in (
        ("f", "sums", "mlp", 900), ("a", "sums", "mlp", 1000), ("c", "sums", "logreg", 1000), ("e", "bags", "mlp", 1),
        ("b", "sums", "mlp", 1000),
    )
]  # fmt: skip


@given(st.permutations(ROWS), st.integers(0, len(ROWS)))
def test_rows_stand_in_one_order_whatever_came_first(tmp_path_factory, rows, first):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    TABLE.upsert(path, rows[:first])
    TABLE.upsert(path, rows[first:])
    assert [row.id for row in TABLE.read(path)] == ["e", "c", "f", "a", "b"]


def test_numbers_in_text_stand_by_their_size(tmp_path):
    TABLE.upsert(tmp_path / "table.csv", [Measured(id, "t", "mlp", 1) for id in ("10", "true", "9")])
    assert [row.id for row in TABLE.read(tmp_path / "table.csv")] == ["9", "10", "true"]


def test_cells_that_finish_in_another_order_leave_the_same_tables(make_result, tmp_path):
    cells = [make_result(model=model, seed=seed) for model in ("temporal", "mlp") for seed in (3, 0)]
    for folder, order in ((tmp_path / "one", cells), (tmp_path / "other", cells[::-1])):
        for result in order:
            publish_rows(result, folder)
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / folder).rglob("*.csv")} for folder in ("one", "other")
    )
    assert set(one) == {"benchmarking.csv", "costs.csv", "curves.csv"}
    assert one == other
