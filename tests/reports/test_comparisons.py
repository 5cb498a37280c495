"""From stored cells to comparisons.csv, and from there to the marks and gains of the dashboard."""

import dataclasses

import numpy as np
import pytest

from coretx.evaluation.paired_test import compare_recipes, compare_runs, holm
from coretx.records.store import cell_path, save_result
from coretx.reports.pages.dashboard import render_dashboard
from coretx.reports.publish import publish_comparisons, publish_dashboard, publish_rows
from coretx.reports.tables.comparisons import COMPARISONS
from coretx.reports.tables.draws import SplitRow
from coretx.reports.tables.files import Tables

MODELS = ("logreg", "mlp", "temporal")
COLUMNS = (
    "task,backend,protocol,negatives,recipe,n_samples,seed,members,model,against,id,against_id,difference,"
    "runs_low,runs_high,runs_p,runs_p_holm,runs_p_equal,runs_verdict,"
    "recipe_low,recipe_high,recipe_p,recipe_p_holm,recipe_p_equal,recipe_verdict,family,exploratory,problems"
)
STEPS = [("mlp", "logreg"), ("temporal", "mlp")]


@pytest.fixture
def publish(make_result, publish_cell, tmp_path):
    """A function that stores and publishes a cell with noisy answers on the same rows as every other one."""

    def cell(model, noise, **changes):
        result = make_result(model=model, noise=noise, **changes)
        save_result(result, tmp_path)
        publish_cell(result)
        return result

    return cell


@pytest.fixture
def compare(task, tmp_path):
    """A function that compares all that is published and returns the rows and the lines that were said."""

    def run(*ids):
        tables = Tables(tmp_path)
        said = publish_comparisons(tables, task, [*MODELS, "mine"], ids)
        tables.flush()
        return COMPARISONS.read(tmp_path / "benchmarks" / "comparisons.csv"), said

    return run


def render(rows, compared, splits=()):
    order = {"task_titles": {}, "task_order": [], "model_order": MODELS}
    return render_dashboard(rows, [], splits, compared, **order, has_page=lambda row: False)


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
        right = [((cell.predictions["test"].logits > 0) == (test.y == 1)).astype(float) for cell in (model, against)]
        problem = np.unique(task.canonical_key(test.x), return_inverse=True)[1]
        assert row.difference == pytest.approx((right[0].mean() - right[1].mean()), abs=1e-6)
        assert (row.members, row.problems) == (3, problem.max() + 1)
        for question, compare in (("runs", compare_runs), ("recipe", compare_recipes)):
            found_now, answer = compare(*right, problem), row.answer(question)
            assert (answer.low, answer.high) == pytest.approx((found_now.low, found_now.high), abs=1e-6)
            assert answer.p == pytest.approx(found_now.p, abs=1e-6)
    assert [row.runs_verdict for row in rows] == ["better", "equal", "worse"]
    assert [row.recipe_verdict for row in rows] == ["better", "equal", "worse"]
    assert (tmp_path / "benchmarks" / "comparisons.csv").read_text().splitlines()[0] == COLUMNS


def test_steps_of_the_ladder_are_a_family_whose_missing_ones_count(publish, compare):
    """Of six steps two were run: the other four have p = 1. The pair that is no step is not corrected.

    The p-values of the table are exact, so anyone can correct them again.
    """
    publish("logreg", 9.0), publish("mlp", 7.0), publish("temporal", 8.0)
    rows = {(row.model, row.against): row for row in compare()[0]}
    assert {pair: (row.family, row.exploratory) for pair, row in rows.items()} == {
        STEPS[0]: (6, 0), STEPS[1]: (6, 0), ("temporal", "logreg"): (1, 1),
    }  # fmt: skip
    for question in ("runs", "recipe"):
        steps = [rows[step].answer(question) for step in STEPS]
        p = holm([*(answer.p for answer in steps), *[1.0] * 4], [1.0] * 6)[0]
        assert [answer.p_holm for answer in steps] == p[:2].tolist()
        alone = rows["temporal", "logreg"].answer(question)
        assert alone.p_holm == alone.p


def test_a_pair_that_was_run_beside_does_not_change_a_step(publish, compare):
    publish("logreg", 9.0), publish("mlp", 7.0)
    (alone,), _ = compare()
    publish("self_attention", 8.0)
    assert compare()[0][0] == alone


@pytest.mark.parametrize("members", [1, 2])
def test_below_three_members_these_runs_alone_are_judged(publish, compare, members):
    """The fault that this mends: two members said less than one."""
    publish("logreg", 9.0, members=members), publish("mlp", 0.0, members=members)
    (row,), _ = compare()
    assert row.runs_verdict == "better"
    assert vars(row.answer("recipe")) == dict.fromkeys(("low", "high", "p", "p_holm", "p_equal")) | {
        "verdict": "needs 3 members"
    }


def test_a_plugin_is_no_rung_and_its_pairs_are_exploratory(publish, compare):
    publish("temporal", 9.0), publish("mine", 0.0)
    ((row,), _) = compare()
    assert (row.model, row.exploratory, row.runs_p_holm) == ("mine", 1, row.runs_p)


