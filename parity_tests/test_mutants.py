"""The suite can fail: each small fault, put into one engine alone, is found, and named where it is."""

import pytest

from parity_tests.cases import ENGINES
from parity_tests.faults import EQUIVALENT, MUTANTS, TRAINING_MUTANTS, mutants_of
from parity_tests.ladder import first_difference, runner_of
from parity_tests.mutants import Mutant, StaleMutant, edited, planted, resolve
from parity_tests.trajectory import compare_runners

STEPS = 8
"""So many show every fault: the padded batch is the fifth of each epoch, the rate moves with the sixth."""


def label(mutant: Mutant) -> str:
    return f"{mutant.engine}-{mutant.model}-{mutant.name}".replace(" ", "_")


def check_twin(engines, case):
    """Assert that the engines without the fault show no difference, in the very comparison that is to find it."""
    found = first_difference(engines, case, STEPS)
    assert found is None, found.sentence()


@pytest.mark.parametrize("mutant", MUTANTS, ids=label)
def test_mutant_is_killed(mutant, engines, short_case):
    case = short_case(mutant.model)
    check_twin(engines, case)
    with planted(mutant) as calls:
        found = first_difference(engines, case, STEPS, mutant)
    assert found is not None, f"{mutant.name} in {mutant.engine} was not seen"
    assert (found.quantity, found.step) == mutant.first, found.sentence()
    assert calls.count > 0 or not mutant.edits, "the fault was never traced"


@pytest.mark.slow
@pytest.mark.parametrize("mutant", TRAINING_MUTANTS, ids=label)
def test_fault_in_training_is_found_in_every_model(mutant, model, engines, short_case):
    """What the certificate of a model counts, a plugin's too; test_mutant_is_killed says where it is seen first."""
    case = short_case(model)
    assert mutant in mutants_of(case.spec, case.open(engines["torch"]).manifest)
    check_twin(engines, case)
    with planted(mutant) as calls:
        assert first_difference(engines, case, STEPS, mutant) is not None
    assert calls.count > 0 or not mutant.edits


SEEN_IN_TRAINING = [mutant for mutant in MUTANTS if mutant.first[0] != "correct"]
"""Right answers are counts, which jump where a logit is all but 0: no trajectory judges them, test_evaluation does."""


@pytest.mark.slow
@pytest.mark.parametrize("mutant", SEEN_IN_TRAINING, ids=label)
def test_trajectory_alone_kills_the_mutant(mutant, engines, short_case, measured):
    """By the envelope, which is all that judges 800 steps: it is not so wide that a fault hides in it."""
    case = short_case(mutant.model)
    with planted(mutant):
        jax, torch = (runner_of(engines[name], case, mutant if mutant.engine == name else None) for name in ENGINES)
        verdict, _ = compare_runners(engines["jax"], jax, torch, STEPS)
    measured(f"{mutant.name} in {mutant.engine}, {mutant.model}: {verdict.largest_share:.1e} of what is allowed")
    assert verdict.largest_share > 10


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


def test_every_mutant_fits_the_source():
    stale = []
    for mutant in (*MUTANTS, *EQUIVALENT):
        for target, old, new in mutant.edits:
            owner, name = resolve(target)
            try:
                edited(getattr(owner, name), old, new)
            except StaleMutant as error:
                stale.append(f"{label(mutant)}: {error}")
    assert stale == []


@pytest.mark.parametrize("old", ["no such text", "loss"], ids=["none", "several"])
@pytest.mark.parametrize("check", [test_mutant_is_killed, test_equivalent_mutant_is_not_seen])
def test_a_mutant_whose_text_is_gone_fails_its_test_and_is_no_kill(check, old, engines, short_case):
    edits = (("torchtx.programs:train_epoch", old, "lost"),)
    stale = Mutant("stale", "torch", "logreg", ("loss", 0), edits, proof="None.")
    with pytest.raises(
        StaleMutant, match=r"must hold '.*' once; it stands there \d+ times: .* change the mutant with it"
    ):
        check(stale, engines, short_case)


def documented(x):
    """Return twice x."""
    return 2 * x  # twice


@pytest.mark.parametrize(("old", "new"), [("# twice", "# thrice"), ("2 * x", "2 * x"), ("2 * x", "(2 * x)")])
def test_an_edit_that_changes_no_code_is_stale(old, new):
    with pytest.raises(StaleMutant, match="must change its code"):
        edited(documented, old, new)


def test_an_edit_changes_the_function():
    assert edited(documented, "2 * x", "3 * x")(2) == 6
