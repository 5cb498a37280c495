import dataclasses

import numpy as np
import pytest

from coretx.compare import main
from coretx.errors import UsageError
from coretx.evaluation.paired_test import compare_recipes, compare_runs
from coretx.evaluation.scores import Predictions
from coretx.records.store import save_result
from coretx.reports.pages.comparison_page import compare_cells, render_comparison

PLUGIN = """
import numpy as np
from coretx import Task

class SumIsPositive(Task):
    name, sequence_length, feature_dim = "sum_is_positive", 2, 1
    def generate_candidates(self, n, rng):
        return rng.integers(-9, 10, (n, 2, 1)).astype(np.float32)
    def label(self, x):
        return (x.sum(axis=(1, 2)) > 0).astype(np.float32)

TASKS = [SumIsPositive()]
"""


@pytest.fixture
def answered(make_result, task):
    """A function that makes a cell whose members get this share of 200 test rows right, the first ones."""

    def make(share, **changes):
        x = task.generate_candidates(200, np.random.default_rng(5))
        y = task.label(x)
        right = np.arange(200) < 200 * share
        members = changes.get("members", 3)
        logits = np.tile(np.where(right, 2 * y - 1, 1 - 2 * y), (members, 1)).astype(np.float32)
        part = Predictions(x, y, logits)
        return make_result(predictions={"train": part, "test": part}, **changes)

    return make


@pytest.fixture
def tasks(task):
    return {task.name: task}


def page(found, first, second, names=("A", "B"), link=lambda result: None):
    order = {"titles": {}, "task_order": [], "model_order": []}
    return render_comparison(found, names, ([first], [second]), links=(link, link), **order)


def test_both_questions_are_asked_of_the_second_less_the_first(answered, tasks, task):
    first, second = answered(0.6, epochs=50), answered(0.9, epochs=60)
    (pair,) = compare_cells([first], [second], tasks).pairs
    part = first.predictions["test"]
    _, problem = np.unique(task.canonical_key(part.x), return_inverse=True)
    right = [((r.predictions["test"].logits > 0) == (part.y > 0.5)).astype(float) for r in (first, second)]
    assert pair.runs == compare_runs(right[1], right[0], problem)
    assert pair.recipe == compare_recipes(right[1], right[0], problem)
    assert pair.runs.difference == pytest.approx(0.3)


@pytest.mark.parametrize(("members", "recipe"), [(1, "needs 3 members"), (2, "needs 3 members"), (3, "better +")])
def test_the_page_gives_both_verdicts_and_says_that_they_are_exploratory(answered, tasks, parse, members, recipe):
    first, second = answered(0.6, epochs=50, members=members), answered(0.9, epochs=60, members=members)
    text = parse(page(compare_cells([first], [second], tasks), first, second)).text
    assert "Accuracy on test of 1 cell compared, the second against the first. These runs: better in 1." in text
    assert "these runs better +" in text
    assert f"this recipe {recipe}" in text
    assert f"exploratory, {members} member" in text
    assert "none is corrected for the number of pairs" in text


def test_populations_of_unequal_size_are_compared_by_their_first_members(answered, tasks):
    (pair,) = compare_cells([answered(0.6, members=2)], [answered(0.9, members=5)], tasks).pairs
    assert (pair.members, pair.recipe) == (2, None)
    assert pair.runs.difference == pytest.approx(0.3)


def test_other_test_rows_are_not_compared(answered, make_result, tasks):
    (pair,) = compare_cells([answered(0.6)], [make_result(epochs=60)], tasks).pairs
    assert (pair.runs, pair.recipe, pair.why_not) == (None, None, "other test rows")


def test_a_diverged_cell_is_named_and_not_compared(answered, diverged, tasks, parse):
    first = answered(0.6, epochs=60)
    found = compare_cells([first], [diverged], tasks)
    assert found.pairs[0].why_not == "no scores in the second"
    assert "diverged \N{EN DASH} not compared no scores in the second" in parse(page(found, first, diverged)).text


