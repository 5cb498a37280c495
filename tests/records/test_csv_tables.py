"""Tables hold exact numbers, refuse malformed files, lose no row, and sort their rows: the first to finish leaves no
trace."""

import dataclasses
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coretx.errors import UsageError
from coretx.records.csv_tables import CsvTable, OpenTable
from coretx.reports.tables.files import FILES

PUBLISHED = Path(__file__).resolve().parents[2] / "benchmarks"


@dataclasses.dataclass(frozen=True)
class Measured:
    """A row of a small table, with a column of every kind."""

    id: str
    task: str = "t"
    model: str = "mlp"
    n_samples: int = 1
    value: float | None = None


TABLE = CsvTable(Measured, key=("id",))
HEADER, GOOD = "id,task,model,n_samples,value", "a,t,mlp,1000,0.9"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "table.csv"


@pytest.fixture
def written(path):
    """A function that writes the file as it is given."""
    path.parent.mkdir()
    return lambda text: path.write_bytes(text.encode())


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(-0.0)
@example(5e-324)
@example(1.0 - 2**-53)
@example(2.2250738585072011e-308)
def test_a_number_reads_back_as_the_same_bits(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    TABLE.upsert(path, [Measured("a", value=value)])
    (row,) = TABLE.read(path)
    assert struct.pack("<d", row.value) == struct.pack("<d", value)


def test_a_number_of_numpy_is_written_as_any_other(path):
    TABLE.upsert(path, [Measured("a", value=np.float64(0.1))])
    assert path.read_text() == f"{HEADER}\na,t,mlp,1,0.1\n"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused(path, value):
    with pytest.raises(AssertionError, match="value must be finite"):
        TABLE.upsert(path, [Measured("a", value=value)])
    assert not path.exists()


def test_a_text_with_a_line_break_is_refused_and_the_other_rows_are_written(path):
    table = OpenTable(TABLE, path)
    table.put([Measured("a")])
    with pytest.raises(UsageError, match="model must fit on one line"):
        table.put([Measured("b", model="m\nlp")])
    table.put([Measured("c")])
    table.flush()
    assert [row.id for row in TABLE.read(path)] == ["a", "c"]


def test_rows_read_back_as_written_and_again_as_the_same_bytes(path):
    rows = [Measured("a", value=1 / 3), Measured("b"), Measured("c", model='n "b", c')]
    TABLE.upsert(path, rows)
    before = path.read_bytes()
    assert TABLE.read(path) == rows
    TABLE.upsert(path, rows)
    assert path.read_bytes() == before


def test_a_file_of_rounded_numbers_and_line_ends_of_windows_is_read(path, written):
    written(f"{HEADER}\r\na,t,mlp,1,0.333333\r\n")
    assert TABLE.read(path) == [Measured("a", value=0.333333)]


def test_no_file_is_no_rows(path):
    assert TABLE.read(path) == []


@pytest.mark.parametrize("table", FILES, ids=FILES.get)
def test_the_published_table_is_read(table):
    path = PUBLISHED / FILES[table]
    assert bool(table.read(path)) == path.exists()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('b,t,"mlp,1000,0.9', "unexpected end"),
        ("b,t,mlp,1000,0.9,extra", "got 6"),
        ("", "got 0"),
        ("b,t,mlp,1000", "got 4"),
        ("b,t,mlp,1000,nan", "value must be a finite number or empty, got 'nan'"),
        ("b,t,mlp,1e3,0.9", "n_samples must be a whole number, got '1e3'"),
        ("b,t,mlp,1_000,0.9", "n_samples"),
        ("b,t,mlp,,0.9", "n_samples"),
        ("b,t,m\rlp,1000,0.9", "new-line"),
        ("<<<<<<< HEAD", "got 1"),
        (GOOD, "the row with id a occurs twice"),
    ],
)
def test_a_malformed_line_is_refused_by_file_and_number_and_kept(path, written, bad, reason):
    text = f"{HEADER}\n{GOOD}\n{bad}\nc,t,mlp,1000,0.9\n"
    written(text)
    with pytest.raises(UsageError) as caught:
        TABLE.upsert(path, [Measured("d")])
    assert f"{path}, line 3: " in str(caught.value)
    assert reason in str(caught.value)
    assert path.read_bytes().decode() == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,task,accuracy,loss\n", "line 1: the header"),
        ("\n", "line 1: the header"),
        (f"\ufeff{HEADER}\n", "line 1: the header"),
        ("id,task,model,value\n", "line 1: the header"),
        (f"{HEADER}\n{GOOD}", "line 2: .*newline"),
        ("", "line 1"),
    ],
)
def test_a_wrong_header_and_a_line_cut_off_are_refused(path, written, text, message):
    written(text)
    with pytest.raises(UsageError, match=message):
        TABLE.read(path)


def test_bytes_that_are_no_text_are_refused_by_line(path, written):
    written("")
    path.write_bytes(HEADER.encode() + b"\n\xff\n")
    with pytest.raises(UsageError, match=r"line 2: .*UTF-8"):
        TABLE.read(path)


def test_upsert_replaces_a_row_and_keeps_the_others(path):
    TABLE.upsert(path, [Measured(name, value=0.9) for name in ("a", "b", "c")])
    TABLE.upsert(path, [Measured("d", value=0.9), Measured("b", value=0.5)])
    assert [(row.id, row.value) for row in TABLE.read(path)] == [("a", 0.9), ("b", 0.5), ("c", 0.9), ("d", 0.9)]


ROWS = [
    Measured(id, task, model, n)
    for id, task, model, n in (
        ("f", "sums", "mlp", 900), ("a", "sums", "mlp", 1000), ("c", "sums", "logreg", 1000), ("e", "bags", "mlp", 1),
        ("b", "sums", "mlp", 1000),
    )
]  # fmt: skip


@given(st.permutations(ROWS), st.integers(0, len(ROWS)))
def test_rows_have_one_order_whatever_came_first(tmp_path_factory, rows, first):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    TABLE.upsert(path, rows[:first])
    TABLE.upsert(path, rows[first:])
    assert [row.id for row in TABLE.read(path)] == ["e", "c", "f", "a", "b"]


def test_numbers_in_text_are_sorted_by_size(path):
    TABLE.upsert(path, [Measured(id) for id in ("10", "true", "9")])
    assert [row.id for row in TABLE.read(path)] == ["9", "10", "true"]


def test_programs_that_hold_one_table_lose_no_row(path):
    """Each has rows that it has not written while the others write, and removes one that another wrote."""
    TABLE.upsert(path, [Measured("old")])

    def program(name):
        table = OpenTable(TABLE, path)
        for number in range(40):
            table.put([Measured(f"{name}{number}")])
        table.flush()
        table.remove([f"{name}7", "old"])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(program, "abcd"))
    assert {row.id for row in TABLE.read(path)} == {f"{name}{n}" for name in "abcd" for n in range(40) if n != 7}


def test_an_open_table_reads_what_another_program_wrote(path):
    table = OpenTable(TABLE, path)
    table.put([Measured("a", value=1.0)])
    TABLE.upsert(path, [Measured("a", value=2.0), Measured("b")])
    assert table.get("b") is None
    table.flush()
    assert (table.get("a").value, table.get("b")) == (2.0, Measured("b"))


def test_a_row_takes_each_column_from_the_first_source_that_has_it():
    class Source:
        id, model, value = "source", "logreg", 0.5

    assert TABLE.row(Source, ROWS[0], id="own") == Measured("own", "sums", "logreg", 900, 0.5)
