"""A model page knows its neighbours on the ladder, whatever was trained first."""

import pytest

from coretx.models.registry import build_models
from coretx.records.store import save_result
from coretx.reports.publish import page_path, publish_comparisons, publish_pages, publish_rows
from coretx.reports.tables.files import Tables

NAMES = [spec.name for spec in build_models()]


@pytest.fixture
def publish(make_result, task, tmp_path):
    """A function that stores cells of these models, publishes them, and returns the text of each one's page."""

    def pages(*models, parse, **noises):
        results, tables = [make_result(model=model, noise=noises.get(model, 4.0)) for model in models], Tables(tmp_path)
        for result in results:
            save_result(result, tmp_path)
            publish_rows(result, tables)
        publish_comparisons(tables, task, NAMES)
        publish_pages(results, task, build_models(), tables)
        tables.flush()
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
    assert "Effect: +" in text
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


def test_of_cells_with_one_page_the_last_has_it(make_result, task, tmp_path):
    results = [make_result(model="mlp", seed=seed) for seed in (0, 3)]
    publish_pages(results, task, build_models(), Tables(tmp_path))
    (page,) = tmp_path.glob("artifacts/*/*.html")
    assert results[1].config.id in page.read_text(encoding="utf-8")


def test_two_cells_that_were_not_compared_say_so(make_result, task, parse, tmp_path):
    results = [make_result(model=model) for model in ("logreg", "mlp")]  # not stored: no answers to compare
    tables = Tables(tmp_path)
    for result in results:
        publish_rows(result, tables)
    publish_pages(results, task, build_models(), tables)
    page = parse(page_path(tmp_path, task.name, "mlp", "jax").read_text(encoding="utf-8"))
    assert "mlp and logreg were not compared" in page.text
