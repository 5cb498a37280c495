"""What stands on the dashboard beside the tables of scores."""

import dataclasses
import re

import pytest

from coretx.reports.pages.costs import cost_lines
from coretx.reports.pages.dashboard import render_dashboard
from coretx.reports.pages.engine_difference import welch_half_width
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.configurations import configurations
from coretx.reports.tables.draws import SplitRow
from coretx.reports.tables.training import CostRow, CurveRow

TASK = "sum_is_positive"


@pytest.fixture
def render():
    def dashboard(rows, *, splits=(), compared=(), curves=(), costs=(), **order):
        names = {"task_titles": {}, "task_order": [], "model_order": ["logreg", "mlp"], "has_page": lambda row: False}
        return render_dashboard(
            list(rows), [], list(splits), list(compared), list(curves), list(costs), **names | order
        )

    return dashboard


@pytest.fixture
def make_cost():
    def make(**changes):
        return dataclasses.replace(CostRow("a", TASK, "mlp", "jax", 193, 1, 1000, 1.5, 4.0, 9.0, "cpu"), **changes)

    return make


def section(html, engine):
    return re.search(rf'<section [^>]*data-engine="{engine}".*?</section>', html, re.S)[0]


def test_engines_stand_beside_each_other_and_their_difference_is_a_table(render, make_row, parse):
    spread = {"members": 5, "accuracy_std": 0.01, "loss_std": 0.02}
    rows = [
        make_row(id="a", accuracy=0.9, loss=0.3, **spread),
        make_row(id="b", backend="torch", accuracy=0.8, loss=0.35, **spread),
    ]
    html = render(rows)
    assert re.findall('data-pick="([^"]*)"', html) == ["jax", "torch", "difference"]
    text = parse(section(html, "difference")).text
    assert "mlp +10.0 +8.5 to +11.5 loss -0.050 -0.079 to -0.021" in text
    assert 'class="more"' in section(html, "difference")


def test_engines_that_are_not_told_apart_are_not_coloured(render, make_row):
    spread = {"members": 5, "accuracy_std": 0.1, "loss_std": 0.2}
    rows = [make_row(id="a", accuracy=0.9, **spread), make_row(id="b", backend="torch", accuracy=0.85, **spread)]
    assert 'class="even"' in section(render(rows), "difference")


def test_of_one_member_there_is_a_difference_without_an_interval(render, make_row, parse):
    text = parse(
        section(render([make_row(id="a"), make_row(id="b", backend="torch", accuracy=0.9)]), "difference")
    ).text
    assert "mlp +8.8 loss +0.000" in text
    assert " to " not in text.split("Model")[1]


def test_another_setting_of_the_other_engine_is_no_counterpart(render, make_row):
    html = render([make_row(id="a"), make_row(id="b", backend="torch", seed=3)])
    assert 'data-engine="difference"' not in html
    assert 'data-pick="difference"' not in html


def test_welch_interval_is_that_of_scipy():
    from scipy.stats import ttest_ind_from_stats

    result = ttest_ind_from_stats(0.9, 0.02, 5, 0.8, 0.05, 4, equal_var=False)
    half = welch_half_width(0.02, 5, 0.05, 4)
    shifted = ttest_ind_from_stats(half, 0.02, 5, 0.0, 0.05, 4, equal_var=False)
    assert result.pvalue < 0.05
    assert shifted.pvalue == pytest.approx(0.05)


def test_chance_and_ceilings_stand_under_the_test_scores(render, make_row, parse):
    rows = [
        make_row(id="a", view="order-blind", ceiling=0.8836),
        make_row(id="b", model="logreg"),
        make_row(id="c", task="another"),
    ]
    splits = [SplitRow(TASK, "original", "natural", 0, 1000, "test", 40, 60, 40, 60, 40, 60, 100, 0)]
    html = render(rows, splits=splits)
    (foot,) = re.findall("<tfoot>(.*?)</tfoot>", html, re.S)
    assert parse(f"<table>{foot}</table>").text == "Chance \N{EM DASH} 60.0% Ceiling, order-blind \N{EM DASH} 88.4%"


