"""Sides of a task's space: fixed for ever, in the promised shares, one for each problem."""

import numpy as np
import pytest

from coretx.tasks import base
from coretx.tasks.arithmetic import ARITHMETIC
from coretx.tasks.registry import TASKS

LISTED = [name for name, task in TASKS.items() if task.problems() is not None]


def test_arithmetic_and_token_tasks_list_their_problems():
    sums = ["single_digit_sum", "single_digit_sum_swapped", "two_digit_sum", "multi_digit_sum"]
    assert ["has_all_tokens", *sums] == LISTED


@pytest.mark.parametrize("name", LISTED)
def test_every_stratum_is_cut_at_60_and_80_percent(name):
    keys, strata = TASKS[name].problems()
    assert len(set(keys.tolist())) == len(keys)
    placed = base.side_by_rank(name, keys, strata)
    for stratum in np.unique(strata):
        members = placed[strata == stratum]
        found = np.cumsum(np.bincount(members, minlength=3))
        assert np.abs(found - np.array([0.6, 0.8, 1.0]) * len(members)).max() <= 0.5


@pytest.mark.parametrize("name", LISTED)
def test_every_candidate_has_a_side(name):
    task = TASKS[name]
    x = task.generate_candidates(2000, np.random.default_rng(0))
    assert set(task.side(x[task.splittable(x)])) == {0, 1, 2}
    assert set(task.side(x[~task.splittable(x)])) <= {-1}


def test_one_row_in_four_of_two_operands_is_on_a_side_and_every_row_of_other_tasks(task):
    """Of true and false equations alike, also of equations with equal numbers on a side."""
    n = 40_000
    x = task.generate_candidates(n, np.random.default_rng(0))
    on_side, y = task.splittable(x), task.label(x)
    if task.name != "multi_digit_sum":
        assert on_side.all()
        return
    assert on_side.tolist() == (task.side(x) >= 0).tolist()
    operands, _ = task.parse(x.argmax(axis=2))
    equal = {"all": y >= 0, "last two": operands[:, 2] == operands[:, 3], "first two": operands[:, 0] == operands[:, 1]}
    for rows in (mask & (y == label) for mask in equal.values() for label in (0, 1)):
        assert abs(on_side[rows].mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / rows.sum())


def test_two_operands_are_drawn_quickly_as_they_are_slowly():
    task = TASKS["multi_digit_sum"].with_negatives("balanced")
    x = task.generate_candidates(1250, np.random.default_rng(0))
    quick = task.generate_splittable(1000, np.random.default_rng(0))
    np.testing.assert_array_equal(quick, x[task.splittable(x)])


@pytest.mark.parametrize("length", [11, 15])
def test_every_way_to_write_an_equation_has_one_owner_and_one_key(length):
    """True or false: of the eight ways, the two that end with the owner are on a side."""
    task = TASKS["multi_digit_sum"].at_length(length)
    operands = np.random.default_rng(0).integers(task.modulus, size=(500, 4))
    operands[:200] = task.in_range(np.random.default_rng(1).integers(task.modulus, size=(800, 4)))[:200]
    operands = operands[[len(set(row)) == 4 for row in operands.tolist()]]
    ways = [[0, 1, 2, 3], [1, 0, 2, 3], [0, 1, 3, 2], [1, 0, 3, 2]]
    ways += [way[2:] + way[:2] for way in ways]
    x = [ARITHMETIC.encode(task.tokens(operands[:, way])) for way in ways]
    keys = np.array([task.canonical_key(rows) for rows in x])
    assert (keys == keys[0]).all()
    on_side = np.array([task.splittable(rows) for rows in x])
    assert (on_side.sum(axis=0) == 2).all()
    last = np.array([operands[:, way[-1]] for way in ways])
    assert (np.where(on_side, last, -1).max(axis=0) == np.where(on_side, last, task.modulus).min(axis=0)).all()


