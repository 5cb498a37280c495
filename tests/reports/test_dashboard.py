import base64
import dataclasses
import hashlib
import re

import pytest

from coretx.reports.pages.dashboard import cost_line, render_dashboard, welch_half_width
from coretx.reports.tables.configurations import configurations
from coretx.reports.tables.draws import OverlapRow, SplitRow
from coretx.reports.tables.training import CostRow, CurveRow

TASKS = ("easy", "hard")
MODELS = ("logreg", "mlp")
TASK = "sum_is_positive"


@pytest.fixture
def render():
    def dashboard(rows, overlaps=(), splits=(), compared=(), curves=(), costs=(), **changes):
        order = {"task_titles": {}, "task_order": TASKS, "model_order": MODELS, "has_page": lambda row: False}
        return render_dashboard(
            list(rows), list(overlaps), list(splits), list(compared), list(curves), list(costs), **order | changes
        )

    return dashboard


@pytest.fixture
def ladder(make_row):
    """Rows of two models on two tasks, test and train, accuracy 0.6, 0.7, 0.8, 0.9 in this order."""
    cells = [(task, model) for task in TASKS for model in MODELS]
    return [
        make_row(id=f"{number}", task=task, model=model, split=split, accuracy=0.6 + number / 10)
        for number, (task, model) in enumerate(cells)
        for split in ("train", "test")
    ]


def lines(html):
    """Each line of each matrix as (model, texts of its cells)."""
    found = re.findall(r'<tr data-order="\d+" data-model="([^"]*)">(.*?)</tr>', html, re.S)
    return [
        (model, [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", line, re.S)])
        for model, line in found
    ]


def test_no_rows_give_an_empty_state(render, parse):
    page = parse(render([]))
    assert "No results yet" in page.text
    assert not page.all("table")
    assert not page.all("script")


def test_models_and_tasks_are_in_the_order_given_unknown_ones_after(render, make_row):
    rows = [
        make_row(task=task, model=model)
        for task in ("a_new", "hard", "easy")
        for model in ("zzz", "abc", "mlp", "logreg")
    ]
    html = render(rows)
    assert re.findall(r'<th scope="col" title="(\w+)"', html) == ["easy", "hard", "a_new"]
    assert [model for model, _ in lines(html)] == ["logreg", "mlp", "abc", "zzz"]


def test_test_comes_before_train(render, ladder):
    assert re.findall(r'<h3 id="(\w+)-0">', render(ladder))[:2] == ["test", "train"]


@pytest.mark.parametrize(
    ("scores", "shown"),
    [
        ({"accuracy": 0.98749, "loss": 0.0416}, "98.7%loss 0.042"),
        ({"accuracy": 0.9, "accuracy_std": 0.0123, "loss": 0.1, "loss_std": 0.02}, "90.0% ± 1.2loss 0.100 ± 0.020"),
    ],
)
def test_accuracy_is_a_percentage_and_loss_a_number_with_the_deviation_over_members(render, make_row, scores, shown):
    assert lines(render([make_row(**scores)])) == [("mlp", [shown])]


def test_average_is_the_mean_over_tasks(render, ladder):
    averages = [cells[-1] for _, cells in lines(render(ladder))]
    assert averages == ["70.0%loss 0.042", "80.0%loss 0.042"] * 2


def test_a_missing_cell_leaves_no_average(render, ladder):
    rows = [row for row in ladder if (row.task, row.model) != ("hard", "mlp")]
    html = render(rows)
    assert lines(html)[1] == ("mlp", ["70.0%loss 0.042", "\N{EN DASH}", "\N{EM DASH}"])
    assert "An average needs every task" in html


def test_a_diverged_cell_says_so_and_leaves_no_average(render, ladder, make_row):
    rows = [*ladder[:-1], make_row(id="3", task="hard", model="mlp", accuracy=None, loss=None)]
    assert lines(render(rows))[1] == ("mlp", ["70.0%loss 0.042", "diverged", "\N{EM DASH}"])


def test_one_task_needs_no_average(render, make_row):
    assert "Avg</button>" not in render([make_row()])


def test_links_are_only_where_a_page_is(render, ladder, parse):
    page = parse(render(ladder, has_page=lambda row: row.id == "2"))
    assert {link["href"] for link in page.all("a")} == {"../artifacts/hard/logreg.html"}
    assert len(page.all("a")) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backend", "torch"),
        ("protocol", "disjoint"),
        ("recipe", "new"),
        ("n_samples", 300),
        ("seed", 1),
        ("members", 3),
    ],
)
def test_configurations_never_mix(render, make_row, field, value):
    html = render([make_row(id="a", accuracy=0.5), make_row(id="b", accuracy=0.6, **{field: value})])
    assert html.count('<section class="configuration"') == 2
    assert sorted(lines(html)) == [("mlp", ["50.0%loss 0.042"]), ("mlp", ["60.0%loss 0.042"])]


