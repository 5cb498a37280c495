"""Functions compiled ahead, with the time it takes kept apart."""

import inspect
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jax
from jax.sharding import NamedSharding
from jaxtyping import Array

from jaxtx.fingerprint import fingerprint
from jaxtx.kept import Shelf
from jaxtx.settings import CACHE_SETTINGS, JaxCache

Once = bool | Callable[..., bool]


class Program:
    """A function compiled ahead of its first call for each set of argument shapes and places, its compile time apart.

    `precision` is that of float32 matrix products, where a device offers less; `out` is where results are left, the
    place of the arguments if None. A program that runs `once`, which may depend on its arguments, is worth no
    optimization by LLVM. `stacked` arguments, each along its axis, are mapped over. On a `shelf`, or in jax's cache,
    compiled programs outlast the process; `about` is the class of the model that is compiled.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        donate: tuple[int, ...] = (),
        precision: str = "highest",
        out: NamedSharding | None = None,
        *,
        once: Once = False,
        stacked: tuple[int | None, ...] = (),
        about: type | None = None,
        shelf: Shelf | JaxCache | None = None,
    ) -> None:
        self.source = function
        self.settings = donate, precision, out, stacked
        batched = jax.vmap(function, in_axes=stacked) if stacked else function
        self.function = jax.jit(batched, donate_argnums=donate, out_shardings=out, keep_unused=True)
        self.precision = precision
        self.once = once
        self.about = about
        self.shelf = shelf
        self.compiled: dict[Any, Callable[..., Any]] = {}
        self._compiling = threading.Lock()

    def ready(self, seconds: dict[str, float], *args: Any) -> Callable[..., Any]:
        """Return the function compiled for arguments like these; add the time that took to seconds["compile"].

        A second thread waits for the first's compiler.
        """
        leaves, structure = jax.tree.flatten(args)
        key = structure, tuple((leaf.shape, leaf.dtype, leaf.sharding) for leaf in leaves)
        if key not in self.compiled:
            start = time.perf_counter()
            cache = CACHE_SETTINGS.use(self.shelf if isinstance(self.shelf, JaxCache) else None)
            with self._compiling, jax.default_matmul_precision(self.precision), cache:
                if key not in self.compiled:
                    once = self.once(*args) if callable(self.once) else self.once
                    options = compiler_options(leaves[0], once=once)
                    self.compiled[key] = self._program(args, key, options)
            seconds["compile"] += time.perf_counter() - start
        return self.compiled[key]

    def _program(self, args: tuple[Any, ...], key: Any, options: dict[str, Any]) -> Callable[..., Any]:
        """Return the function compiled for these arguments: kept under its code, or under what it lowers to, or now."""
        shelf = self.shelf
        if not isinstance(shelf, Shelf):
            return self.function.lower(*args).compile(options)
        code = self._code(shelf, key, options)
        if code is not None and (found := shelf.find(code)) is not None:
            return found
        lowered = self.function.lower(*args)
        name = shelf.key(lowered.as_text(), str(lowered.in_tree), str(lowered.out_tree), options)
        program = shelf.load(name)
        if program is None:
            program = lowered.compile(options)
            shelf.keep(name, program)
        if code is not None:
            shelf.link(code, name)
        return program

    def _code(self, shelf: Shelf, key: Any, options: dict[str, Any]) -> str | None:
        """Return the name of what decides which program this is; None where nothing can tell.

        So it is where code reaches what has no name, and where the model's class is not what it was when this process
        first traced it: jax and Flax remember parts of a trace, and what is made of new code may hold some of the old.
        """
        try:
            model = fingerprint(self.about)
            code = fingerprint((inspect.unwrap(Program.__init__), self.source))
        except Exception:  # what a plugin's code may do to the walk costs the shortcut, no more
            return None
        if FIRST.setdefault(self.about, model) != model:
            return None
        return shelf.key(code, model, str(key), str(self.settings), options)


FIRST: dict[Any, str] = {}
"""The digest of each model class when a program of it was first wanted."""


OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "cpu": {
        "xla_cpu_multi_thread_eigen": False,
        "xla_cpu_use_fusion_emitters": False,
        "xla_backend_optimization_level": 1,
        "xla_cpu_parallel_codegen_split_count": 4,
        "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE",
    },
    "gpu": {"xla_gpu_enable_triton_gemm": False},
}
"""What XLA is told, by kind of device.

CPU: products as small as these lose more by being split over threads than they gain: without it the multi-layer
transformer takes 2.9 ms a step for 3.7, and compiles in 2.5 s for 4.6 (2 cores, jax 0.10.2). Without its emitters of
fusions XLA compiles the rungs in 0.6 to 0.7 of the time, to programs as fast; with LLVM's first level of optimization
and 4 modules for LLVM in place of 32, in 0.65 of that, to programs as fast again. With YNNPACK for sums alone, and
products by Eigen, a step takes 0.8 to 0.97 of the time in all rungs.

GPU: products by cuBLAS alone. With 20 programs compiling on 16 cores, that of multilayer_transformer for 64 members
took 54 s for 98 and trained as fast; for 1024 members a step took 1.06 of the time (H200, jax 0.11.2).
"""


def compiler_options(array: Array, *, once: bool) -> dict[str, Any]:
    """Return what to tell XLA for programs on this array's device: on a CPU no pains for what runs `once`."""
    platform = next(iter(array.devices())).platform
    unhurried = {"xla_backend_optimization_level": 0} if once and platform == "cpu" else {}
    return known_options(platform) | unhurried


@cache
def known_options(platform: str) -> dict[str, Any]:
    """Return those of OPTIONS that this XLA has: it refuses a name that it has lost, as jax 0.11 has one."""
    options = dict(OPTIONS.get("gpu" if platform in ("cuda", "rocm") else platform, {}))
    with jax.default_device(jax.local_devices(backend=platform)[0]):
        nothing = jax.jit(lambda: 0).lower()
    while options:
        try:
            nothing.compile(options)
            break
        except jax.errors.JaxRuntimeError as error:
            refused = next((name for name in options if f"'{name}'" in str(error)), None)
            if refused is None:
                raise
            del options[refused]
    return options
