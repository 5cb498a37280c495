"""Functions compiled ahead, with the time it takes kept apart."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jax
from jaxtyping import Array

from jaxtx.settings import CACHE_SETTINGS, JaxCache

Once = bool | Callable[..., bool]


@dataclass(eq=False)
class Program:
    """A jitted function, compiled ahead of its first call for each set of argument shapes and places."""

    function: Any
    precision: str = "highest"
    """The precision of float32 matrix products, where a device offers less."""
    once: Once = False
    """Whether it runs once, which may depend on its arguments: then LLVM's optimization is not worth its time."""
    cache: JaxCache | None = None
    """Where jax keeps compiled programs, for later processes."""
    compiled: dict[Any, Callable[..., Any]] = field(default_factory=dict)
    compiling: Any = field(default_factory=threading.Lock)

    def ready(self, seconds: dict[str, float], *args: Any) -> Callable[..., Any]:
        """Return the function compiled for arguments like these; add the time that took to seconds["compile"].

        A second thread waits for the first's compiler.
        """
        leaves, structure = jax.tree.flatten(args)
        key = structure, tuple((leaf.shape, leaf.dtype, leaf.sharding) for leaf in leaves)
        if key not in self.compiled:
            start = time.perf_counter()
            with self.compiling, jax.default_matmul_precision(self.precision), CACHE_SETTINGS.use(self.cache):
                if key not in self.compiled:
                    once = self.once(*args) if callable(self.once) else self.once
                    options = compiler_options(leaves[0], once=once)
                    self.compiled[key] = self.function.lower(*args).compile(options)
            seconds["compile"] += time.perf_counter() - start
        return self.compiled[key]


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
    """Return XLA's options for programs on this array's device: on a CPU no optimization of what runs `once`."""
    platform = next(iter(array.devices())).platform
    unhurried = {"xla_backend_optimization_level": 0} if once and platform == "cpu" else {}
    return known_options(platform) | unhurried


@cache
def known_options(platform: str) -> dict[str, Any]:
    """Return the OPTIONS of a platform that this release of XLA knows: jax 0.11 has lost one."""

    def is_known(name: str, value: Any) -> bool:
        try:
            nothing.compile({name: value})
        except jax.errors.JaxRuntimeError:
            return False
        return True

    with jax.default_device(jax.local_devices(backend=platform)[0]):
        nothing = jax.jit(lambda: 0).lower()
        options = OPTIONS.get("gpu" if platform in ("cuda", "rocm") else platform, {})
        return {name: value for name, value in options.items() if is_known(name, value)}