def test_the_most_complete_configuration_comes_first(render, ladder, make_row, parse):
    smoke = [make_row(id="s", epochs=5, date="2027-01-01"), make_row(id="t", members=9, date="2027-01-01")]
    page = render([*smoke, *ladder])
    labels = re.findall(r'<option value="[^"]+">([^<]*original[^<]*)<', page)
    assert labels[0] == "original splits · original recipe · n = 1,000 · 1,000 epochs · 1 member · seed 0"
    assert len(labels) == 3


def test_epochs_that_each_model_has_of_its_own_are_in_one_table(render, make_row):
    rows = [make_row(id="a", model="mlp", epochs=500), make_row(id="b", model="logreg", epochs=1000)]
    html = render(rows)
    assert html.count('<section class="configuration"') == 1
    assert "<small>500 epochs</small>" in html
    assert "500\N{EN DASH}1,000 epochs" in html


def test_a_model_with_two_numbers_of_epochs_parts_the_configuration(make_row):
    rows = [make_row(id=str(epochs), epochs=epochs) for epochs in (5, 1000)]
    assert [found.epochs for found in configurations(rows)] == [(1000,), (5,)]


def test_of_two_results_of_one_configuration_the_newest_is_shown(render, make_row):
    rows = [make_row(id="new", accuracy=0.9, date="2026-05-01"), make_row(id="old", accuracy=0.1, date="2026-04-01")]
    html = render(rows)
    assert lines(html) == [("mlp", ["90.0%loss 0.042"])]
    assert "An older result of the same configuration is not shown in 1 place." in html


def test_provenance_counts_each_cell_once(render, ladder, parse):
    text = parse(render(ladder)).text
    assert "4 cells · version 0.1.0 · commit 0123456789 · device cpu · 2026-03-01 · 14.0 s in all" in text


def test_overlap_is_shown_with_the_draws_of_the_configuration(render, ladder, parse):
    overlaps = [OverlapRow("easy", "original", seed, 1000, 250, 1000, 0.25, "natural", 300) for seed in (0, 1)]
    text = parse(render(ladder, overlaps, task_titles={"easy": "Easy task"})).text
    assert text.count("Easy task test 1,000 — — 250 (25.0%)") == 1


def test_protocols_are_side_by_side_with_what_each_split_holds(render, ladder, parse):
    overlaps = [
        OverlapRow("easy", "original", 0, 1000, 250, 1000, 0.25, "original", 300),
        OverlapRow("easy", "disjoint", 0, 1000, 0, 22, 0.0, "balanced", 0),
    ]
    splits = [
        SplitRow("easy", "original", "original", 0, 1000, "test", 500, 500, 333, 55, 30, 30, 30, 0),
        SplitRow("easy", "disjoint", "balanced", 0, 1000, "test", 11, 11, 11, 11, 5, 6, 6, 1),
        SplitRow("easy", "disjoint", "balanced", 0, 1000, "val", 10, 10, 10, 10, 6, 6, 6, 1),
    ]
    text = parse(render(ladder, overlaps, splits)).text
    assert "easy test 11 + 11 11 + 11 6 0 (0.0%) 500 + 500 333 + 55 30 250 (25.0%)" in text
    assert "easy validation 10 + 10 10 + 10 6 \N{EN DASH} easy" in text


