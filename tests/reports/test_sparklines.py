import math
from xml.etree import ElementTree

import pytest

from coretx.reports.figures import sparklines as sparks
from coretx.reports.figures.curves import POINTS
from coretx.reports.pages import templating

PARTS = templating._ENVIRONMENT.get_template("parts.html").module


def points(values):
    return [tuple(map(float, pair.split(","))) for pair in sparks.polyline(values).split()]


@pytest.mark.parametrize("n", [1, 2, 399, 400, 401, 5000])
def test_a_line_begins_left_and_ends_right_with_few_points(n):
    found = points([float(value) for value in range(n)])
    assert (found[0][0], found[-1][0]) == (0, 100)
    assert 2 <= len(found) <= POINTS


def test_values_that_are_not_finite_are_left_out_in_their_place():
    assert points([0.0, math.nan, math.inf, 1.0]) == [(0, 22), (100, 2)]


def test_bars_are_as_high_as_their_share_of_the_highest():
    assert sparks.bars([0, 1, 4, 2]) == "M25 24V18H50V24ZM50 24V0H75V24ZM75 24V12H100V24Z"


@pytest.mark.parametrize("macro", ["sparkline", "tiny_histogram"])
@pytest.mark.parametrize("values", [[], [1], [1, 2, 3]])
def test_a_small_figure_says_what_it_shows(macro, values):
    figure = ElementTree.fromstring(getattr(PARTS, macro)(values, 'up, then <b>"down"</b>'))
    assert figure.get("role") == "img"
    assert figure[0].tag == "title"
    assert figure[0].text == 'up, then <b>"down"</b>'
    assert "#" not in ElementTree.tostring(figure, encoding="unicode")
