"""Files that are whole or not there."""

import errno
import os
from pathlib import Path

import pytest

from coretx.errors import OutputError, UsageError
from coretx.records import durable


@pytest.fixture
def calls(monkeypatch):
    """The order in which the disk is asked to make things last."""
    found, fsync, replace = [], os.fsync, os.replace

    def spy_fsync(handle):
        found.append("fsync folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "fsync file")
        fsync(handle)

    def spy_replace(source, target):
        found.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    return found


def refuse(error):
    def call(*arguments):
        raise error

    return call


def test_file_is_on_disk_before_it_takes_the_name(calls, tmp_path):
    durable.write_bytes(tmp_path / "file", b"new")
    assert calls == ["fsync file", "replace", "fsync folder"]


def test_write_makes_its_folders_and_replaces_a_file_that_others_may_read(tmp_path):
    file = tmp_path / "a" / "b" / "file"
    for text in ("a long old content", "ä"):
        durable.write_text(file, text)
    assert file.read_bytes() == "ä".encode()
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["disk-full", "ctrl-c"]
)
def test_failed_write_leaves_the_old_file_and_nothing_else(monkeypatch, tmp_path, step, error):
    path = tmp_path / "file"
    durable.write_bytes(path, b"old")
    monkeypatch.setattr(os, step, refuse(error))
    with pytest.raises((OutputError, KeyboardInterrupt)):
        durable.write_bytes(path, b"new")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"file": b"old"}


def test_failed_write_says_which_file_and_why(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "replace", refuse(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OutputError, match=r"could not write .*/file: No space left on device; .*--out"):
        durable.write_bytes(tmp_path / "file", b"new")


def test_folder_that_can_be_written_is_accepted_and_left_alone(tmp_path):
    durable.check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", [".", "deeper/down"])
def test_file_in_the_way_is_a_usage_error(tmp_path, below):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--out must name a folder"):
        durable.check_writable(tmp_path / "file" / below)


@pytest.mark.parametrize(
    "folder",
    [Path("/proc/out"), Path("/dev/null/../../proc/out"), Path("/tmp", "x" * 300)],
    ids=["proc", "dots", "long"],
)
def test_place_that_the_disk_refuses_is_an_output_error(folder):
    with pytest.raises((OutputError, UsageError), match="--out must"):
        durable.check_writable(folder)


def test_file_where_the_lock_needs_a_folder_is_an_output_error(tmp_path):
    (tmp_path / "benchmarks").touch()
    with pytest.raises(OutputError), durable.lock(tmp_path / "benchmarks" / "index.html"):
        pass


def test_lock_keeps_a_second_one_waiting(tmp_path):
    """A second lock on the same file does not wait here, and raises."""
    from filelock import FileLock, Timeout

    with durable.lock(tmp_path / "table.csv"), pytest.raises(Timeout):
        FileLock(tmp_path / ".table.csv.lock", timeout=0).acquire()


def test_line_writer_starts_an_empty_file_whose_lines_can_be_read_at_once(tmp_path):
    for line in ("old", "new"):
        writer = durable.LineWriter(tmp_path / "a" / "log")
        writer.write(line)
        assert (tmp_path / "a" / "log").read_text() == f"{line}\n"
        writer.close()
        writer.close()
