"""Batch orders drawn by helping processes: the numbers that are drawn without them, whatever becomes of a helper."""

import subprocess
import sys

import numpy as np
import pytest

from coretx.training import orders
from coretx.training.batches import batch_order

STREAM = {"seed": 3, "task": "t", "model": "m"}


@pytest.fixture
def helped(monkeypatch):
    """As on a machine with cores enough, however few row numbers there are."""
    monkeypatch.setattr(orders, "MANY", 0)
    monkeypatch.setattr(orders, "cores", lambda: 12)
    orders.helpers.cache_clear()
    yield
    orders.helpers(3).shutdown()
    orders.helpers.cache_clear()


def wanted(n, epochs, members):
    """Return what each member draws on its own."""
    drawn = [batch_order(n, 8, epochs, member=member, **STREAM) for member in range(members)]
    return tuple(np.stack(part) for part in zip(*drawn, strict=True))


@pytest.mark.parametrize(("n", "epochs", "members"), [(20, range(4), 5), (7, range(3, 5), 2), (64, range(1), 3)])
def test_helpers_draw_what_is_drawn_without_them(helped, n, epochs, members, monkeypatch):
    monkeypatch.setattr(orders, "draw", None)  # nothing is drawn here
    found = orders.batch_orders(n, 8, epochs, members=members, **STREAM)
    for one, other in zip(found, wanted(n, epochs, members), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_few_numbers_are_drawn_here(monkeypatch):
    monkeypatch.setattr(orders, "cores", lambda: 12)
    monkeypatch.setattr(orders, "helpers", None)  # whoever asks fails
    found = orders.batch_orders(20, 8, range(4), members=3, **STREAM)
    np.testing.assert_array_equal(found[0], wanted(20, range(4), 3)[0])


OTHER = "import sys; input(); sys.stdout.buffer.write(bytes(4 * 2 * 4 * 24)); sys.stdout.flush(); input()"
"""Answers with as many numbers as are wanted of two members: 4 epochs of 3 batches of 8 each, all 0."""


@pytest.mark.parametrize("command", ["import sys; sys.exit()", "import sys; sys.stdout.write('half'); input()", OTHER])
def test_what_a_helper_did_not_draw_is_drawn_here(helped, monkeypatch, command):
    started = []

    def start(arguments, **settings):
        started.append(subprocess_Popen([sys.executable, "-c", command], **settings))
        return started[-1]

    subprocess_Popen = subprocess.Popen
    monkeypatch.setattr("subprocess.Popen", start)
    found = orders.batch_orders(20, 8, range(4), members=6, **STREAM)
    assert 1 <= len(started) <= 3
    np.testing.assert_array_equal(found[0], wanted(20, range(4), 6)[0])


def test_helpers_end_with_the_one_who_asks():
    code = """
from coretx import orders
orders.MANY, orders.cores = 0, lambda: 12
started, Popen = [], orders.subprocess.Popen
orders.subprocess.Popen = lambda *given, **more: started.append(Popen(*given, **more)) or started[-1]
orders.batch_orders(20, 8, range(4), seed=0, task="t", model="m", members=3)
print(*[helper.pid for helper in started])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    pids = done.stdout.split()
    assert pids
    for pid in pids:  # a helper reads the end of its input
        subprocess.run(["timeout", "10", "tail", f"--pid={pid}", "-f", "/dev/null"], check=True)


def test_helper_that_cannot_be_started_is_done_without(helped, monkeypatch):
    def refused(*given, **settings):
        raise OSError("no more processes")

    monkeypatch.setattr("subprocess.Popen", refused)
    found = orders.batch_orders(20, 8, range(4), members=6, **STREAM)
    np.testing.assert_array_equal(found[0], wanted(20, range(4), 6)[0])
