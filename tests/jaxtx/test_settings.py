"""Settings of a whole process are an engine's only while it works: torch's threads and precision, jax's cache."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import jax
import pytest
import torch

from jaxtx.settings import CacheSettings, JaxCache
from torchtx.settings import own_settings, restore, settings

CPU = torch.device("cpu")
NAMES = (
    "jax_enable_compilation_cache",
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


@pytest.fixture
def before():
    """torch's settings, which a test may change."""
    found = settings()
    yield found
    restore(found)


def cache_settings():
    return [jax.config.values[name] for name in NAMES]


def test_torch_has_its_settings_inside_and_the_callers_after_an_error(before):
    torch.set_num_threads(3)
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(5)
    callers, state = settings(), torch.get_rng_state()
    with suppress(KeyboardInterrupt), own_settings(CPU, "highest"):
        assert settings()[:2] == (1, "highest")
        torch.randn(3)
        raise KeyboardInterrupt
    assert settings() == callers
    assert torch.equal(torch.get_rng_state(), state)


def test_precision_under_torchs_newer_names_is_put_back(before):
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    with own_settings(CPU, "highest"):
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"


def test_torch_settings_may_be_entered_again_inside(before):
    torch.set_num_threads(3)
    with own_settings(CPU, "highest"):
        with own_settings(CPU, "medium"):
            assert torch.get_float32_matmul_precision() == "medium"
        assert settings()[:2] == (1, "highest")
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("cache", [None, JaxCache("/nowhere")], ids=["off", "ours"])
def test_jax_cache_has_our_settings_inside_and_the_callers_after_an_error(cache):
    callers = cache_settings()
    inside = [True, "/nowhere", 0.0, -1] if cache else [False, *callers[1:]]
    with suppress(KeyboardInterrupt), CacheSettings().use(cache):
        assert cache_settings() == inside
        raise KeyboardInterrupt
    assert cache_settings() == callers


def test_threads_that_want_the_same_are_inside_together_and_the_last_puts_back():
    shared, met, callers = CacheSettings(), threading.Barrier(2), cache_settings()

    def enter(leave_last):
        with shared.use(None):
            met.wait(20)  # both are inside
            if leave_last:
                left.wait(20)
                return cache_settings()[0]
        left.set()
        return None

    left = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(enter, (False, True)))
    assert found == [None, False]
    assert cache_settings() == callers


def test_thread_that_wants_others_waits_until_nobody_is_inside():
    shared, entered, callers = CacheSettings(), threading.Event(), cache_settings()

    def other():
        with shared.use(JaxCache("/nowhere")):
            entered.set()
            return cache_settings()[:2]

    with ThreadPoolExecutor(1) as threads:
        with shared.use(None):
            found = threads.submit(other)
            assert not entered.wait(0.1)
            assert cache_settings()[0] is False
        assert found.result(20) == [True, "/nowhere"]
    assert cache_settings() == callers