def test_two_engines_are_compared_and_what_else_differs_is_listed(answered, tasks):
    found = compare_cells([answered(0.6)], [answered(0.9, backend="torch", epochs=60)], tasks)
    assert found.compared == 1
    assert found.differing == {"backend": [("jax", "torch")], "epochs": [("50", "60")]}


def test_of_several_engines_each_is_compared_with_itself(answered, tasks):
    run = [answered(0.6, backend=backend) for backend in ("jax", "torch")]
    found = compare_cells(run, [answered(0.9, epochs=60)], tasks)
    assert [pair.first.config.backend for pair in found.pairs] == ["jax"]
    assert [config.backend for config in found.only_first] == ["torch"]


def test_of_several_cells_of_one_setting_the_newest_counts(answered, tasks):
    old, new = answered(0.6, epochs=50), answered(0.7, epochs=70)
    new = dataclasses.replace(new, provenance=dataclasses.replace(new.provenance, date="2026-04-01T12:00:00Z"))
    found = compare_cells([new, old], [answered(0.9, epochs=60)], tasks)
    assert found.pairs[0].first is new
    assert found.older == 1


def test_runs_with_nothing_in_common_are_refused(answered, tasks):
    with pytest.raises(UsageError, match=r"must have a cell in common.* 1 cells \(sum_is_positive; jax; original"):
        compare_cells([answered(0.6, seed=0)], [answered(0.6, seed=1)], tasks)


def test_an_unknown_task_is_refused(answered):
    with pytest.raises(UsageError, match=r"task sum_is_positive is not known here.*--plugin"):
        compare_cells([answered(0.6)], [answered(0.7, epochs=60)], {})


@pytest.fixture
def folders(answered, publish_cell, tmp_path):
    """Two output folders of one cell each, and the plugin with their task."""
    for name, result in (("a", answered(0.6)), ("b", answered(0.9, backend="torch", epochs=60, commit="fedcba9876"))):
        save_result(result, tmp_path / name)
        save_result(result, tmp_path / "both")
        publish_cell(result, out=tmp_path / name)
    (tmp_path / "plugin.py").write_text(PLUGIN)
    return tmp_path


@pytest.mark.parametrize(
    ("names", "out"), [(("a", "b"), "."), (("jax", "torch"), "both"), (("0123456", "fedcba"), "both")]
)
def test_folders_engines_and_commits_are_compared(folders, monkeypatch, capsys, parse, names, out):
    monkeypatch.chdir(folders)
    assert main([*names, "--out", out, "--plugin", "plugin.py", "--page", "pages/found.html"]) == 0
    assert capsys.readouterr().out == "wrote pages/found.html\n"
    html = (folders / "pages" / "found.html").read_text()
    assert "+30.0" in html
    assert "This recipe: better in 1." in parse(html).text
    links = {link["href"] for link in parse(html).all("a")}
    wanted = {"../a/artifacts/sum_is_positive/mlp.html", "../b/artifacts/sum_is_positive/mlp.torch.html"}
    assert links == (wanted if out == "." else set())


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("a", "a"), "are the same cells"),
        (("a", "nothing/here"), "must each be an output folder, an engine (jax, torch) or a commit"),
        (("a", "torch"), "no results below a of engine torch; there are jax"),
        (("a", "abcdef"), "no results below a of commit abcdef; there are 0123456789abcdef"),
        (("a", "empty"), "no results below empty"),
        (("a", "b", "--page", "found.txt"), "--page must name a file that ends in .html"),
    ],
)
def test_what_cannot_be_compared_ends_with_2_and_writes_nothing(folders, monkeypatch, capsys, names, said):
    monkeypatch.chdir(folders)
    (folders / "empty").mkdir()
    before = sorted(folders.rglob("*"))
    assert main([*names, "--out", "a", "--plugin", "plugin.py"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1
    assert sorted(folders.rglob("*")) == before


def test_a_missing_argument_ends_with_2(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["a"])
