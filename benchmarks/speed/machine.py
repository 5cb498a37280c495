"""The machine, the versions and the commit of a measurement."""

import importlib.metadata
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coretx.records import provenance
from coretx.training.backend import cores


def describe() -> dict[str, Any]:
    """Return machine, versions and commit as plain values."""
    return {
        "machine": {
            "processor": processor(),
            "cores": cores(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": provenance.versions() | {name: version(name) for name in ("jax", "jaxlib", "flax", "torch")},
        "commit": provenance.commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": os.getloadavg()[0],
    }


def processor() -> str:
    """Return the processor's name, or the machine's kind if the system does not know it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def version(package: str) -> str:
    """Return a package's version, or `missing`."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
