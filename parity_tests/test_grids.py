"""Members of a grid of 3 rates and 2 decays, however they are laid out, are the same members alone, in everything.

Over two devices: `parity_tests/sharded_populations.py`.
"""

from dataclasses import replace

import pytest

from parity_tests.bounds import MEMBER
from parity_tests.cases import Case, short, steady
from parity_tests.conftest import some
from parity_tests.faults import MEMBER_MUTANTS
from parity_tests.grids import Grid, first_member_apart
from parity_tests.mutants import planted
from parity_tests.test_mutants import label


def grid_of(model, catalogue, dtype="float64"):
    """Return a grid at a rate at which one unit in the last place does not grow past the bound.

    Batches of 15: over two devices they do not come out even.
    """
    spec = short(catalogue.models([model])[0])
    spec = replace(spec, optimizer=replace(spec.optimizer, batch_size=15))
    return Grid(steady(Case(spec, catalogue.tasks["sign_of_winner"], dtype, n=40)))


def check(grid, backend, strategy, bound):
    """Assert that every member of the grid is itself, where the members differ."""
    together = grid.together(backend, strategy)
    assert len(set(together["best_epoch"].tolist())) > 1, "all members choose one epoch: nothing to confuse"
    found = first_member_apart(together, grid, backend, bound)
    assert found is None, f"member {found.step}: {found.quantity} differs by {found.error:.1e}"


@pytest.mark.parametrize("model", some("self_attention"))
@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_every_member_of_a_grid_is_the_member_alone(model, strategy, engines, catalogue):
    check(grid_of(model, catalogue), engines["jax"], strategy, MEMBER[strategy])


@pytest.mark.parametrize("model", some("logreg"))
def test_every_member_of_a_grid_in_torch_is_the_member_alone_bit_for_bit(model, engines, catalogue):
    check(grid_of(model, catalogue, "float32"), engines["torch"], None, 0.0)


@pytest.mark.parametrize(
    ("strategy", "mutant"),
    [
        pytest.param(
            strategy, mutant, marks=[pytest.mark.slow] * (mutant.engine == "jax" and place > 0), id=label(mutant)
        )
        for strategy, mutants in MEMBER_MUTANTS.items()
        for place, mutant in enumerate(mutants)
    ],
)
def test_fault_among_members_is_found(strategy, mutant, engines, catalogue):
    grid, backend = grid_of(mutant.model, catalogue), engines[mutant.engine]
    with planted(mutant) as calls:
        together = grid.together(backend, strategy)
    found = first_member_apart(together, grid, backend, MEMBER["vmap"])
    assert calls.count > 0
    assert found is not None
    assert (found.quantity, found.step) == mutant.first
