"""Member i of a population is the same member alone: vmapped or looped in JAX, looped in torch.

Over two devices: `parity_tests/sharded_populations.py`, which needs a process with two and is run by the last tests.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from parity_tests.bounds import ENVELOPE_END, MEMBER
from parity_tests.cases import Case, lasting, steady
from parity_tests.conftest import MODELS, some
from parity_tests.populations import judged_by_envelope, largest_difference
from parity_tests.trajectory import told

MEMBERS, FULL_STEPS, FULL_ROWS = 3, 800, 1000


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_member_of_a_population_is_the_member_alone(model, strategy, engines, short_case):
    assert largest_difference(short_case(model), engines["jax"], MEMBERS, strategy) <= MEMBER[strategy]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_members_in_torch_are_the_same_bit_for_bit(model, dtype, engines, short_case):
    case = short_case(model, dtype=dtype)
    assert engines["torch"].strategy(case.spec, MEMBERS) == "loop"
    assert largest_difference(case, engines["torch"], MEMBERS, None) == 0.0


def test_looped_members_are_the_same_bit_for_bit_in_float32(model, engines, short_case):
    assert largest_difference(short_case(model, dtype="float32"), engines["jax"], MEMBERS, "loop") == 0.0


@pytest.mark.parametrize("model", some(*(name for name in MODELS if "transformer" not in name)))
def test_vmapped_member_stays_within_the_envelope_in_float32(model, engines, short_case):
    case = short_case(model, dtype="float32")
    verdict = judged_by_envelope(case, engines["jax"], MEMBERS, "vmap", len(case.steps()))
    assert verdict.difference is None, verdict.difference.sentence()
    assert verdict.horizon == len(case.steps())


def full_case(model, catalogue, dtype):
    """Return 100 epochs of 1000 rows."""
    spec = lasting(catalogue.models([model])[0], FULL_STEPS, FULL_ROWS)
    return Case(spec, catalogue.tasks["sign_of_winner"], dtype, FULL_ROWS)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_vmapped_member_is_the_member_alone_over_100_epochs(model, engines, catalogue, measured):
    """At a rate at which one unit in the last place does not grow past the bound."""
    found = largest_difference(steady(full_case(model, catalogue, "float64")), engines["jax"], MEMBERS, "vmap")
    measured(f"{model}, float64, vmap, 100 epochs: {found:.1e}")
    assert found <= MEMBER["vmap"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_looped_members_are_the_same_bit_for_bit_over_100_epochs(model, dtype, engines, catalogue, measured):
    found = largest_difference(full_case(model, catalogue, dtype), engines["jax"], MEMBERS, "loop")
    measured(f"{model}, {dtype}, loop, 100 epochs: {found:.1e}")
    assert found == MEMBER["loop"] == 0.0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_vmapped_member_stays_within_the_envelope_over_100_epochs(model, dtype, engines, catalogue, measured):
    """At the ladder's own rate."""
    case = full_case(model, catalogue, dtype)
    verdict = judged_by_envelope(case, engines["jax"], MEMBERS, "vmap", FULL_STEPS)
    measured(f"{model}, {dtype}, vmap: {told(verdict)}")
    assert verdict.difference is None, verdict.difference.sentence()
    assert verdict.horizon == FULL_STEPS or verdict.envelope[verdict.horizon] > ENVELOPE_END


def run_sharded(marks):
    """Run the tests of sharded populations in a process with two devices and return what they printed."""
    plain = "addopts=-q --import-mode=importlib"  # no checks of shapes in each call: other tests make them
    command = [sys.executable, "-m", "pytest", "-o", plain, "-p", "no:cacheprovider", "-m", marks, SHARDED]
    child = subprocess.run(command, capture_output=True, text=True, cwd=SHARDED.parent.parent, check=False)
    assert child.returncode == 0, child.stdout[-4000:] + child.stderr[-2000:]
    return child.stdout


def passed(printed):
    """Return how many tests the run says have passed."""
    return int("".join(re.findall(r"(\d+) passed", printed)))


SHARDED = Path(__file__).with_name("sharded_populations.py")


def test_sharded_members_are_the_members_alone():
    assert passed(run_sharded("not slow")) == 6


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_sharded_members_are_the_members_alone_over_100_epochs(measured):
    printed = run_sharded("slow")
    for line in re.findall(r".*, shard.*", printed):
        measured(line)
    assert passed(printed) == 6 * len(MODELS) - 5