def test_cost_is_summed_over_tasks_and_speed_is_of_training_alone(make_row, make_cost):
    rows = [make_row(id="a", accuracy=0.9, seconds=9.0), make_row(id="b", task="z", accuracy=0.8, seconds=6.0)]
    costs = {"a": make_cost(), "b": make_cost(id="b", task="z", steps=2000, seconds_train=2.0, parameters=300)}
    (configuration,) = configurations([*rows, make_row(id="c", model="logreg", parameters=11, seconds=None)])
    lines = dict(cost_lines(configuration, costs, [TASK, "z"], ["mlp", "logreg"]))
    texts = [value.text for value in lines["mlp"]]
    assert texts == ["85.0%", "193", "3,000", "15.0 s", "6.0 s", "3.0 s", "500"]
    assert [value.text for value in lines["logreg"]] == ["\N{EM DASH}", "11", *["\N{EM DASH}"] * 5]


def test_what_ran_is_listed_by_commit_and_device(render, make_row, make_cost, parse):
    rows = [make_row(id="a", commit="aaa"), make_row(id="b", model="logreg", commit="bbb", date="2026-04-01T10:00:00Z")]
    text = parse(render(rows, costs=[make_cost(device_name="A Chip")])).text
    assert f"2026-03-01 12:00 2026-03-01 12:00 cpu: A Chip aaa 0.1.0 1 cell {TASK.replace('_', '_ ')} 3.5 s" in text
    assert "2026-04-01 10:00 2026-04-01 10:00 cpu bbb 0.1.0 1 cell" in text


def test_curves_are_drawn_with_words_and_a_table(render, make_row, parse):
    curves = [CurveRow("0123456789ab", TASK, "mlp", "jax", "1 10", "0 0", "0.5 0.75")]
    page = parse(render([make_row()], curves=curves))
    (figure,) = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert figure["aria-label"] == f"{TASK}: accuracy on test by epoch, after the last one mlp 75.0%."
    assert len(page.all("polyline")) == 1
    assert "Epoch 1 10 sum_ is_ positive mlp 50.0% 75.0%" in page.text


def test_pick_of_a_task_names_every_task(render, make_row):
    html = render([make_row(id=task, task=task) for task in ("a", "b")], task_titles={"b": "B title"})
    picker = re.search('<select id="task">(.*?)</select>', html, re.S)[1]
    assert re.findall('<option value="([^"]*)">([^<]*)', picker) == [("", "all"), ("a", "a"), ("b", "B title")]


def test_hostile_text_stays_text(render, make_row, make_cost, payload, parse, assert_harmless):
    shown = [field for field, kind in BenchmarkRow.__annotations__.items() if kind is str and field != "backend"]
    row = make_row(**dict.fromkeys(shown, payload))
    rows = [row, dataclasses.replace(row, id="t", backend="torch"), dataclasses.replace(row, id="u", task="u")]
    curves = [CurveRow(payload, payload, payload, "jax", "1 10", "0 0", "0.5 0.75")]
    html = render(
        [dataclasses.replace(row, split="test") for row in rows],
        curves=curves,
        costs=[make_cost(id=payload, task=payload, model=payload, device_name=payload)],
        task_titles={payload: payload},
        has_task_page=lambda task: "\ud800" not in task,
    )
    assert "polyline" in html
    assert 'data-engine="difference"' in html
    assert_harmless(html, scripts=1)
    assert parse(html).text.replace("_ ", "_").count(" ".join(payload.replace("\ud800", "?").split())) > 10


def test_a_full_dashboard_with_everything_stays_under_600_kb(render, make_row, make_comparison):
    tasks, models = [f"a_task_of_nine_{i}" for i in range(9)], [f"a_model_of_seven_{i}" for i in range(7)]
    ends = {
        f"{score}{over}_{end}": 0.95
        for score in ("accuracy", "loss")
        for over in ("", "_rows")
        for end in ("low", "high")
    }
    wide = {"members": 5, "accuracy_std": 0.01, "loss_std": 0.01, **ends}
    rows, curves, compared = [], [], []
    for backend in ("jax", "torch"):
        for task in tasks:
            for place, model in enumerate(models):
                cell = f"{backend}{task}{model}"
                rows += [make_row(id=cell, task=task, model=model, backend=backend, split=split, **wide)
                         for split in ("train", "val", "test")]  # fmt: skip
                epochs = " ".join(str(epoch) for epoch in range(941, 1001))
                curves.append(CurveRow(cell, task, model, backend, epochs, "", " ".join(["0.9876"] * 60)))
                compared += [make_comparison(id=cell, against_id=f"{backend}{task}{before}", task=task)
                             for before in models[:place]]  # fmt: skip
    everything = {"has_page": lambda row: True, "has_task_page": lambda task: True}
    html = render(rows, curves=curves, compared=compared, task_order=tasks, **everything)
    assert html.count("<polyline") == 126
    assert len(html.encode()) < 600_000
