"""What pages show is a function of the rows, not of their order in the files nor of the last bits of their numbers."""

import pytest

from coretx.reports.pages.dashboard import difference_lines, render_dashboard, run_lines
from coretx.reports.pages.generalisation import learning_curves, length_curves, render_generalisation
from coretx.reports.pages.learning_panels import learning_panels
from coretx.reports.pages.score_context import Score, data_spread, draws_of
from coretx.reports.tables.configurations import chosen, configurations
from coretx.reports.tables.draws import OverlapRow
from coretx.reports.tables.groups import LengthRow
from coretx.reports.tables.training import CurveRow

NAMES = {"task_titles": {}, "task_order": [], "model_order": []}
NOISE = 2**-53


@pytest.fixture
def twins(make_row):
    """Two results of one date in one place, which differ in what the table does not say."""
    return [make_row(id=id, accuracy=accuracy) for id, accuracy in (("b", 0.9), ("a", 0.8))]


@pytest.mark.parametrize("turn", [1, -1])
def test_of_equal_dates_the_id_decides(twins, turn):
    rows = twins[::turn]
    (configuration,) = configurations(rows)
    assert [row.id for row in configuration.rows] == ["b"]
    (draws,) = draws_of(rows).values()
    assert [row.id for row in draws.values()] == ["b"]


@pytest.mark.parametrize("turn", [1, -1])
def test_of_equal_dates_the_id_decides_in_curves(twins, make_row, turn):
    rows = [*twins, make_row(id="c", n_samples=10)][::turn]
    lengths = [LengthRow(row.id, row.task, "mlp", "jax", 2, 3, 9, 9, 0, None, None, None, None, None) for row in twins]
    (curves,) = learning_curves(rows)
    assert [point.row.id for point in curves.models["mlp"].values()] == ["c", "b"]
    (by_length,) = length_curves(rows, lengths[::turn])
    assert by_length.models["mlp"][2].row.id == "b"


@pytest.mark.parametrize("turn", [1, -1])
def test_of_points_with_equal_loss_the_name_decides(make_row, turn):
    rows = [make_row(id=r[-1], recipe=r, split="val") for r in ("tuned lr2x", "tuned", "tuned lr0.5x")]
    assert [row.recipe for row in chosen(rows[::turn])] == ["tuned"]


@pytest.mark.parametrize("turn", [1, -1])
def test_tasks_of_a_run_are_in_the_order_of_their_titles(make_row, turn):
    rows = [make_row(id=task, task=task) for task in ("z", "b", "a", "c")][::turn]
    (configuration,) = configurations(rows)
    (line,) = run_lines(configuration, {}, {"b": "Second", "a": "First"})
    assert line[-2] == "Second, First, c and 1 more"


def test_pages_do_not_depend_on_the_order_of_rows(twins, make_row, make_comparison):
    rows = [*twins, *(make_row(id=f"{task}{n}", task=task, n_samples=n) for task in ("z", "s") for n in (10, 9))]
    comparisons = [make_comparison(id="b", against_id=id) for id in ("z10", "a")]
    overlaps = [OverlapRow("sum_is_positive", "original", 0, 1000, n, 9, 0.5, f"rule {n}", n) for n in (1, 2)]
    pages = [
        (render_dashboard(rows[::turn], overlaps[::turn], [], comparisons[::turn], has_page=lambda row: False, **NAMES),
         render_generalisation(rows[::turn], [], **NAMES))
        for turn in (1, -1)
    ]  # fmt: skip
    assert pages[0] == pages[1]


def test_a_ceiling_of_one_is_one_but_for_its_last_bit(make_row):
    assert Score(make_row(ceiling=1 - NOISE)).ceiling == ""


def test_engines_that_are_equal_but_for_the_last_bit_do_not_differ(make_row):
    (jax,), (torch,) = (
        configurations([make_row(backend=engine, members=2, accuracy=accuracy, accuracy_std=0.0, loss_std=0.0)])
        for engine, accuracy in (("jax", 0.95 - NOISE), ("torch", 0.95))
    )
    ((_, (cell,)),) = difference_lines(jax, torch, ["sum_is_positive"], ["mlp"])
    assert (cell["accuracy"].number, cell["accuracy"].sign) == (0.0, "even")


def test_an_axis_begins_at_the_accuracy_and_not_a_step_below(make_row):
    (configuration,) = configurations([make_row(id="a")])
    curve = CurveRow("a", "sum_is_positive", "mlp", "jax", "1 2", "0 0", "0.29999999999999993 0.9")
    figure = learning_panels(configuration, {"a": curve}, ["sum_is_positive"], ["mlp"], {})
    assert figure["chance"] == "97.4", "one half lies at 6 + 128 (1 - 0.5) / (1 - 0.3)"


def test_spread_does_not_depend_on_the_order_of_rows(make_row):
    rows = [make_row(id=f"{seed}{id}", seed=seed, accuracy=a) for seed in (0, 3) for id, a in (("a", 0.5), ("b", 0.75))]
    found = [data_spread(rows[0], draws_of(order)) for order in (rows, rows[::-1])]
    assert found[0] == found[1]
    assert found[0].mean == 0.75
