"""jax's persistent compilation cache: our settings while a program is compiled, the caller's before and after."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache


@dataclass(frozen=True)
class JaxCache:
    """A folder, or a URL that jax can read, in which jax keeps every compiled program."""

    folder: str
    max_bytes: int = -1
    """jax removes the least recently used programs above it; -1 for no limit."""


class CacheSettings:
    """The cache settings of this process: one set of ours at a time, for as many threads as want the same set."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._ours: Mapping[str, Any] = {}
        self._before: Mapping[str, Any] = {}

    @contextmanager
    def use(self, cache: JaxCache | None) -> Iterator[None]:
        """Let jax keep all programs in this cache, or none if it is None. The last thread restores the settings."""
        ours: Mapping[str, Any] = {"jax_enable_compilation_cache": cache is not None}
        if cache is not None:
            ours |= {
                "jax_compilation_cache_dir": cache.folder,
                "jax_compilation_cache_max_size": cache.max_bytes,
                "jax_persistent_cache_min_compile_time_secs": 0.0,
                "jax_persistent_cache_min_entry_size_bytes": -1,
            }
        with self._changed:
            self._changed.wait_for(lambda: not self._inside or self._ours == ours)
            if not self._inside:
                values = jax.config.values
                self._ours, self._before = ours, {name: values[name] for name in ours}
                update(ours)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                if not self._inside:
                    update(self._before)
                    self._changed.notify_all()


def update(settings: Mapping[str, Any]) -> None:
    """Change settings of jax; its cache reads them anew only after a reset."""
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


CACHE_SETTINGS = CacheSettings()
