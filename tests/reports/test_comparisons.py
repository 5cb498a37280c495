"""From stored cells to comparisons.csv, and from there to the marks and gains of the dashboard."""

import dataclasses

import numpy as np
import pytest

from coretx.comparisons import LEVEL, paired_test
from coretx.reports.comparisons_csv import read_comparisons
from coretx.reports.dashboard import render_dashboard
from coretx.reports.publish import publish_comparisons, publish_dashboard, publish_model
from coretx.store import cell_path, save_result

MODELS = ("logreg", "mlp", "temporal")
COLUMNS = (
    "task,backend,protocol,negatives,recipe,n_samples,seed,members,model,against,id,against_id,difference,low,high,p,"
    "p_holm,comparisons,problems,verdict"
)


@pytest.fixture
def publish(make_result, task, tmp_path):
    """A function that stores and publishes a cell with noisy answers on the same rows as every other one."""

    def cell(model, noise, **changes):
        result = make_result(model=model, noise=noise, **changes)
        save_result(result, tmp_path)
        publish_model(result, task, "claim", tmp_path)
        return result

    return cell


@pytest.fixture
def compare(task, tmp_path):
    """A function that compares all that is published and returns the rows and the lines that were said."""

    def run(*ids):
        said = publish_comparisons(tmp_path, task, MODELS, ids)
        return read_comparisons(tmp_path / "benchmarks" / "comparisons.csv"), said

    return run


def render(rows, compared, models=MODELS):
    return render_dashboard(
        rows, [], [], compared, task_titles={}, task_order=[], model_order=models, has_page=lambda row: False
    )


def test_every_two_models_of_a_task_are_compared_on_test(publish, compare, task, tmp_path):
    found = {model: publish(model, noise) for model, noise in (("temporal", 9.0), ("mlp", 0.0), ("logreg", 9.0))}
    rows, said = compare()
    assert [(row.against, row.model) for row in rows] == [
        ("logreg", "mlp"),
        ("logreg", "temporal"),
        ("mlp", "temporal"),
    ]
    assert said == []
    for row in rows:
        model, against = found[row.model], found[row.against]
        assert (row.id, row.against_id) == (model.config.id, against.config.id)
        test = model.predictions["test"]
        right = [(cell.predictions["test"].logits > 0) == (test.y == 1) for cell in (model, against)]
        problem = np.unique(task.canonical_key(test.x), return_inverse=True)[1]
        assert row.p == pytest.approx(paired_test(*right, problem).p, abs=1e-6)
        assert row.difference == pytest.approx((right[0].mean() - right[1].mean()), abs=1e-6)
        assert (row.comparisons, row.members, row.problems) == (3, 3, problem.max() + 1)
        assert row.verdict == ("differs" if row.p_holm < LEVEL else "not told apart")
    assert [row.verdict for row in rows] == ["differs", "not told apart", "differs"]
    assert (tmp_path / "benchmarks" / "comparisons.csv").read_text().splitlines()[0] == COLUMNS


def test_comparing_again_changes_nothing(publish, compare, tmp_path):
    publish("logreg", 9.0), publish("mlp", 0.0)
    compare()
    before = (tmp_path / "benchmarks" / "comparisons.csv").read_bytes()
    compare()
    assert (tmp_path / "benchmarks" / "comparisons.csv").read_bytes() == before


def test_a_model_more_corrects_the_others_too(publish, compare):
    publish("logreg", 9.0), publish("mlp", 7.0)
    (alone,), _ = compare()
    publish("temporal", 8.0)
    rows, _ = compare()
    assert (rows[0].id, rows[0].against_id, rows[0].comparisons) == (alone.id, alone.against_id, 3)
    assert rows[0].p == alone.p
    assert rows[0].p_holm >= alone.p_holm


def test_configurations_are_compared_apart(publish, compare):
    publish("logreg", 9.0), publish("mlp", 0.0), publish("logreg", 9.0, seed=3), publish("mlp", 0.0, backend="torch")
    rows, _ = compare()
    assert [(row.backend, row.seed, row.comparisons) for row in rows] == [("jax", 0, 1)]


