"""The page of learning curves, from rows alone."""

import dataclasses
import re

import pytest

from coretx.evaluation.scores import wilson_interval
from coretx.reports.pages.generalisation import learning_curves, length_curves, render_generalisation
from coretx.reports.publish import publish_dashboard
from coretx.reports.tables.benchmark import SCORES
from coretx.reports.tables.files import Tables
from coretx.reports.tables.groups import LengthRow

ORDER = {"task_titles": {"t": "Task T"}, "task_order": ["u", "t"], "model_order": ["mlp", "logreg"]}


@pytest.fixture
def make_cell(make_row):
    """A function that makes the train and the test row of a cell; `trained` is how many rows train has."""

    def make(trained, *, asked=None, **changes):
        asked = asked or trained
        name = f"{changes.get('task', 't')}{changes.get('model', 'mlp')}{asked}{changes.get('date', '')}"
        shared = {"id": name, "task": "t", "n_samples": asked, "protocol": "disjoint"}
        return [make_row(**(shared | changes | {"split": split, "rows": trained})) for split in ("train", "test")]

    return make


@pytest.fixture
def curves(make_cell):
    """Two models on three sizes, one of them diverged at the largest."""
    rows = []
    for size, accuracy in ((100, 0.6), (1000, 0.8), (300, 0.7)):
        rows += make_cell(size, accuracy=accuracy, keys=50, accuracy_std=0.01, members=3)
        rows += make_cell(size, model="logreg", members=3, accuracy=None if size == 1000 else 0.5, loss=None)
    return rows


def render(rows, lengths=()):
    return render_generalisation(rows, lengths, **ORDER)


def test_a_curve_has_a_point_for_every_size(curves):
    (found,) = learning_curves(curves)
    assert found.sizes == [100, 300, 1000]
    assert [found.models["mlp"][size].row.accuracy for size in found.sizes] == [0.6, 0.7, 0.8]
    assert found.hidden == 0


def test_sizes_are_the_rows_that_there_were(make_cell):
    rows = make_cell(40) + make_cell(68, asked=100, accuracy=0.7) + make_cell(68, asked=1000, accuracy=0.9)
    (found,) = learning_curves(rows)
    assert found.sizes == [40, 68]
    assert found.models["mlp"][68].row.accuracy == 0.9
    assert found.hidden == 1
    assert "68 of 1,000 asked" in re.sub(r"<[^>]+>", "", render(rows))
    assert "Not shown: 1 other result on as many rows" in render(rows)


def test_same_rows_whatever_is_asked_are_no_curve_and_are_said(make_cell):
    html = render(make_cell(68, asked=100) + make_cell(68, asked=1000))
    assert "<svg" not in html
    assert "had the same rows to train on, however many were asked for: there is no curve" in html


def test_the_newer_of_two_cells_of_a_size_counts(make_cell):
    old, new = make_cell(100, accuracy=0.5, date="2026-01-01"), make_cell(100, accuracy=0.9, date="2026-02-01")
    (found,) = learning_curves(new + old + make_cell(300))
    assert found.models["mlp"][100].row.accuracy == 0.9


@pytest.mark.parametrize("field", ["seed", "members", "protocol", "recipe", "backend", "negatives", "epochs"])
def test_cells_of_other_settings_are_other_curves(make_cell, field):
    other = {field: {"seed": 7, "members": 9, "epochs": 7}.get(field, "torch")}
    rows = make_cell(100) + make_cell(300) + make_cell(100, id="a", **other) + make_cell(300, id="b", **other)
    assert len(learning_curves(rows)) == 2


def test_one_size_is_no_curve(make_cell):
    assert learning_curves(make_cell(100) + make_cell(100, model="logreg") + make_cell(300, task="u")) == []
    assert render(make_cell(100)) is None


def test_the_table_has_scores_with_spread_and_interval_over_problems(curves, parse):
    text = parse(render(curves)).text
    assert "Rows trained on 100 300 1,000 Test rows 100 300 1,000" in text
    low, high = wilson_interval(0.6, 50)
    assert f"mlp 60.0% ± 1.0% {100 * low:.1f}\N{EN DASH}{100 * high:.1f}% 70.0%" in text
    assert "diverged" in text.split("logreg")[-1]


def test_the_figure_says_what_it_shows_and_leaves_the_diverged_out(curves, parse):
    (figure,) = parse(render(curves)).all("svg")
    assert figure["aria-label"] == (
        "Accuracy on test against rows trained on: mlp 60.0% at 100 to 80.0% at 1,000; "
        "logreg 50.0% at 100 to 50.0% at 300."
    )


