"""TOST tells equivalent from different, and the table says which."""

import numpy as np
import pytest
from scipy import stats

from coretx.errors import UsageError
from parity_tests.statistics import BEGIN, END, Arguments, Row, main, put, table, tost


def test_tost_is_two_one_sided_t_tests():
    differences = np.random.default_rng(0).normal(0.004, 0.01, 20)
    above = stats.ttest_1samp(differences, -0.02, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, 0.02, alternative="less").pvalue
    assert tost(differences, 0.02) == pytest.approx(max(above, below), rel=1e-12)


@pytest.mark.parametrize(("shift", "spread", "equivalent"), [(0, 0.01, True), (0.02, 0.01, False), (0, 0.3, False)])
def test_tost_can_fail(shift, spread, equivalent):
    """By a shift of the margin, and by a spread that leaves the question open."""
    differences = np.random.default_rng(1).normal(0, spread, 20)
    differences += shift - differences.mean()
    assert (tost(differences, 0.02) < 0.05) == equivalent


def test_tost_without_spread():
    assert tost(np.zeros(5), 0.02) == 0.0
    assert tost(np.full(5, 0.5), 0.02) == 1.0


def test_cells_at_chance_and_saturated_cells_stand_apart():
    means = {"a": (0.51, 0.5), "b": (0.8, 0.81), "c": (0.999, 1.0), "d": (np.nan, 0.8)}
    rows = [Row(name, "t", *(np.full(3, mean) for mean in pair)) for name, pair in means.items()]
    assert [row.kind for row in rows] == ["at chance", "tested", "above 0.99", "diverged"]
    assert table(rows, Arguments()).splitlines()[4].startswith("| b | t | 0.8000 | 0.8100 | -0.0100 |")


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.014, 0.015, 0.02])
def test_interval_lies_inside_the_margin_where_tost_says_equivalent(shift):
    differences = np.random.default_rng(2).normal(0, 0.015, 20)
    row = Row("a", "t", 0.8 + differences - differences.mean() + shift, np.full(20, 0.8))
    low, high = row.interval
    assert row.equivalent == (max(-low, high) < 0.02)


def test_table_goes_between_the_marks(tmp_path):
    page = tmp_path / "parity.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    put("new", page)
    assert page.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(UsageError, match="add them"):
        put("new", page)


def test_command_tests_a_cell_and_keeps_it(tmp_path, capsys, monkeypatch):
    flags = f"--models logreg --tasks sign_of_winner --members 3 --epochs 3 --n-samples 100 --cells {tmp_path}"
    assert main(flags.split()) in (0, 1)
    first = capsys.readouterr().out
    assert first.startswith("| logreg | sign_of_winner | 0.")
    assert len(list(tmp_path.glob("sign_of_winner.logreg.*.json"))) == 2
    monkeypatch.setattr("parity_tests.statistics.accuracies", lambda *_: pytest.fail("trained again"))
    assert main(flags.split()) in (0, 1)
    assert capsys.readouterr().out == first
    monkeypatch.setattr("coretx.records.provenance.code_of", lambda *_: ("other", "code"))
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        main(flags.split())