def test_only_the_configurations_of_the_cells_named_are_compared(publish, compare):
    first, _ = publish("logreg", 9.0), publish("mlp", 0.0)
    publish("logreg", 9.0, seed=3), publish("mlp", 0.0, seed=3)
    assert {row.seed for row in compare(first.config.id)[0]} == {0}
    assert {row.seed for row in compare()[0]} == {0, 3}


def test_cell_on_other_rows_is_left_out_and_named(publish, compare, make_result):
    parts = make_result().predictions
    other = {split: dataclasses.replace(part, x=part.x[::-1].copy()) for split, part in parts.items()}
    publish("logreg", 9.0), publish("mlp", 0.0), publish("temporal", 9.0, predictions=other)
    rows, said = compare()
    assert [(row.against, row.model) for row in rows] == [("logreg", "mlp")]
    assert said == ["sum_is_positive: temporal is not compared, its test rows are not those of the others"]


def test_cells_that_are_gone_keep_the_rows_they_have(publish, compare, tmp_path):
    publish("logreg", 9.0)
    gone = publish("mlp", 0.0)
    before, _ = compare()
    cell_path(tmp_path, gone.config).unlink()
    assert compare()[0] == before


def test_diverged_cell_and_single_model_are_not_compared(publish, compare, diverged, task, tmp_path):
    save_result(diverged, tmp_path)
    publish_model(diverged, task, "claim", tmp_path)
    publish("logreg", 9.0)
    assert compare() == ([], [])
    assert not (tmp_path / "benchmarks" / "comparisons.csv").exists()


def test_dashboard_shows_the_verdicts(publish, compare, parse, tmp_path):
    publish("logreg", 9.0), publish("mlp", 0.0)
    compare()
    page = publish_dashboard(tmp_path, task_titles={}, task_order=[], model_order=MODELS).read_text()
    assert "differs" in parse(page).text.split("What each rung added")[1]


def test_best_is_marked_and_so_are_those_tied_with_it(make_row, make_comparison, parse):
    rows = [make_row(id=name, model=model, accuracy=accuracy) for name, model, accuracy in (
        ("a", "logreg", 0.6), ("b", "mlp", 0.9), ("c", "temporal", 0.88)
    )]  # fmt: skip
    compared = [
        make_comparison(id="b", against_id="a"),
        make_comparison(id="c", against_id="a", model="temporal"),
        make_comparison(id="c", against_id="b", model="temporal", against="mlp", verdict="not told apart"),
    ]
    text = parse(render(rows, compared)).text
    assert "logreg 60.0% loss" in text
    assert "mlp 90.0% best loss" in text
    assert "temporal 88.0% tied loss" in text
    assert "those tied with it" in text


def test_nothing_is_marked_where_nothing_was_compared(make_row, parse):
    rows = [make_row(id="a", model="logreg", accuracy=0.6), make_row(id="b")]
    text = parse(render(rows, [])).text
    assert "best" not in text
    assert "What each rung added" not in text


def test_comparison_of_other_cells_does_not_count(make_row, make_comparison, parse):
    rows = [make_row(id="new", model="logreg", accuracy=0.6), make_row(id="b")]
    assert "What each rung added" not in parse(render(rows, [make_comparison()])).text


def test_gain_of_a_rung_stands_with_interval_and_verdict(make_row, make_comparison, parse):
    rows = [make_row(id="a", model="logreg", members=5), make_row(id="b", model="mlp", members=5)]
    text = parse(render(rows, [make_comparison()])).text
    assert "mlp over logreg +10.0 +5.0 to +15.0 differs" in text
    assert "for other members on other rows" in text
    tied = make_comparison(difference=-0.01, low=-0.05, high=0.03, verdict="not told apart")
    text = parse(render([dataclasses.replace(row, members=1) for row in rows], [tied])).text
    assert "mlp over logreg \N{MINUS SIGN}1.0 \N{MINUS SIGN}5.0 to +3.0 not told apart" in text
    assert "one run each, so this is about these runs" in text
