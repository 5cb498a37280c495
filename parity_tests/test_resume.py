"""Begun in one engine, gone on with in the other, through a file: the same as all of it in either."""

import pytest
from safetensors.numpy import load_file, save_file

from coretx.training.loop import train_chunk
from parity_tests.bounds import RESUME
from parity_tests.cases import ENGINES, Case, lasting, steady, train_steps
from parity_tests.differences import first_gap, largest_gap

BEGUN = 7
"""Steps before the change: in the second epoch, between two rates."""


def in_one_engine(case, backend):
    """Return the state after every step."""
    access = case.open(backend)
    train_steps(access, case, case.steps())
    return access.state()


@pytest.mark.parametrize("begin", ENGINES)
def test_a_run_goes_on_in_the_other_engine(model, begin, engines, short_case, tmp_path):
    case = short_case(model)
    go_on = next(name for name in ENGINES if name != begin)
    first = case.open(engines[begin])
    train_steps(first, case, case.steps().part(slice(0, BEGUN)))
    save_file(first.state(), tmp_path / "state.safetensors")

    second = engines[go_on].open(case.spec, case.shape, 1, case.dtype)
    second.load_state(load_file(tmp_path / "state.safetensors"))
    done = int(second.state()["step"][0])
    assert done == BEGUN
    train_steps(second, case, case.steps().part(slice(done, None)))

    resumed = {name: v for name, v in second.state().items() if not name.endswith("attention.key.bias")}
    for engine in ENGINES:
        whole = in_one_engine(case, engines[engine])
        whole = {name: whole[name] for name in resumed}
        found = first_gap(whole, resumed, RESUME, order=resumed)
        assert found is None, f"{begin} then {go_on}, against all in {engine}: {found.sentence()}"


def test_a_state_survives_the_other_engine_bit_for_bit(model, engines, short_case):
    """jax -> torch -> jax with no step between: moments, counts and the best epoch so far as well."""
    case = short_case(model, dtype="float32")
    there, back = case.open(engines["torch"]), case.open(engines["jax"])
    train_steps(there, case, case.steps().part(slice(0, 3)))
    before = there.state()
    back.load_state(before)
    there.load_state(back.state())
    after = there.state()
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() and before[name].dtype == after[name].dtype for name in before)


@pytest.fixture(scope="session")
def whole_runs():
    """Return what a whole training left, by model and engine: one serves both directions."""
    return {}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("begin", ENGINES)
def test_a_whole_training_goes_on_in_the_other_engine(model, begin, engines, catalogue, whole_runs, tmp_path, measured):
    """100 epochs through production's chunks, handed over after 37; a tenth of the rate where one ulp would grow."""
    spec = lasting(catalogue.models([model])[0], 800, 1000)
    case = steady(Case(spec, catalogue.tasks["sign_of_winner"], "float64", 1000))
    go_on = next(name for name in ENGINES if name != begin)
    first = case.open(engines[begin])
    train_chunk(first, case.population(), case.data, {}, range(37))
    save_file(first.state(), tmp_path / "state.safetensors")

    second = engines[go_on].open(case.spec, case.shape, 1, case.dtype)
    second.load_state(load_file(tmp_path / "state.safetensors"))
    done = int(second.state()["epoch"][0])
    assert done == 37
    train_chunk(second, case.population(), case.data, {}, range(done, case.spec.optimizer.epochs))

    resumed = {name: v for name, v in second.state().items() if not name.endswith("attention.key.bias")}
    assert resumed["step"].tolist() == [800]
    for engine in ENGINES:
        if (model, engine) not in whole_runs:
            access = case.open(engines[engine])
            train_chunk(access, case.population(), case.data, {}, range(case.spec.optimizer.epochs))
            whole_runs[model, engine] = access.state()
        whole = {name: whole_runs[model, engine][name] for name in resumed}
        measured(f"{model}, {begin} then {go_on}, against all in {engine}: {largest_gap(whole, resumed):.1e}")
        found = first_gap(whole, resumed, RESUME, order=resumed)
        assert found is None, f"{begin} then {go_on}, against all in {engine}: {found.sentence()}"
