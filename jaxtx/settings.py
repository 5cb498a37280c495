"""jax's own cache of compiled programs: as we want it while one of ours is compiled, the caller's before and after."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache


@dataclass(frozen=True)
class JaxCache:
    """A folder, or a URL that jax can read, in which jax's own cache keeps every program."""

    folder: str


class CacheSettings:
    """The settings of jax's cache in this process: one set of ours at a time, for as many threads as want the same."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._ours: Mapping[str, Any] = {}
        self._before: Mapping[str, Any] = {}

    @contextmanager
    def use(self, cache: JaxCache | None) -> Iterator[None]:
        """Let jax keep all programs in this cache, or none where it is None; the last to leave puts back what was."""
        ours: Mapping[str, Any] = {"jax_enable_compilation_cache": cache is not None}
        if cache is not None:
            ours |= {
                "jax_compilation_cache_dir": cache.folder,
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
    """Set jax's settings and let its cache look at them, which it does once."""
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


CACHE_SETTINGS = CacheSettings()
