"""The simulation decides as the program does, and a small one already shows what the page promises."""

import numpy as np
import pytest

from benchmarks import verdicts
from benchmarks.verdicts import FAMILIES, Truth, draw, shares
from coretx.evaluation.paired_test import MARGIN, compare_recipes, compare_runs, holm, verdict


def word(sign, near):
    return {1: "better", -1: "worse", 0: "equal" if near else "unclear"}[sign] + ", under 2 points" * bool(
        sign and near
    )


@pytest.mark.parametrize("recipe", [False, True])
@pytest.mark.parametrize("family", ["0", "2", "mixed"])
def test_the_simulation_decides_as_the_program_does(family, recipe, monkeypatch):
    """Verdict for verdict, on the very rows that it draws."""
    drawn, compare = [], compare_recipes if recipe else compare_runs
    answers = verdicts.answers
    monkeypatch.setattr(verdicts, "answers", lambda *given: drawn.append(answers(*given)) or drawn[-1])
    truth = Truth(family, 5, 2_000, 0.2, 1)
    found = verdicts.verdicts(draw(truth, 12, np.random.default_rng(1)), truth.rows, recipe)
    for sign, near, right in zip(*found, drawn, strict=True):
        scores = right.astype(float)
        steps = [compare(scores[i + 1], scores[i], np.arange(truth.rows)) for i in range(6)]
        corrected = holm([step.p for step in steps], [step.p_equal for step in steps])
        said = [verdict(step, *map(float, p)) for step, *p in zip(steps, *corrected, strict=True)]
        assert [word(int(s), bool(n)) for s, n in zip(sign, near, strict=True)] == said


def test_answers_have_the_accuracy_that_was_asked_for():
    accuracy = np.linspace(0.2, 0.8, 14).reshape(7, 2).astype(np.float32)
    right = verdicts.answers(accuracy, 100_000, np.random.default_rng(0))
    assert right.mean(axis=2) == pytest.approx(accuracy, abs=0.008)
    assert np.corrcoef(right[:, 0])[0, 1] > 0.2


def test_members_deviate_as_they_are_said_to_about_their_rung():
    each = draw(Truth("mixed", 8, 1_000, 2, 100), 300, np.random.default_rng(0))
    steps = np.array(FAMILIES["mixed"][1]) / 100
    assert each.truth.mean(axis=0) == pytest.approx(steps, abs=0.003)
    assert each.truth.std(axis=0)[5] == pytest.approx(0.02 * (2 / 8) ** 0.5, rel=0.15)
    assert each.truth.std(axis=0)[0] < 0.002


@pytest.mark.parametrize("ratio", [1, 10, 100])
@pytest.mark.parametrize("recipe", [False, True])
def test_at_most_one_family_in_twenty_has_a_wrong_verdict(recipe, ratio):
    """Within three standard errors, in the families where mistakes can be made."""
    for family in ("0", "2", "mixed"):
        truth = Truth(family, 3, 1_000, 10 if recipe else 0, ratio)
        found = shares(truth, draw(truth, 400, np.random.default_rng(2)), recipe)
        assert found.families <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


@pytest.mark.parametrize(("members", "deviation"), [(3, 2), (5, 10)])
def test_fifty_points_are_found(members, deviation):
    """0.95 and more of the steps, within three standard errors of ladders that count once each."""
    truth = Truth("50", members, 1_000, deviation, 1)
    found = shares(truth, draw(truth, 400, np.random.default_rng(3)), recipe=True).found.mean()
    assert found >= 0.95 - 3 * (0.05 * 0.95 / 400) ** 0.5


def test_wrong_is_what_the_page_calls_wrong(monkeypatch):
    """Six steps of 0, 2, -2, 2, -2 and 2 points: better, under 2, equal, better, unclear, worse."""
    truth = Truth("2", 1, 1_000, 0, 1)
    sums = draw(truth, 1, np.random.default_rng(0))
    given = np.array([[1, 1, 0, 1, 0, -1]]), np.array([[False, True, True, False, False, False]])
    monkeypatch.setattr(verdicts, "verdicts", lambda *_: given)
    found = shares(truth, sums, recipe=True)
    assert found.wrong.tolist() == [1, 1, 1, 0, 0, 1]
    assert found.right.tolist() == [0, 0, 0, 1, 0, 0]
    assert abs(FAMILIES["2"][1][1]) / 100 == MARGIN


def test_the_report_goes_between_the_markers_of_a_page(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(verdicts, "MEMBERS", (1, 3))
    page = tmp_path / "page.md"
    page.write_text("before\n<!--simulation-->old<!--/simulation-->\nafter\n")
    assert verdicts.main(["--write", str(page), "--ladders", "2", "1"]) == 0
    text = page.read_text()
    assert text.startswith("before\n<!--simulation-->\n")
    assert text.endswith("<!--/simulation-->\nafter\n")
    assert "| these runs, 100 |" in text
    assert "old" not in text
    page.write_text("no place")
    assert verdicts.main(["--write", str(page), "--ladders", "2", "1"]) == 2
    assert f"got {page} without them" in capsys.readouterr().err
