"""CSV files with typed columns: read strictly, written whole under a lock, with exact numbers and sorted rows."""

import csv
import dataclasses
import io
import math
import types
import typing
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from coretx.errors import UsageError
from coretx.evaluation.groups import by_size
from coretx.records import durable

ORDER = (
    "task",
    "model",
    "backend",
    "protocol",
    "negatives",
    "recipe",
    "n_samples",
    "seed",
    "members",
    "epochs",
    "against",
)
"""The rows of every table are sorted by those of these columns that it has, then by its key."""

CELLS = ("id", "against_id")
"""The columns that name a cell."""

WRITTEN_AT = 0.25
"""An open table is written when this share of its rows is new: n rows added one by one cost about 4 n rows written."""

Row = TypeVar("Row")
Value = str | int | float | None
Key = tuple[Value, ...]


@dataclasses.dataclass(frozen=True)
class CsvTable(Generic[Row]):
    """The schema of a CSV file: the fields of a frozen dataclass are its columns, `key` names a row.

    Rows are sorted by ORDER, then by the key (whole numbers in text by size), so equal rows give equal files. A float
    is the shortest text that reads back as the same number. Files with rounded numbers are read as they are.
    """

    row_type: type[Row]
    key: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in the order of the file."""
        return tuple(field.name for field in dataclasses.fields(typing.cast(Any, self.row_type)))

    def row(self, *sources: object, **columns: Value) -> Row:
        """Return a row of these columns; any other column is the attribute of its name in the first source with one."""
        for source in sources:
            columns = {name: getattr(source, name) for name in self.columns if hasattr(source, name)} | columns
        return self.row_type(**columns)

    def key_of(self, row: Row) -> Key:
        """Return the values that name a row."""
        return tuple(getattr(row, name) for name in self.key)

    def read(self, path: Path) -> list[Row]:
        """Return the rows of the file in its order; none if there is no file.

        Raises UsageError with the file and the line number at the first line that is not exactly a row: a person
        repairs a file of results, the program never leaves rows out.
        """
        if not path.exists():
            return []
        lines = _lines(path)
        if _fields(path, 1, lines[0]) != list(self.columns):
            raise _malformed(path, 1, f"the header must be {','.join(self.columns)}, got {lines[0][:200]!r}")
        hints = typing.get_type_hints(self.row_type)
        kinds = {name: hints[name] for name in self.columns}
        rows: dict[Key, Row] = {}
        for number, line in enumerate(lines[1:], start=2):
            row = self.row_type(**_values(path, number, line, kinds))
            key = self.key_of(row)
            if key in rows:
                name = ", ".join(f"{column} {value}" for column, value in zip(self.key, key, strict=True))
                raise _malformed(path, number, f"the row with {name} occurs twice")
            rows[key] = row
        return list(rows.values())

    def upsert(self, path: Path, rows: Iterable[Row]) -> None:
        """Put rows into the file, each in the place of the row with the same key."""
        table = OpenTable(self, path)
        table.put(rows)
        table.flush()

    def text(self, rows: Iterable[Row]) -> str:
        """Return the file of these rows. Raises UsageError for a text that does not fit on one line."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        for row in sorted(rows, key=self._place):
            writer.writerow([_format(name, getattr(row, name)) for name in self.columns])
        return text.getvalue()

    def _place(self, row: Row) -> tuple[list[Any], list[Any]]:
        key = [by_size(value) if isinstance(value, str) else value for value in self.key_of(row)]
        return [getattr(row, name) for name in ORDER if name in self.columns], key


