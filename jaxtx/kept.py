"""Compiled programs kept on disk, each found by the code it comes from before anything is traced.

jax's own cache spares the compiler alone: it is asked when a program is traced and lowered, which is most of the time
of a small program. Here a file named by the code, the arguments and the machine tells which program it was, and one
named by the lowered program holds the executable: an edit that changes no program costs one more tracing. What no run
has used for longest is removed when the folder outgrows its LIMIT.
"""

# pyright: reportInvalidTypeForm=false
# (jax.Device is a class that jax re-exports as a plain variable)
import contextlib
import hashlib
import importlib.metadata
import os
import pickle
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.experimental.serialize_executable import deserialize_and_load, serialize

from coretx.training.backend import cores
from jaxtx.fingerprint import PACKAGES

LIMIT = 2**30
"""Bytes that the programs of a folder may take together: 40 times those of the ladder."""


@dataclass(frozen=True)
class Shelf:
    """A folder of programs for one device, and all that they depend on but their code and arguments."""

    folder: Path
    device: jax.Device
    surroundings: str

    def find(self, code: str) -> Callable[..., Any] | None:
        """Return the program that this code was compiled to, or None."""
        try:
            name = self._read(f"{code}.code").decode()
        except (OSError, ValueError):
            return None
        return self.load(name)

    def load(self, name: str) -> Callable[..., Any] | None:
        """Return the program of this name; None where there is none, or only a damaged one, or it cannot be loaded."""
        try:
            content = self._read(f"{name}.program")
        except (OSError, ValueError):  # a name that a damaged file gave may be none for a file
            return None
        digest, pickled = content[:32], content[32:]
        if hashlib.sha256(pickled).digest() != digest:
            return None
        try:
            payload, arguments, results = pickle.loads(pickled)
            return deserialize_and_load(payload, arguments, results, self.device.client, [self.device])
        except Exception:  # a driver of another version, a class that has moved: as if it were not there
            return None

    def keep(self, name: str, compiled: jax.stages.Compiled) -> None:
        """Keep a program that was compiled, not loaded: XLA serializes what it has loaded into what cannot run.

        One that calls back into Python cannot be kept, and is not.
        """
        try:
            pickled = pickle.dumps(serialize(compiled))
        except Exception:  # each kind of callback and each release of jax has errors of its own
            return
        self._write(f"{name}.program", hashlib.sha256(pickled).digest() + pickled)

    def link(self, code: str, name: str) -> None:
        """Note which program this code was compiled to."""
        self._write(f"{code}.code", name.encode())

    def key(self, *parts: Any) -> str:
        """Return a name for what all these parts decide, in these surroundings and under jax's settings of now."""
        settings = sorted((name, str(value)) for name, value in jax.config.values.items() if "cache" not in name)
        return hashlib.sha256(repr((self.surroundings, settings, parts)).encode()).hexdigest()

    def _read(self, name: str) -> bytes:
        """Return what a file holds, and note that it was of use."""
        path = self.folder / name
        content = path.read_bytes()
        with contextlib.suppress(OSError):  # another's folder, or one that is read-only
            os.utime(path)
        return content

    def _write(self, name: str, content: bytes) -> None:
        """Write a file as a whole or not at all; a folder that refuses is told of, and costs the time of compiling."""
        temporary = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
                temporary = Path(file.name)
                file.write(content)
            os.replace(temporary, self.folder / name)
        except OSError as error:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    temporary.unlink()
            warnings.warn(f"compiled programs are not kept: {error}; --no-compile-cache does without", stacklevel=2)


def open_shelf(folder: Path, device: jax.Device) -> Shelf:
    """Return the programs that are kept in a folder for a device of this process, of all there those used last."""
    make_room(folder, LIMIT)
    return Shelf(folder, device, surroundings(device))


def make_room(folder: Path, limit: int) -> None:
    """Remove what was used longest ago, until the files of a folder take at most `limit` bytes.

    Another process may be at it too, or read what is removed here, which it then compiles again.
    """
    files: list[tuple[Path, os.stat_result]] = []
    with contextlib.suppress(OSError):  # there is no folder yet
        for file in folder.iterdir():
            with contextlib.suppress(OSError):  # it has just been removed
                files.append((file, file.stat()))
    taken = 0
    for file, status in sorted(files, key=lambda entry: entry[1].st_mtime_ns, reverse=True):
        taken += status.st_size
        if taken > limit:
            with contextlib.suppress(OSError):
                file.unlink()


def surroundings(device: jax.Device) -> str:
    """Return all that a program depends on but its code and arguments: libraries, flags, the kind of processor.

    A library counts by its version and by when its newest file was changed, so that one edited in place is noticed.
    """
    used = [name for name in (*PACKAGES, "ml_dtypes") if name in sys.modules]
    versions = [(name, importlib.metadata.version(name)) for name in used]
    if device.platform != "cpu":  # its compiler and its kernels come in packages of their own
        there = [(part.name, part.version) for part in importlib.metadata.distributions()]
        versions += sorted(part for part in there if part[0].startswith(("jax", "nvidia", "libtpu")))
    loaded = [module for name, module in [*sys.modules.items()] if name.partition(".")[0] in used]
    files = {file for module in loaded if (file := getattr(module, "__file__", None))}
    flags = {name: value for name, value in os.environ.items() if name.startswith(("XLA_", "LIBTPU_"))}
    parts = (
        (sys.version, versions, newest(files)),
        sorted(flags.items()),
        (device.platform, device.device_kind, device.id, device.client.platform_version),
        processor(),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def newest(files: set[str]) -> int:
    """Return when the last of the files was changed, in ns."""
    return max(os.stat(file).st_mtime_ns for file in files if os.path.exists(file))


def processor() -> tuple[object, ...]:
    """Return what is known of the processor: XLA compiles for its instructions, and for its number of cores."""
    names = ("model name", "flags", "Features", "CPU part")
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = [f"flags: {platform.node()}"]  # elsewhere a folder may not be shared among machines
    told = sorted({line for line in lines if line.startswith(names)})
    return platform.machine(), platform.processor(), cores(), told