def test_where_all_diverged_there_is_a_table_alone(make_cell):
    html = render(make_cell(100, accuracy=None, loss=None) + make_cell(300, accuracy=None, loss=None))
    assert "<svg" not in html
    assert "no curve" not in html
    assert html.count(">diverged<") == 2


def test_ceiling_small_space_and_alarm_are_beside_the_scores(make_cell, parse):
    marked = {"ceiling": 0.875, "small_space": 1, "alarm": 1}
    text = parse(render(make_cell(100, **marked) + make_cell(300))).text
    assert "Ceiling" in text
    assert "small space alarm" in text
    assert "87.5%" in text


def test_tasks_and_models_are_in_order(make_cell, parse):
    rows = [
        row
        for task in ("z", "t", "u")
        for model in ("logreg", "mlp")
        for size in (100, 300)
        for row in make_cell(size, task=task, model=model)
    ]
    html = render(rows)
    assert re.findall(r'<h2 id="task-\d">(.*?)</h2>', html) == ["u", "Task T", "z"]
    assert re.findall(r'<tr><th scope="row">(\w+)</th>', html) == ["mlp", "logreg"] * 3
    ids = [attributes["id"] for _, attributes in parse(html).elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_it_is_one_file_without_script_that_leads_back(curves, parse):
    page = parse(render(curves))
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe"}
    assert page.meta("Content-Security-Policy").startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert [link["href"] for link in page.all("a")] == ["index.html"]


def test_a_name_is_no_formula_in_the_figure(make_cell):
    hostile = {"model": "$\\frac$"}
    assert ">$\\frac$<" in render(make_cell(100, **hostile) + make_cell(300, **hostile))


def test_the_dashboard_links_the_page_only_where_it_is(make_cell, tmp_path):
    def published(rows):
        tables = Tables(tmp_path)
        tables[SCORES].put(rows)
        return publish_dashboard(tables, task_titles={}, task_order=[], model_order=[])

    link, page = '<a href="generalisation.html">', tmp_path / "benchmarks" / "generalisation.html"
    assert link not in published(make_cell(100)).read_text()
    assert not page.exists()
    assert link in published(make_cell(300)).read_text()
    first = page.read_bytes()
    published([])
    assert page.read_bytes() == first
    (tmp_path / "benchmarks" / "benchmarking.csv").unlink()
    assert link not in published(make_cell(100)).read_text()
    assert not page.exists()


@pytest.fixture
def lengths(make_cell):
    """A cell of one size that was evaluated at two lengths, and one that is applicable to none of them."""

    def row(cell, model, length, *scores):
        return LengthRow(cell[1].id, "t", model, "jax", 5, length, 200, 100, int(scores[0] is not None), *scores)

    free, fixed = make_cell(100, accuracy=0.9), make_cell(100, model="logreg", accuracy=0.7)
    none = (None,) * 5
    found = [row(free, "mlp", 10, 0.8, None, 0.5, 0.71, 0.87), row(free, "mlp", 3, 0.6, None, 0.6, 0.5, 0.69)]
    return free + fixed, [*found, row(fixed, "logreg", 10, *none), row(fixed, "logreg", 3, *none)]


def test_lengths_are_beside_the_trained_one(lengths, parse):
    (found,) = length_curves(*lengths)
    assert (found.sizes, found.notes) == ([3, 5, 10], {5: "trained on"})
    text = parse(render(*lengths)).text
    assert "Steps 3 5 trained on 10 Test rows 200 100 200" in text
    assert "mlp 60.0% 50.0\N{EN DASH}69.0% 90.0%" in text
    assert re.search(r"logreg not applicable 70\.0% \S+ not applicable", text)


def test_the_figure_has_those_that_are_applicable(lengths, parse):
    (figure,) = parse(render(*lengths)).all("svg")
    assert figure["aria-label"] == "Accuracy on test against steps: mlp 60.0% at 3 to 80.0% at 10."


def test_scores_of_a_cell_that_is_not_in_the_table_are_not_shown(lengths):
    rows, found = lengths
    assert length_curves(rows[2:], found[:2]) == []


def test_the_newer_cell_of_a_model_counts(lengths, make_cell):
    rows, found = lengths
    newer = make_cell(100, accuracy=0.5, date="2027-01-01")
    more = [dataclasses.replace(found[0], id=newer[1].id, length=20)]
    (curves,) = length_curves(rows + newer, found + more)
    assert curves.sizes == [3, 5, 10, 20]
    assert curves.models["mlp"][5].row.accuracy == 0.5
