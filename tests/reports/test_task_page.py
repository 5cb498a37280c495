import dataclasses

import pytest

from coretx.evaluation.ceilings import Ceiling
from coretx.records.store import save_result
from coretx.reports.pages.task_page import render_task_page, task_examples
from coretx.reports.publish import publish_dashboard, publish_task
from coretx.reports.tables.draws import OverlapRow, SplitRow
from coretx.reports.tables.files import Tables
from coretx.running.plugins import load_catalogue


@pytest.fixture
def render(task):
    def page(rows=(), *, task=task, overlaps=(), splits=(), compared=(), ceilings=None, has_page=lambda row: False):
        return render_task_page(
            task,
            list(rows),
            list(overlaps),
            list(splits),
            list(compared),
            [],
            ceilings or {},
            model_order=["logreg", "mlp"],
            has_page=has_page,
        )

    return page


def test_rule_space_and_examples_are_on_the_page(render, make_row, task, parse):
    text = parse(render([make_row()])).text
    assert task.rule in text
    assert "2 steps of 1 feature" in text
    assert "more than can be listed" in text
    assert all(example in text for kind in task_examples(task) for example in kind.examples)


def test_examples_have_the_label_they_are_under_and_are_distinct():
    task = load_catalogue().tasks["two_digit_sum"].with_negatives("balanced")
    found = task_examples(task)
    assert [kind.name for kind in found if kind.label == 1] == [""]
    assert "off_by_one" in [kind.name for kind in found if kind.label == 0]
    for kind in found:
        assert {int(is_true(example)) for example in kind.examples} == {kind.label}
        assert len(set(kind.examples)) == len(kind.examples)


def is_true(equation):
    left, right = (sum(int(operand) for operand in side.split(" + ")) for side in equation.split(" = "))
    return left == right


def test_models_are_side_by_side_with_links_and_gains(render, make_row, make_comparison, parse):
    rows = [
        make_row(id="a", model="logreg", accuracy=0.6, members=5),
        make_row(id="b", model="mlp", accuracy=0.7, members=5),
        make_row(id="b", model="mlp", accuracy=0.8, members=5, split="train"),
    ]
    page = parse(render(rows, compared=[make_comparison()], has_page=lambda row: row.model == "mlp"))
    assert "logreg 60.0%" in page.text
    assert "mlp 70.0%" in page.text
    assert "+10.0 these runs better +5.0 to +15.0 this recipe unclear \N{MINUS SIGN}5.0 to +25.0 80.0%" in page.text
    assert [link["href"] for link in page.all("a")] == ["../../benchmarks/index.html", "mlp.html"]


def test_ceilings_are_by_view_and_what_was_reached_where_none_is_known(render, make_row, parse):
    rows = [make_row(view="linear", ceiling=None, accuracy=0.8)]
    ceilings = {("original", "natural"): {"order-blind": Ceiling(0.8836, "exact"), "majority": Ceiling(0.5, "exact")}}
    text = parse(render(rows, ceilings=ceilings)).text
    assert "order-blind the steps without their order 88.4% exact" in text
    assert "linear a weighted sum of all features \N{EM DASH} none known reached 80.0%" in text


def test_splits_of_this_task_alone_are_listed(render, make_row, parse):
    splits = [
        SplitRow(name, "disjoint", "natural", 0, 1000, "test", 11, 12, 11, 11, 5, 6, keys, 1)
        for name, keys in (("sum_is_positive", 77), ("another", 88))
    ]
    overlaps = [OverlapRow("sum_is_positive", "disjoint", 0, 1000, 3, 23, 0.1304, "natural", 3)]
    text = parse(render([make_row()], splits=splits, overlaps=overlaps)).text
    assert "disjoint splits test 1,000 0 11 + 12 11 + 11 77 (small space) 3 (13.0%)" in text
    assert "88" not in text


def test_publishing_writes_the_page_and_the_dashboard_links_it(make_result, publish_cell, task, tmp_path, parse):
    result = make_result()
    result = dataclasses.replace(result, ceilings={"order-blind": Ceiling(0.875, "exact")})
    save_result(result, tmp_path)
    publish_cell(result)
    order = {"task_titles": {task.name: task.title}, "task_order": [task.name], "model_order": ["mlp"]}
    assert 'class="about"' not in publish_dashboard(Tables(tmp_path), **order).read_text()
    path = publish_task(Tables(tmp_path), task, ["mlp"])
    assert path == tmp_path / "artifacts" / task.name / "index.html"
    text = parse(path.read_text()).text
    assert "order-blind the steps without their order 87.5% exact" in text
    assert "Learning curves" in text
    page = parse(publish_dashboard(Tables(tmp_path), **order).read_text())
    assert {link["href"] for link in page.all("a") if link.get("class") == "about"} == {
        f"../artifacts/{task.name}/index.html"
    }


def test_a_task_without_results_has_no_page(task, tmp_path):
    assert publish_task(Tables(tmp_path), task, []) is None
    assert not (tmp_path / "artifacts").exists()
