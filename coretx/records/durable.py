"""Write files whole or not at all, under a lock where several processes may write; no other module writes results."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from coretx.errors import OutputError, UsageError


@contextmanager
def refusals(verb: str, path: Path) -> Iterator[None]:
    """Turn an error of the disk inside into an OutputError: this path could not be written, read, locked."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise OutputError(f"could not {verb} {path}: {why}; free space or choose another --out") from error


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the file by data, atomically: a reader sees the old content or the new, never a part.

    Raises OutputError where the disk refuses; the old file is then untouched and no temporary file is left.
    """
    with refusals("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(path.parent)
        finally:
            Path(temporary).unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace the file by text in UTF-8, atomically (see `write_bytes`)."""
    write_bytes(path, text.encode())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(data: bytes) -> str:
    """Return the SHA-256 of data in hex."""
    return hashlib.sha256(data).hexdigest()


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the lock beside path, around read-change-write of a shared file. The kernel frees it if we die."""
    with refusals("lock", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(path.with_name(f".{path.name}.lock")).acquire()
    with held:
        yield


def check_writable(folder: Path) -> None:
    """Raise unless files can be made in folder, which need not exist yet; no file is left behind.

    UsageError (exit 2) where a file is in the way, OutputError (exit 3) where the disk refuses.
    """
    try:
        nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        if not nearest.is_dir():
            raise UsageError(f"--out must name a folder, got {folder}, but {nearest} is a file: choose another")
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise OutputError(f"--out must be writable, got {folder}: {error.strerror}; choose another") from error


class LineWriter:
    """A text file that grows by whole lines: each is handed to the kernel before `write` returns.

    The file starts empty, or with the lines given, which replace its content in one step. A killed process loses at
    most the line it was writing. Raises OutputError where the disk refuses.
    """

    def __init__(self, path: Path, first: Sequence[str] = ()) -> None:
        self._path = Path(path)
        if first:
            write_text(self._path, "".join(f"{line}\n" for line in first))
        with refusals("write", self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab" if first else "wb", buffering=0)

    def write(self, line: str) -> None:
        """Append the line, which holds no newline itself."""
        data = f"{line}\n".encode()
        with refusals("write", self._path):
            while data:
                data = data[self._file.write(data) :]

    def close(self) -> None:
        """Push the lines to the disk and close; a second call does nothing."""
        if not self._file.closed:
            with refusals("write", self._path), self._file:
                os.fsync(self._file.fileno())