class OpenTable(Generic[Row]):
    """A file that a program holds in memory, and shares with others that write it.

    The file is read when the table is opened, and again only when another program has changed it. `put` writes it at
    intervals that grow with the table (see WRITTEN_AT), `flush` in any case: always under the file's lock, with the
    rows that others have written. A program that is killed loses the rows since the last write, which
    `--rebuild-reports` makes again from the stored cells.
    """

    def __init__(self, table: CsvTable[Row], path: Path) -> None:
        self._table, self._path = table, path
        self._rows: dict[Key, Row] = {}
        self._new: dict[Key, Row] = {}
        self._read: tuple[int, ...] | None = None
        self._refresh()

    @property
    def rows(self) -> list[Row]:
        """The rows of the file and those that are not written yet."""
        return list(self._rows.values())

    def get(self, *key: Value) -> Row | None:
        """Return the row with this key; None if there is none."""
        return self._rows.get(key)

    def put(self, rows: Iterable[Row]) -> None:
        """Add rows, each in the place of the row with the same key. UsageError for one that cannot be written."""
        rows = list(rows)
        self._table.text(rows)
        added = {self._table.key_of(row): row for row in rows}
        self._rows |= added
        self._new |= added
        if added and len(self._new) >= WRITTEN_AT * len(self._rows):
            self.flush()

    def flush(self) -> None:
        """Write the rows that the file lacks, and read those that others have written."""
        if self._new:
            with durable.lock(self._path):
                self._refresh()
                self._write()
        else:
            self._refresh()

    def remove(self, ids: Collection[str]) -> None:
        """Remove the rows of cells with these ids (see CELLS)."""
        with durable.lock(self._path):
            self._refresh()
            gone = {key for key, row in self._rows.items() if {getattr(row, name, None) for name in CELLS} & set(ids)}
            if gone:
                self._rows = {key: row for key, row in self._rows.items() if key not in gone}
                self._write()

    def _refresh(self) -> None:
        stamp = _stamp(self._path)
        if stamp != self._read:
            self._rows = {self._table.key_of(row): row for row in self._table.read(self._path)} | self._new
            self._read = stamp

    def _write(self) -> None:
        durable.write_text(self._path, self._table.text(self._rows.values()))
        self._new, self._read = {}, _stamp(self._path)


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what differs when a file was replaced or edited; None if there is no file."""
    with durable.refusals("read", path):
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise _malformed(path, number, "the file must be UTF-8") from error
    *lines, rest = text.replace("\r\n", "\n").split("\n")
    if rest or not lines:
        raise _malformed(path, len(lines) + 1, "the line is not ended by a newline, so it may be cut off")
    return lines


def _fields(path: Path, number: int, line: str) -> list[str]:
    # One line at a time: read as a stream, an unterminated quote would swallow the rows that follow it.
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise _malformed(path, number, str(error)) from error


def _values(path: Path, number: int, line: str, kinds: Mapping[str, Any]) -> dict[str, Value]:
    fields = _fields(path, number, line)
    if len(fields) != len(kinds):
        raise _malformed(path, number, f"a row has {len(kinds)} fields, got {len(fields)}")
    values = {}
    for (column, kind), text in zip(kinds.items(), fields, strict=True):
        try:
            values[column] = _parse(text, kind)
        except ValueError as error:
            wanted = f"{column} must be {_wanted(kind)}, got {text[:80]!r}"
            raise _malformed(path, number, wanted) from error
    return values


def _malformed(path: Path, number: int, what: str) -> UsageError:
    return UsageError(f"{path}, line {number}: {what}; correct the line or delete it, or move the file away")


def _parse(text: str, kind: Any) -> Value:
    if kind is str:
        return text
    if isinstance(kind, types.UnionType):  # `float | None`: an empty field is None
        return None if text == "" else _parse(text, typing.get_args(kind)[0])
    value = kind(text)
    if not math.isfinite(value) or "_" in text or text != text.strip():
        raise ValueError  # Python reads "1_000" and " 7" as numbers; no other reader of the file would
    return value


def _wanted(kind: Any) -> str:
    names = {int: "a whole number", float: "a finite number", str: "text"}
    return f"{names[typing.get_args(kind)[0]]} or empty" if isinstance(kind, types.UnionType) else names[kind]


def _format(column: str, value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        assert math.isfinite(value), f"{column} must be finite or None, got {value}"
        return repr(float(value))  # a NumPy float64 has another repr
    text = str(value)
    if any(character in text for character in "\r\n\0"):
        raise UsageError(f"{column} must fit on one line of a CSV file, got {text!r}: take the line break out")
    return text
