"""Which point of a grid is reported: the one that validation chooses."""

import pytest

from coretx.reports.tables.configurations import chosen, configurations


@pytest.fixture
def grid(make_row):
    """Return a function from (recipe, validation loss) pairs to rows of test and validation, test the other way."""

    def rows(*points, **fields):
        return [
            make_row(id=f"{place}{fields}", recipe=recipe, split=split, loss=loss, **fields)
            for place, (recipe, val) in enumerate(points)
            for split, loss in (("val", val), ("test", None if val is None else 1 - val))
        ]

    return rows


def recipes(rows):
    return [row.recipe for row in rows]


def test_lowest_validation_loss_is_chosen_whatever_test_says(grid):
    rows = grid(("tuned", 0.4), ("tuned lr0.5x", 0.2), ("tuned lr2x", 0.3))
    assert recipes(chosen(rows)) == ["tuned lr0.5x"] * 2
    assert {row.split for row in chosen(rows)} == {"val", "test"}


def test_first_of_equals_and_no_point_that_diverged(grid):
    assert recipes(chosen(grid(("tuned lr2x", None), ("tuned", 0.2), ("tuned lr0.5x", 0.2)))) == ["tuned"] * 2


@pytest.mark.parametrize("change", [{"seed": 3}, {"members": 2}, {"n_samples": 9}, {"epochs": 7}, {"backend": "torch"}])
def test_points_of_other_configurations_are_no_grid(grid, change):
    assert chosen(grid(("tuned", 0.4)) + grid(("tuned lr0.5x", 0.2), **change)) == []


def test_one_point_and_no_validation_are_no_choice(grid, make_row):
    assert chosen(grid(("tuned", 0.4))) == []
    assert chosen([make_row(id="a"), make_row(id="b", recipe="original lr2x")]) == []


def test_what_was_chosen_is_a_configuration_of_its_own(grid):
    rows = grid(("tuned", 0.4), ("tuned lr0.5x", 0.2), model="mlp") + grid(("tuned", 0.1), ("tuned lr0.5x", 0.2))
    found = {configuration.recipe: configuration for configuration in configurations(rows)}
    assert set(found) == {"tuned", "tuned lr0.5x", "tuned chosen"}
    assert "tuned recipe · point of the grid chosen on validation" in found["tuned chosen"].label
    assert {cell["test"].recipe for cell in found["tuned chosen"].cells.values()} <= {"tuned", "tuned lr0.5x"}