def test_true_equation_and_its_twins_on_a_side_have_one_key():
    task = TASKS["multi_digit_sum"]
    true = task.all_problems()[::997]
    x = ARITHMETIC.encode(task.tokens(true))
    for shift in (1, 17, 50, 99):
        twins = ARITHMETIC.encode(task.tokens((true + np.array([0, 0, 0, shift])) % 100))
        on_side, same = task.splittable(twins), task.canonical_key(twins) == task.canonical_key(x)
        assert 0.2 < on_side.mean() < 0.3
        assert same[on_side].all()
        assert not same[~on_side].all()


def test_side_does_not_depend_on_the_other_rows(task):
    x = task.generate_candidates(200, np.random.default_rng(0))
    assert task.side(x)[50:60].tolist() == task.side(x[50:60]).tolist()


def test_side_does_not_depend_on_the_rule_for_negatives(task):
    x = task.generate_candidates(200, np.random.default_rng(0))
    placed = [task.with_negatives(rule).side(x).tolist() for rule in ("balanced", "original")]
    assert placed[0] == placed[1] == task.side(x).tolist()


def test_hash_of_a_key_stays():
    """BLAKE2b of the key's text under the task's name: the same on every machine, in every version."""
    assert base.hash_keys("t", np.array([5])).tolist() == [5909648440945085248]


def test_side_of_known_problems_stays(one_hot):
    assert TASKS["single_digit_sum"].side(one_hot("2+3=5", "1+1=2", "0+3=3")).tolist() == [0, 1, 2]


def test_tasks_have_orders_of_their_own():
    keys = np.arange(100)
    assert base.side_by_hash("a", keys).tolist() != base.side_by_hash("b", keys).tolist()


def test_threshold_gives_the_promised_shares():
    n = 20_000
    found = np.bincount(base.side_by_hash("t", np.arange(n))) / n
    assert found == pytest.approx([0.6, 0.2, 0.2], abs=0.01)


def test_text_and_bytes_can_be_keys():
    for keys in (np.array(["a", "b", "a"]), np.array([b"a", b"b", b"a"]), np.array([0.5, 1.5, 0.5])):
        hashes = base.hash_keys("t", keys)
        assert hashes[0] == hashes[2] != hashes[1]


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("single_digit_sum", ["2+3=5", "3+2=5", "2+3=7", "3+2=1"]),
        ("single_digit_sum_swapped", ["2+3=5", "5=2+3", "5=3+2", "9=3+2", "2+3=0"]),
        ("two_digit_sum", ["12+05=17", "05+12=17", "12+05=71"]),
        ("multi_digit_sum", ["12+34=20+26", "34+12=26+20", "20+26=12+34"]),
        ("multi_digit_sum", ["84+50=47+97", "97+47=50+84", "50+84=97+47"]),
    ],
)
def test_commuted_and_corrupted_equations_are_one_problem(name, same, one_hot):
    assert len(set(TASKS[name].canonical_key(one_hot(*same)).tolist())) == 1


@pytest.mark.parametrize(
    ("name", "different"),
    [
        ("single_digit_sum", ["2+3=5", "1+4=5", "2+3+5", "=2+3="]),
        ("two_digit_sum", ["12+05=17", "12+04=16", "11+06=17", "12=05+17"]),
        ("multi_digit_sum", ["12+34=20+26", "12+34=21+25", "13+33=20+26", "12+34+20=26"]),
    ],
)
def test_other_equations_are_other_problems(name, different, one_hot):
    assert len(set(TASKS[name].canonical_key(one_hot(*different)).tolist())) == len(different)


@pytest.mark.parametrize("name", ["two_digit_sum", "multi_digit_sum"])
def test_stratum_belongs_to_the_problem(name):
    task = TASKS[name]
    x = task.generate_candidates(5000, np.random.default_rng(0))
    x = x[task.splittable(x)]
    keys, strata = task.canonical_key(x), task.stratum(x)
    of_problem = dict(zip(*task.problems(), strict=True))
    assert [of_problem[key] for key in keys] == strata.tolist()


def test_stratum_counts_digits_without_leading_zeros(one_hot):
    assert TASKS["two_digit_sum"].stratum(one_hot("05+12=99")).tolist() == [5]
