"""A model page knows its neighbours on the ladder, whatever was trained first."""

import pytest

from coretx.models.registry import build_models
from coretx.records.store import save_result
from coretx.reports.pages.ladder_neighbours import with_rungs
from coretx.reports.publish import page_path, publish_comparisons, publish_rungs
from coretx.reports.tables.files import Tables

NAMES = [spec.name for spec in build_models()]


@pytest.fixture
def publish(make_result, publish_cell, task, tmp_path):
    """A function that stores cells of these models, publishes them, and returns the text of each one's page."""

    def pages(*models, parse, **noises):
        results = [make_result(model=model, noise=noises.get(model, 4.0)) for model in models]
        for result in results:
            save_result(result, tmp_path)
            publish_cell(result)
        tables = Tables(tmp_path)
        publish_comparisons(tables, task, NAMES)
        publish_rungs(tables, task, build_models())
        found = tmp_path.glob("artifacts/*/*.html")
        return {path.stem: parse(path.read_text(encoding="utf-8")) for path in found}

    return pages


def test_neighbours_are_the_nearest_rungs_that_were_trained(publish, parse):
    pages = publish("temporal", "logreg", "multilayer_transformer", parse=parse)
    links = {model: [link["href"] for link in page.all("a")] for model, page in pages.items()}
    assert links == {
        "logreg": ["temporal.html"],
        "temporal": ["logreg.html", "multilayer_transformer.html"],
        "multilayer_transformer": ["temporal.html"],
    }


def test_what_a_rung_bought_is_the_paired_difference(publish, parse):
    text = publish("logreg", "mlp", parse=parse, logreg=30.0, mlp=0.0)["mlp"].text
    assert "mlp adds:" in text
    assert "What that bought: +" in text
    assert "These runs: better , 95 % interval +" in text
    assert "This recipe: better , 95 % interval +" in text
    assert "points of accuracy on test, one of 6 steps of the ladder (Holm)." in text


def test_neighbours_that_are_no_step_of_the_ladder_are_exploratory(publish, parse):
    text = publish("logreg", "temporal", parse=parse, logreg=30.0, temporal=0.0)["temporal"].text
    assert "These runs: better" in text
    assert "no step of the ladder, so exploratory: not corrected." in text


def test_a_model_that_comes_later_is_found_by_the_pages_that_are_there(publish, parse):
    assert "On the ladder" not in publish("logreg", parse=parse)["logreg"].text
    assert "After: mlp" in publish("mlp", parse=parse)["logreg"].text


def test_two_cells_that_were_not_compared_say_so(make_result, publish_cell, task, parse, tmp_path):
    for model in ("logreg", "mlp"):
        publish_cell(make_result(model=model))  # not stored: no answers to compare
    publish_rungs(Tables(tmp_path), task, build_models())
    page = parse(page_path(tmp_path, task.name, "mlp", "jax").read_text(encoding="utf-8"))
    assert "mlp and logreg were not compared" in page.text


def test_a_page_without_the_place_stays_as_it_is():
    assert with_rungs("<p>no place</p>", "part") == "<p>no place</p>"
