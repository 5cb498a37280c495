import re
from importlib.resources import files
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from coretx.evaluation.scores import calibration
from coretx.reports.figures import plots as figures
from coretx.reports.figures.curves import envelope, finite_part, thin
from coretx.reports.figures.style import DASHED, LINES, STYLE


@pytest.fixture(scope="module")
def long_history():
    rng = np.random.default_rng(0)
    keys = ("loss_train", "loss_test", "accuracy_train", "accuracy_test")
    return {key: rng.uniform(0.1, 1, (3, 5000)) for key in keys}


@pytest.fixture(scope="module")
def drawn(long_history, make_result):
    """Every figure of a page, as SVG."""
    rng = np.random.default_rng(0)
    scores = make_result(n_samples=4000, noise=6.0).scores
    made = {
        "loss": figures.loss_curves(long_history),
        "accuracy": figures.accuracy_curves(long_history, chance=0.5),
        "roc": figures.roc_curves(scores),
        "pr": figures.pr_curves(scores),
        "calibration": figures.reliability(
            calibration(rng.normal(0, 2, (3, 4000)), (rng.random(4000) < 0.5).astype(np.float32)), 3
        ),
        "confusion": figures.confusion_matrix(scores["test"].confusion, "test"),
    }
    return {name: str(figures.to_svg(figure, name, f"the {name}")) for name, figure in made.items()}


def test_a_model_keeps_its_colour_where_another_has_no_points():
    points = [(100.0, 0.6, 0.5, 0.7), (1000.0, 0.8, 0.7, 0.9)]
    drawn = [
        figures.accuracy_by_size({"a": first, "b": points}, "Rows", log=log).axes[0]
        for first in (points, [])
        for log in (True, False)
    ]
    colours = [{line.get_label(): line.get_color() for line in axes.lines} for axes in drawn]
    assert len({found["b"] for found in colours}) == 1
    assert ["a" in found for found in colours] == [True, True, False, False]
    (line,) = [line for line in drawn[-1].lines if line.get_label() == "b"]
    assert line.get_ydata().tolist() == [0.6, 0.8]
    assert [tick.get_text() for tick in drawn[-1].get_xticklabels()] == ["100", "1,000"]


def test_thin_keeps_the_ends_a_single_peak_and_a_short_curve():
    y = np.zeros(10_000)
    y[4321] = 7.0
    kept_x, kept_y = thin(np.arange(10_000), y, limit=100)
    assert thin(kept_x, kept_y, limit=100)[0] is kept_x
    assert len(kept_x) <= 100
    assert (kept_x[0], kept_x[-1]) == (0, 9999)
    assert kept_y[kept_x == 4321] == 7.0


def test_envelope_holds_every_value():
    values = np.random.default_rng(0).normal(size=(4, 3001))
    x, low, high = envelope(np.arange(3001), values, limit=100)
    assert (low.min(), high.max()) == (values.min(), values.max())
    assert (x[0], x[-1]) == (0, 3000)
    assert 2 * len(x) < 100


def test_all_quantities_end_before_the_first_value_that_is_not_finite():
    loss = np.array([[3.0, 2, np.nan, 1], [3, 2, 1, np.inf]])
    parts = finite_part({"loss": loss, "accuracy": np.full((2, 4), 0.5)})
    assert parts["loss"].tolist() == [[3, 2], [3, 2]]
    assert parts["accuracy"].shape == (2, 2)


def test_no_path_has_more_than_400_points(drawn):
    for name, svg in drawn.items():
        for path in re.findall(r' d="([^"]*)"', svg):
            assert len(re.findall("[A-Za-z]", path)) <= 400, name


def test_every_reference_finds_its_id(drawn):
    for svg in drawn.values():
        references = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
        assert references <= set(re.findall(r' id="([^"]*)"', svg))


def test_text_stays_text(drawn):
    texts = ["".join(element.itertext()) for element in ElementTree.fromstring(drawn["loss"]).iter("text")]
    assert {"Epoch", "Loss (nats)", "train, running", "test"} <= set(texts)


def test_a_figure_scales_and_says_what_it_shows(drawn):
    root = ElementTree.fromstring(drawn["roc"])
    assert (root.attrib["role"], root.attrib["aria-label"]) == ("img", "the roc")
    assert "viewBox" in root.attrib
    assert not {"width", "height"} & set(root.attrib)


def test_colours_are_the_page_s(drawn):
    for name, svg in drawn.items():
        assert set(re.findall(r"#[0-9a-f]{6}", svg)) <= {"#ffffff"}, name
        assert "currentColor" in svg


def test_a_figure_brings_no_style_rule_and_no_date(drawn):
    for svg in drawn.values():
        assert "<style" not in svg
        assert "metadata" not in svg
        assert "date" not in svg.lower()


@pytest.mark.parametrize(
    ("names", "columns", "rows"),
    [(("train, running", "validation", "test", "chance"), 4, 1), ([f"a model named {i}" for i in range(9)], 2, 5)],
)
def test_the_legend_has_every_name_inside_the_figure_above_the_axes(names, columns, rows):
    with matplotlib.rc_context(STYLE):
        figure, axes = figures.new_axes("x", "y")
        height = axes.get_window_extent().height
        for name in names:
            axes.plot([0, 1], [0, 1], label=name)
        figures.with_legend(figure, axes, columns)
        figure.draw_without_rendering()
        texts = figure.legends[0].get_texts()
        boxes = [text.get_window_extent() for text in texts]
    assert [text.get_text() for text in texts] == list(names)
    assert len({round(box.y0) for box in boxes}) == rows
    assert max(box.x1 for box in boxes) < figure.bbox.x1
    assert max(box.y1 for box in boxes) < figure.bbox.y1
    assert min(box.y0 for box in boxes) > axes.get_window_extent().y1
    assert axes.get_window_extent().height == pytest.approx(height, rel=0.1)


def test_one_line_per_member_and_their_mean(make_result):
    scores = make_result(members=3).scores
    alone = make_result(members=1).scores
    assert len(figures.roc_curves(scores).axes[0].lines) == 2 * (3 + 1) + 1
    assert len(figures.roc_curves(alone).axes[0].lines) == 2 + 1


def test_one_epoch_is_drawn_as_a_point():
    history = {key: np.array([[0.5]]) for key in ("loss_train", "loss_test")}
    assert figures.loss_curves(history).axes[0].lines[0].get_marker() == "o"


def test_no_epoch_at_all_gives_empty_axes():
    history = {key: np.zeros((2, 0)) for key in ("loss_train", "loss_test", "accuracy_train", "accuracy_test")}
    assert not figures.loss_curves(history).axes[0].lines
    figures.to_svg(figures.accuracy_curves(history, chance=0.5), "a", "b")


def test_a_class_without_rows_has_no_share():
    svg = figures.to_svg(figures.confusion_matrix(np.array([[0, 0], [1, 3]]), "train"), "a", "b")
    assert "no row of label 0" in svg
    assert "75.0% of label 1" in svg


def test_lines_of_models_look_as_in_the_stylesheet():
    css = files("coretx.reports").joinpath("templates/style.css").read_text()
    light = re.search(r":root \{ (--l0:[^}]*) \}", css)[1]
    assert tuple(re.findall(r"--l\d: (#\w+);", light)) == LINES
    assert (
        tuple(int(place) for place in re.findall(r"\.l(\d) \{ stroke: var\(--l\d\); stroke-dasharray", css)) == DASHED
    )
