"""The suite can fail: each small fault, put into one engine alone, is found, and named where it is."""

import pytest

from parity_tests.ladder import first_difference
from parity_tests.mutants import EQUIVALENT, MUTANTS, Mutant, edited, planted

STEPS = 8
"""So many show every fault: the padded batch is the fifth of each epoch, the rate moves with the sixth."""


def label(mutant: Mutant) -> str:
    return f"{mutant.engine}-{mutant.model}-{mutant.name}".replace(" ", "_")


@pytest.fixture(scope="session")
def twins():
    """What the unmutated engines showed, by model: asserted in every test, computed once."""
    return {}


def check_twin(twins, engines, case):
    """Assert that the engines without the fault show no difference, in the very comparison that is to find it."""
    name = case.spec.name
    if name not in twins:
        twins[name] = first_difference(engines, case, STEPS)
    assert twins[name] is None, twins[name].sentence()


@pytest.mark.parametrize("mutant", MUTANTS, ids=label)
def test_mutant_is_killed(mutant, engines, short_case, twins):
    case = short_case(mutant.model)
    check_twin(twins, engines, case)
    with planted(mutant) as calls:
        found = first_difference(engines, case, STEPS, mutant)
    assert found is not None, f"{mutant.name} in {mutant.engine} was not seen"
    assert (found.quantity, found.step) == mutant.first, found.sentence()
    assert calls.count > 0 or not mutant.edits, "the fault was never traced"


def test_a_mutant_leaves_no_trace(engines, short_case):
    """The warm programs are back once a mutant is gone."""
    mutant, case = (
        next(each for each in MUTANTS if each.engine == "jax" and each.model == "logreg"),
        short_case("logreg"),
    )
    with planted(mutant):
        assert first_difference(engines, case, STEPS, mutant) is not None
    assert first_difference(engines, case, STEPS) is None


@pytest.mark.parametrize("mutant", EQUIVALENT, ids=label)
def test_equivalent_mutant_is_not_seen(mutant, engines, short_case):
    assert mutant.proof
    with planted(mutant) as calls:
        found = first_difference(engines, short_case(mutant.model), STEPS, mutant)
    assert found is None, found.sentence()
    assert calls.count > 0


def test_there_are_enough_mutants():
    assert len(MUTANTS) >= 25
    assert sum(mutant.engine == "jax" for mutant in MUTANTS) >= 10
    assert len({label(mutant) for mutant in MUTANTS}) == len(MUTANTS)


def test_a_warm_program_hides_a_patch(engines, short_case, monkeypatch):
    """Why mutants need fresh programs: the same patch under the warm cache is never traced."""
    case = short_case("mlp")
    assert first_difference(engines, case, 1) is None
    from jaxtx import programs

    fault = edited(programs.train_epoch, "parameters = carry.parameters - ", "parameters = 0 * ")
    monkeypatch.setattr(programs, "train_epoch", fault)
    assert first_difference(engines, case, 1) is None


def test_an_edit_that_no_longer_fits_is_an_error():
    from torchtx import programs

    with pytest.raises(ValueError, match="change the mutant with it"):
        edited(programs.train_epoch, "no such text", "")
