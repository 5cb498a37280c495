"""Members over two devices, and batches over two, are the members alone. Run by test_populations in its own process.

A process decides once how many CPU devices it has, and all other tests are to see one.
"""

import jax
import pytest

from coretx.config import EngineOptions, MeshShape
from coretx.training.backend import load_backend
from parity_tests.bounds import MEMBER
from parity_tests.cases import steady
from parity_tests.conftest import some
from parity_tests.populations import judged_by_envelope, largest_difference
from parity_tests.test_grids import check, grid_of
from parity_tests.test_populations import FULL_STEPS, full_case
from parity_tests.trajectory import told

DEVICES, MEMBERS = 2, 4

jax.config.update("jax_num_cpu_devices", DEVICES)


def test_members_are_parted_over_the_devices(engines, short_case):
    """What the other tests of this file rest on."""
    assert len(jax.devices()) == DEVICES
    assert engines["jax"].strategy(short_case("logreg").spec, MEMBERS) == "shard members=2,data=1"


@pytest.mark.parametrize("model", some("logreg", "multilayer_transformer"))
def test_sharded_member_is_the_member_alone(model, engines, short_case):
    assert largest_difference(short_case(model), engines["jax"], MEMBERS, "shard") <= MEMBER["shard"]


@pytest.mark.parametrize("model", some("self_attention"))
def test_member_whose_batches_are_parted_is_the_member_alone(model, short_case):
    engine = load_backend("jax", "cpu", (), EngineOptions(mesh=MeshShape(members=1, data=2)))
    assert largest_difference(short_case(model), engine, MEMBERS, "shard") <= MEMBER["shard"]


@pytest.mark.parametrize("model", some("logreg"))
@pytest.mark.parametrize("mesh", [MeshShape(members=2, data=1), MeshShape(members=1, data=2)], ids=str)
def test_every_member_of_a_sharded_grid_is_the_member_alone(model, mesh, catalogue):
    engine = load_backend("jax", "cpu", (), EngineOptions(mesh=mesh))
    check(grid_of(model, catalogue), engine, "shard", MEMBER["shard"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sharded_member_is_the_member_alone_over_100_epochs(model, engines, catalogue, measured):
    found = largest_difference(steady(full_case(model, catalogue, "float64")), engines["jax"], MEMBERS, "shard")
    measured(f"{model}, float64, shard, 100 epochs: {found:.1e}")
    assert found <= MEMBER["shard"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sharded_member_stays_within_the_envelope_over_100_epochs_in_float32(model, engines, catalogue, measured):
    case = full_case(model, catalogue, "float32")
    verdict = judged_by_envelope(case, engines["jax"], MEMBERS, "shard", FULL_STEPS)
    measured(f"{model}, float32, shard: {told(verdict)}")
    assert verdict.difference is None, verdict.difference.sentence()