def test_configurations_are_compared_apart_and_if_asked_those_of_named_cells_alone(publish, compare):
    first, _ = publish("logreg", 9.0), publish("mlp", 0.0)
    publish("logreg", 9.0, seed=3), publish("mlp", 0.0, seed=3), publish("temporal", 0.0, backend="torch")
    assert [(row.backend, row.seed) for row in compare(first.config.id)[0]] == [("jax", 0)]
    assert [(row.backend, row.seed) for row in compare()[0]] == [("jax", 0), ("jax", 3)]


def test_cell_on_other_rows_is_left_out_and_named(publish, compare, make_result):
    parts = make_result().predictions
    other = {split: dataclasses.replace(part, x=part.x[::-1].copy()) for split, part in parts.items()}
    publish("logreg", 9.0), publish("mlp", 0.0), publish("temporal", 9.0, predictions=other)
    rows, said = compare()
    assert [(row.against, row.model) for row in rows] == [("logreg", "mlp")]
    assert said == ["sum_is_positive: temporal is not compared, its test rows are not those of the others"]


def test_comparing_again_changes_nothing_and_cells_that_are_gone_keep_their_rows(publish, compare, tmp_path):
    publish("logreg", 9.0)
    gone = publish("mlp", 0.0)
    before, _ = compare()
    assert compare()[0] == before
    cell_path(tmp_path, gone.config).unlink()
    assert compare()[0] == before


def test_diverged_cell_and_single_model_are_not_compared(publish, publish_cell, compare, diverged, tmp_path):
    save_result(diverged, tmp_path)
    publish_cell(diverged)
    publish("logreg", 9.0)
    assert compare() == ([], [])
    assert not (tmp_path / "benchmarks" / "comparisons.csv").exists()


def test_dashboard_shows_the_verdicts(publish, compare, parse, tmp_path):
    publish("logreg", 9.0), publish("mlp", 0.0)
    compare()
    page = publish_dashboard(Tables(tmp_path), task_titles={}, task_order=[], model_order=MODELS).read_text()
    text = parse(page).text.split("What each rung added")[1]
    assert "these runs better +" in text
    assert "this recipe better +" in text


def test_a_score_below_chance_says_so_and_why_where_the_sides_are_used_up(make_row, parse):
    below = {"accuracy": 0.365, "accuracy_low": 0.36, "accuracy_high": 0.37, "accuracy_rows_high": 0.47, "members": 5}
    splits = [SplitRow("sum_is_positive", "disjoint", "natural", 0, 1000, "test", 48, 48, 48, 48, 48, 48, 96, 1)]

    def shown(trained=288, **changes):
        rows = [make_row(**below | {"protocol": "disjoint", "rows": 96} | changes)]
        rows.append(make_row(split="train", protocol="disjoint", rows=trained, members=5))
        html = render(rows, [], splits)
        marks = [mark["title"] for mark in parse(html).all("small") if mark.get("class") == "mark"]
        return marks[0] if marks else ""

    assert "disjoint parts of a small space" in shown()
    assert shown(trained=1000) == "its interval ends below 50.0%"
    assert shown(accuracy_rows_high=0.51) == ""


def test_gains_are_shown_of_compared_cells_alone(make_row, make_comparison, parse):
    """`b` was compared with `a`: not with a cell that came later."""
    for id, compared in (("a", []), ("new", [make_comparison()])):
        rows = [make_row(id=id, model="logreg", accuracy=0.6), make_row(id="b")]
        assert "What each rung added" not in parse(render(rows, compared)).text


def test_gain_of_a_rung_is_with_interval_and_verdict(make_row, make_comparison, parse):
    rows = [make_row(id="a", model="logreg", members=5), make_row(id="b", model="mlp", members=5)]
    text = parse(render(rows, [make_comparison()])).text
    assert (
        "mlp over logreg +10.0 these runs better +5.0 to +15.0 this recipe unclear \N{MINUS SIGN}5.0 to +25.0" in text
    )
    assert "Holm's correction over the 6 steps" in text
    assert "tied" not in text
    none = dict.fromkeys(("recipe_low", "recipe_high", "recipe_p_holm")) | {"recipe_verdict": "needs 3 members"}
    text = parse(render([dataclasses.replace(row, members=1) for row in rows], [make_comparison(**none)])).text
    assert "+15.0 this recipe needs 3 members" in text
    assert "exploratory" not in text.split("What each rung added")[1].split("not corrected.")[1]
    text = parse(render(rows, [make_comparison(exploratory=1, family=1)])).text
    assert "to +25.0 exploratory" in text


def test_comparisons_of_a_grid_do_not_depend_on_which_point_finished_last(make_result, task, tmp_path):
    """A pair of chosen points belongs to two configurations: that of the point, and that of what validation chose."""
    tables = []
    for newest in ("original", "original lr0.5x"):
        opened = Tables(tmp_path / newest.replace(" ", "-"))
        for model, noise in (("logreg", 9.0), ("mlp", 1.0)):
            for recipe in ("original", "original lr0.5x"):
                result = make_result(model=model, noise=noise, recipe=recipe)
                result = result.with_predictions({**result.predictions, "val": result.predictions["train"]})
                date = f"2026-03-01T12:00:0{1 + (recipe == newest)}Z"
                result = dataclasses.replace(result, provenance=dataclasses.replace(result.provenance, date=date))
                save_result(result, opened.out)
                publish_rows(result, opened)
        publish_comparisons(opened, task, MODELS)
        tables.append(opened[COMPARISONS].rows)
    assert len(tables[0]) == 2
    assert tables[0] == tables[1]
