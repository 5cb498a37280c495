"""What a run leaves of the process that it runs in, a notebook's: all as it was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = """
import gc, json, os, pickle, random, signal, sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import sklearn  # like torch._dynamo it sets variables of the environment when it is imported
import torch
import torch._dynamo

from coretx import RunConfig, run

engine, folder = sys.argv[1], Path(sys.argv[2])
random.seed(1)
np.random.seed(2)
np.random.standard_normal()
torch.manual_seed(3)
torch.set_num_threads(3)
torch.set_float32_matmul_precision("high")
jax.config.update("jax_compilation_cache_dir", str(folder / "own"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def compiled(number):
    jax.jit(lambda x: x * number)(np.ones(3)).block_until_ready()


def kept():
    return len(list((folder / "own").glob("*-cache")))


def state():
    return {
        "random": random.getstate(),
        "numpy": pickle.dumps(np.random.get_state()),
        "numpy errors": np.geterr(),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "threads": torch.get_num_threads(),
        "precision": torch.get_float32_matmul_precision(),
        "backends": [b.matmul.fp32_precision for b in (torch.backends.cuda, torch.backends.mkldnn)],
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "jax": jax.config.values,
        "environment": dict(os.environ),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "collector": (gc.get_threshold(), gc.isenabled()),
        "folder": os.getcwd(),
    }


compiled(2)
before = state()
config = RunConfig(models=("logreg", "self_attention"), backend=engine, n_samples=(40,), epochs=2, wandb="disabled")
run(replace(config, quiet=True, out=folder / "out"))
after = state()
changed = [name for name in before if before[name] != after[name]]
changed += [name for name, value in before["jax"].items() if after["jax"][name] != value]
ours = kept()
compiled(3)
print(json.dumps({"changed": changed, "ours": ours > 1, "the caller's": kept() - ours}))
"""


@pytest.mark.parametrize(("engine", "devices"), [("jax", 1), ("jax", 2), ("torch", 1)])
def test_run_leaves_the_callers_process_as_it_was(engine, devices, tmp_path):
    """Generators, threads, precision, jax's settings; and what the caller compiles is kept where it was before.

    Our programs are cached there too: it is the folder that jax was told.
    """
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK, engine, tmp_path],
        env={**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"changed": [], "ours": engine == "jax", "the caller's": 1}
