"""CSV files with typed columns: read strictly, written whole under a lock, with exact numbers and rows in order."""

import csv
import dataclasses
import io
import math
import types
import typing
from collections.abc import Collection, Mapping, Sequence
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
"""What the rows of every table are sorted by: those of these columns that it has, then its key."""

Row = TypeVar("Row")
Cell = str | int | float | None


@dataclasses.dataclass(frozen=True)
class CsvTable(Generic[Row]):
    """How rows of a frozen dataclass stand in a file: its fields are the columns, `key` those that identify a row.

    The rows are sorted by ORDER, then by the key (whole numbers in text by their size), so that equal rows are equal
    files, whatever finished first. A float is the shortest text that reads back as the same number; files with rounded
    numbers are read as they are.
    """

    row: type[Row]
    key: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in the order of the file."""
        return tuple(field.name for field in dataclasses.fields(typing.cast(Any, self.row)))

    def read(self, path: Path) -> list[Row]:
        """Return the rows of the file, in its order; none where there is no file.

        Raises UsageError with the file and the line number at the first line that is not exactly a row: a file of
        results is repaired by a person, never by leaving rows out.
        """
        if not path.exists():
            return []
        lines = _lines(path)
        if self._cells(path, 1, lines[0]) != list(self.columns):
            raise _malformed(path, 1, f"the header must be {','.join(self.columns)}, got {lines[0][:200]!r}")
        hints = typing.get_type_hints(self.row)
        kinds = {name: hints[name] for name in self.columns}
        rows: dict[tuple[Cell, ...], Row] = {}
        for number, line in enumerate(lines[1:], start=2):
            row = self._row(path, number, line, kinds)
            if self._key(row) in rows:
                raise _malformed(path, number, f"the row with {self._name(row)} occurs twice")
            rows[self._key(row)] = row
        return list(rows.values())

    def upsert(self, path: Path, rows: Sequence[Row]) -> None:
        """Put rows into the file, each in the place of the row with the same key, and sort the file."""
        with durable.lock(path):
            merged = {self._key(row): row for row in self.read(path)}
            merged.update({self._key(row): row for row in rows})
            order = [name for name in ORDER if name in self.columns]
            durable.write_text(path, self._text(sorted(merged.values(), key=lambda row: self._place(row, order))))

    def remove(self, path: Path, ids: Collection[str]) -> None:
        """Take the rows away that are of one of these cells, by `id` or `against_id`."""
        if not path.exists():
            return
        with durable.lock(path):
            rows = self.read(path)
            kept = [row for row in rows if not {getattr(row, name, None) for name in ("id", "against_id")} & set(ids)]
            if len(kept) < len(rows):
                durable.write_text(path, self._text(kept))

    def _row(self, path: Path, number: int, line: str, kinds: Mapping[str, Any]) -> Row:
        cells = self._cells(path, number, line)
        if len(cells) != len(kinds):
            raise _malformed(path, number, f"a row has {len(kinds)} fields, got {len(cells)}")
        values = {}
        for (column, kind), text in zip(kinds.items(), cells, strict=True):
            try:
                values[column] = _parse(text, kind)
            except ValueError as error:
                wanted = f"{column} must be {_wanted(kind)}, got {text[:80]!r}"
                raise _malformed(path, number, wanted) from error
        return self.row(**values)

    def _cells(self, path: Path, number: int, line: str) -> list[str]:
        # One line at a time: read as a stream, an unterminated quote would swallow the rows that follow it.
        try:
            return next(csv.reader([line], strict=True), [])
        except csv.Error as error:
            raise _malformed(path, number, str(error)) from error

    def _key(self, row: Row) -> tuple[Cell, ...]:
        return tuple(getattr(row, name) for name in self.key)

    def _place(self, row: Row, order: Sequence[str]) -> tuple[list[Any], list[Any]]:
        key = [by_size(value) if isinstance(value, str) else value for value in self._key(row)]
        return [getattr(row, name) for name in order], key

    def _name(self, row: Row) -> str:
        return ", ".join(f"{name} {value}" for name, value in zip(self.key, self._key(row), strict=True))

    def _text(self, rows: Sequence[Row]) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([[_format(name, getattr(row, name)) for name in self.columns] for row in rows])
        return text.getvalue()


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


def _malformed(path: Path, number: int, what: str) -> UsageError:
    return UsageError(f"{path}, line {number}: {what}; correct the line or delete it, or move the file away")


def _parse(text: str, kind: Any) -> Cell:
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


def _format(column: str, value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        assert math.isfinite(value), f"{column} must be finite or None, got {value}"
        return repr(float(value))  # a float64 of NumPy's has another repr
    text = str(value)
    if any(character in text for character in "\r\n\0"):
        raise UsageError(f"{column} must stand on one line of a CSV file, got {text!r}: take the line break out")
    return text