def test_intervals_over_members_and_rows_are_beside_the_score(render, make_row, parse):
    ends = {"accuracy_low": 0.95, "accuracy_high": 1.0, "accuracy_rows_low": 0.9, "accuracy_rows_high": 0.99}
    loss = {"loss_low": 0.01, "loss_high": 0.07, "loss_rows_low": 0.02, "loss_rows_high": 0.06}
    row = make_row(members=3, accuracy_std=0.01, loss_std=0.02, **ends, **loss)
    text = parse(render([row])).text
    dash = "\N{EN DASH}"
    assert f"98.8% ± 1.0 m 95.0{dash}100.0% r 90.0{dash}99.0%" in text
    assert f"loss 0.042 ± 0.020 m 0.010{dash}0.070 r 0.020{dash}0.060" in text
    assert "standard deviation over 3 members" in text


def test_one_member_has_no_interval_over_seeds_and_the_page_says_so(render, make_row, parse):
    text = parse(render([make_row(accuracy_rows_low=0.9, accuracy_rows_high=0.99)])).text
    assert "One run, no interval over seeds" in text
    assert "98.8% r 90.0" in text
    assert "m 9" not in text


def test_score_on_a_small_space_is_marked_with_its_interval_over_problems(render, make_row, parse):
    html = render([make_row(accuracy=1.0, small_space=1, accuracy_rows_low=0.61, accuracy_rows_high=1.0)])
    assert "100.0% p 61.0\N{EN DASH}100.0% loss 0.042 small space" in parse(html).text
    assert "small space" not in parse(render([make_row(accuracy=1.0)])).text.split("Accuracy is tinted")[0]


def test_ceiling_and_alarm_are_beside_the_score(render, make_row, parse):
    text = parse(render([make_row(view="order-blind", ceiling=0.8836, alarm=1)])).text
    assert "98.8% loss 0.042 ceiling 88.4% alarm" in text
    assert "ceiling" not in parse(render([make_row()])).text


def test_best_reached_is_where_no_ceiling_is_known_never_as_a_ceiling(render, make_row, parse):
    unknown = {"view": "linear", "ceiling": None, "ceiling_kind": "none known"}
    rows = [
        make_row(id="a", accuracy=0.7, **unknown),
        make_row(id="b", model="logreg", accuracy=0.8, **unknown),
        make_row(id="c", seed=1, accuracy=0.85, **unknown),
        make_row(id="d", accuracy=0.99, protocol="disjoint", **unknown),
        make_row(id="a", accuracy=0.95, split="train", **unknown),
        make_row(id="f", accuracy=0.96, task="another", **unknown),
    ]
    text = parse(render(rows)).text
    assert "80.0% loss 0.042 reached 85.0%" in text
    assert "70.0% loss 0.042 reached 85.0%" in text
    assert "ceiling" not in text
    full = make_row(ceiling=None, ceiling_kind="none known")
    assert "reached" not in parse(render([full])).text


def test_rules_for_negatives_are_configurations_of_their_own_with_the_tasks_that_have_none(render, make_row):
    rows = [
        make_row(id="a", task="numeric"),
        make_row(id="b", task="sums", negatives="balanced", accuracy=0.7),
        make_row(id="c", task="sums", negatives="original", accuracy=0.8),
    ]
    found = [texts for _, texts in lines(render(rows, task_order=("numeric", "sums")))]
    assert [[text[:5] for text in texts[:2]] for texts in found] == [["98.8%", "70.0%"], ["98.8%", "80.0%"]]


def test_every_header_is_a_button(render, ladder):
    tables = re.findall(r'<table class="[^"]*sortable" data-table="(\w+)">\s*<thead>(.*?)</thead>', render(ladder))
    assert [(name, head.count("<th ")) for name, head in tables] == [("test", 4), ("train", 4), ("costs", 8)]
    assert all(head.count("<th ") == head.count('<button type="button">') for _, head in tables)


