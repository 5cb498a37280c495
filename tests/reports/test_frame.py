"""The frame that pages draw around a figure says what matplotlib's own would have said."""

import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from coretx.reports.figures.frame import draw_frame, with_legend
from coretx.reports.figures.style import STYLE


def own_labels(axes: Axes) -> list[str]:
    """Return the texts of the ticks in view that matplotlib would draw, x before y."""
    axes.figure.draw_without_rendering()
    labels = []
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        shown = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
        labels += [label.get_text() for place, label in shown if low <= place <= high]
    return labels


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_frame_says_what_the_axes_own_ticks_say(scale):
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 10, 100], [1, 200, 30])
    axes.set(yscale=scale, xlabel="Epoch", ylabel="Loss")
    wanted = own_labels(axes)
    assert len(wanted) > 4
    draw_frame(figure, axes)
    assert sorted(text.get_text() for text in axes.texts) == sorted(wanted)
    assert {text.get_text() for text in figure.texts} == {"Epoch", "Loss"}
    assert not axes.axison


def test_grid_lines_stand_at_the_ticks_in_view():
    figure = Figure()
    axes = figure.subplots()
    axes.set(xticks=np.linspace(0, 1, 6), yticks=[0.0, 0.5, 1.0])
    axes.set(xlim=(-0.01, 1.01), ylim=(0.3, 0.7))
    draw_frame(figure, axes)
    upright, level, sides = (collection.get_segments() for collection in axes.collections)
    assert [segment[0][0] for segment in upright] == np.linspace(0, 1, 6).tolist()
    assert [segment[0][1] for segment in level] == [0.5]
    assert len(sides) == 1


def test_axes_above_others_do_not_repeat_their_x():
    figure = Figure()
    above, below = figure.subplots(2, sharex=True)
    above.set_ylabel("up")
    below.set(xlabel="x", ylabel="down", xlim=(0, 1), ylim=(0, 1))
    for axes in (above, below):
        draw_frame(figure, axes)
    assert {text.get_text() for text in figure.texts} == {"up", "down", "x"}
    under = [text for text in above.texts if text.get_horizontalalignment() == "center"]
    assert under == []
    assert len(below.texts) > 6


def test_legend_names_each_line_after_a_bit_of_it_without_overlap():
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 2.8))
        axes = figure.subplots()
        for label, colour in (("train, running", "red"), ("validation", "green"), ("test", "blue"), ("chance", "grey")):
            axes.plot([0, 1], [0, 1], color=colour, label=label)
        axes.plot([0, 1], [1, 0])
        with_legend(figure, axes)
        assert [text.get_text() for text in figure.texts] == ["train, running", "validation", "test", "chance"]
        assert [key.get_color() for key in figure.artists] == ["red", "green", "blue", "grey"]
        figure.draw_without_rendering()
    boxes = [artist.get_window_extent() for pair in zip(figure.artists, figure.texts, strict=True) for artist in pair]
    assert all(before.x1 < after.x0 for before, after in itertools.pairwise(boxes))
    assert boxes[-1].x1 <= figure.bbox.x1


def test_legend_too_long_for_a_row_makes_the_figure_higher_and_no_label_leaves_it():
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 2.8))
        axes = figure.subplots()
        for i in range(9):
            axes.plot([0, 1], [0, i], label=f"a model named {i}")
        with_legend(figure, axes)
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.texts]
        rows = sorted({round(box.y0) for box in boxes})
    assert len(rows) == 5
    assert figure.get_figheight() == pytest.approx(2.8 + 4 * 0.19)
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)
    assert axes.get_window_extent().y1 < min(rows)
