"""torch's settings of the whole process: ours while a population works, the caller's before and after."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

THREADS = 1
"""These models are so small that handing work to a second thread costs more than it brings."""

SEED = 0
"""The seed of torch's generator while a population works, so that whatever a model draws repeats."""

LIBRARIES: tuple[Any, ...] = (
    torch.backends.cuda.matmul,
    torch.backends.mkldnn.matmul,  # pyright: ignore[reportAttributeAccessIssue]
)
"""The libraries that compute torch's matrix products, each with a precision setting of its own."""

_WORKING = threading.RLock()


class Settings(NamedTuple):
    """How torch computes in this process."""

    threads: int
    precision: str
    """The precision of float32 matrix products on every device: highest, high or medium."""
    by_library: list[str]
    """The same under torch's newer names, in the order of LIBRARIES."""


@contextmanager
def own_settings(device: torch.device, precision: str) -> Iterator[None]:
    """Work with THREADS threads, this precision and a generator seeded anew; then put back what the caller had.

    One thread of this process at a time, since all of these belong to the process.
    """
    with _WORKING:
        before = settings()
        try:
            torch.set_num_threads(THREADS)
            torch.set_float32_matmul_precision(precision)
            with torch.random.fork_rng([device] if device.type == "cuda" else []):
                torch.default_generator.manual_seed(SEED)
                yield
        finally:
            restore(before)


def settings() -> Settings:
    """Return the settings of now."""
    try:
        precision = torch.get_float32_matmul_precision()
    except RuntimeError:  # it answers only where the newer names say the same; who uses those has the default here
        precision = "highest"
    return Settings(torch.get_num_threads(), precision, [library.fp32_precision for library in LIBRARIES])


def restore(before: Settings) -> None:
    """Put the settings back."""
    torch.set_num_threads(before.threads)
    torch.set_float32_matmul_precision(before.precision)  # sets the newer names too
    for library, name in zip(LIBRARIES, before.by_library, strict=True):
        library.fp32_precision = name