def test_without_scripts_every_configuration_reads(render, ladder, make_row, parse):
    page = parse(render([*ladder, make_row(seed=1)]))
    assert [section for section in page.all("section") if "hidden" in section] == []
    assert "hidden" in next(element for element in page.all("div") if element.get("class") == "controls")


def test_the_policy_allows_exactly_the_page_s_script(render, ladder, parse):
    html = render(ladder)
    script = re.search("<script>(.*?)</script>", html, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = parse(html).meta("Content-Security-Policy").split("; ")
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert html.count("<script") == 1


@pytest.fixture
def make_cost():
    def make(**changes):
        return dataclasses.replace(CostRow("a", TASK, "mlp", "jax", 193, 1, 1000, 1.5, 4.0, 9.0, "cpu"), **changes)

    return make


def section(html, engine):
    return re.search(rf'<section [^>]*data-engine="{engine}".*?</section>', html, re.S)[0]


def test_engines_are_beside_each_other_and_their_difference_is_a_table(render, make_row, parse):
    spread = {"members": 5, "accuracy_std": 0.01, "loss_std": 0.02}
    rows = [
        make_row(id="a", accuracy=0.9, loss=0.3, **spread),
        make_row(id="b", backend="torch", accuracy=0.8, loss=0.35, **spread),
    ]
    html = render(rows)
    assert re.findall('data-pick="([^"]*)"', html) == ["jax", "torch", "jax-torch"]
    text = parse(section(html, "jax-torch")).text
    assert "mlp +10.0 +8.5 to +11.5 loss -0.050 -0.079 to -0.021" in text
    assert 'class="more"' in section(html, "jax-torch")


def test_engines_that_are_not_told_apart_are_not_coloured(render, make_row):
    spread = {"members": 5, "accuracy_std": 0.1, "loss_std": 0.2}
    rows = [make_row(id="a", accuracy=0.9, **spread), make_row(id="b", backend="torch", accuracy=0.85, **spread)]
    assert 'class="even"' in section(render(rows), "jax-torch")


def test_of_one_member_there_is_a_difference_without_an_interval(render, make_row, parse):
    text = parse(section(render([make_row(id="a"), make_row(id="b", backend="torch", accuracy=0.9)]), "jax-torch")).text
    assert "mlp +8.8 loss +0.000" in text
    assert " to " not in text.split("Model")[1]


def test_every_two_engines_have_a_difference(render, make_row):
    html = render([make_row(id=engine, backend=engine) for engine in ("a_new", "torch", "jax")])
    names = ["jax", "torch", "a_new", "jax-torch", "jax-a_new", "torch-a_new"]
    assert re.findall('data-pick="([^"]*)"', html) == names
    assert "PyTorch less a_new" in html


def test_another_setting_of_the_other_engine_is_no_counterpart(render, make_row):
    html = render([make_row(id="a"), make_row(id="b", backend="torch", seed=3)])
    assert 'data-engine="jax-torch"' not in html
    assert 'data-pick="jax-torch"' not in html


def test_welch_interval_is_that_of_scipy():
    from scipy.stats import ttest_ind_from_stats

    result = ttest_ind_from_stats(0.9, 0.02, 5, 0.8, 0.05, 4, equal_var=False)
    half = welch_half_width(0.02, 5, 0.05, 4)
    shifted = ttest_ind_from_stats(half, 0.02, 5, 0.0, 0.05, 4, equal_var=False)
    assert result.pvalue < 0.05
    assert shifted.pvalue == pytest.approx(0.05)


def test_chance_and_ceilings_are_under_the_test_scores(render, make_row, parse):
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
    texts = [text for _, text in cost_line([{"test": row} for row in rows], costs)]
    assert texts == ["85.0%", "193", "3,000", "15.0 s", "6.0 s", "3.0 s", "500"]
    bare = make_row(id="c", model="logreg", parameters=11, seconds=None)
    texts = [text for _, text in cost_line([{"test": bare}, {}], costs)]
    assert texts == ["\N{EM DASH}", "11", *["\N{EM DASH}"] * 5]


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
