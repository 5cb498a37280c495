import dataclasses

import numpy as np
import pytest

from coretx.reports.pages.learning_panels import learning_panels
from coretx.reports.tables.configurations import configurations
from coretx.reports.tables.training import EPOCHS, CurveRow, cost_rows, curve_rows, points, shown_epochs
from coretx.tasks.splits import SplitCounts


@pytest.mark.parametrize("last", [1, 2, 59, 60, 1000, 100_000])
def test_epochs_shown_are_few_and_keep_both_ends(last):
    epochs = shown_epochs(last)
    assert len(epochs) <= EPOCHS
    assert (epochs[0], epochs[-1]) == (1, last)
    assert (np.diff(epochs) > 0).all()


def test_a_curve_is_the_mean_over_members_at_the_epochs_shown(make_result):
    result = make_result(epochs=200)
    (row,) = curve_rows(result)
    epochs, accuracy = points(row)
    assert (accuracy == result.history["accuracy_test"].mean(axis=0)[epochs - 1]).all()
    assert epochs[-1] == 200


def test_the_curve_of_a_diverged_cell_ends_with_its_finite_epochs(diverged):
    (row,) = curve_rows(diverged)
    assert points(row)[0][-1] == 9


def test_a_cell_without_a_finite_epoch_has_no_curve(make_result):
    result = make_result()
    history = result.history | {"loss_train": np.full((3, 50), np.nan)}
    assert curve_rows(dataclasses.replace(result, history=history)) == []


def test_steps_are_counted_over_members_and_the_last_batch_counts(make_result):
    counts = {"train": SplitCounts((65, 65), (65, 65), (65, 65), 130, False)}
    result = dataclasses.replace(
        make_result(hyperparameters={"optimizer": {"batch_size": 128}}, epochs=50), counts=counts
    )
    (row,) = cost_rows(result)
    assert (row.steps, row.seconds_train, row.seconds_compile, row.parameters) == (2 * 50 * 3, 2.0, 1.5, 193)


def test_steps_are_unknown_where_the_batch_is(make_result):
    (row,) = cost_rows(make_result())
    assert row.steps is None


def test_panels_have_a_line_for_each_model_and_words_for_its_end(make_row):
    rows = [make_row(id=model, model=model) for model in ("logreg", "mlp")]
    curves = {m: CurveRow(m, "sum_is_positive", m, "jax", "1 10 100", "0 0 0", f"0.5 0.6 {end}")
              for m, end in (("logreg", 0.7), ("mlp", 0.9))}  # fmt: skip
    (configuration,) = configurations(rows)
    found = learning_panels(configuration, curves, ["sum_is_positive"], ["logreg", "mlp"], {})
    (panel,) = found["panels"]
    assert panel.alt == "sum_is_positive: accuracy on test by epoch, after the last one logreg 70.0%, mlp 90.0%."
    assert panel.values == [("logreg", ["50.0%", "60.0%", "70.0%"]), ("mlp", ["50.0%", "60.0%", "90.0%"])]
    ends = [float(path.split()[-1].split(",")[1]) for _, _, path in panel.lines]
    assert ends[1] < ends[0]  # the better one ends higher on the page
    assert [path.split(",")[0] for _, _, path in panel.lines] == ["30", "30"]


def test_no_curve_gives_no_panel(make_row):
    (configuration,) = configurations([make_row()])
    assert learning_panels(configuration, {}, ["sum_is_positive"], ["mlp"], {}) is None
