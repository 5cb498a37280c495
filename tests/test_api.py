"""The use from Python that README and the docstring of coretx.api show."""

from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from coretx import RunConfig, load_results, run
from coretx.errors import UsageError
from coretx.reports.figures import plots as figures


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def config(out):
    return RunConfig(
        tasks=("has_all_tokens",),
        models=("logreg", "mlp"),
        members=2,
        epochs=3,
        n_samples=(40,),
        out=out,
        wandb="disabled",
    )


@pytest.fixture(scope="module")
def results(config):
    return run(config)


def test_run_returns_the_results_in_the_order_of_the_plan(results):
    assert [result.config.model for result in results] == ["logreg", "mlp"]
    (mlp,) = results.where(model="mlp")
    assert mlp.history["accuracy_test"].mean(axis=0).shape == (3,)


def test_reused_results_are_returned_too(results, config):
    again = run(RunConfig(**{**config.__dict__, "reuse": "same"}))
    assert [result.config for result in again] == [result.config for result in results]
    assert [result.scores["test"].loss.tobytes() for result in again] == [
        r.scores["test"].loss.tobytes() for r in results
    ]


def test_stored_results_are_found_again(results, out):
    loaded = load_results(out)
    assert [result.config for result in loaded] == [result.config for result in results]


def test_results_print_as_a_table(results):
    head, *lines = repr(results).splitlines()
    assert head.split()[:3] == ["task", "model", "backend"]
    assert [line.split()[:2] for line in lines] == [["has_all_tokens", "logreg"], ["has_all_tokens", "mlp"]]
    assert results[0].summary("test")["accuracy"] in lines[0]


def test_results_are_tables_in_a_notebook(results):
    table = ElementTree.fromstring(results._repr_html_())
    assert [[cell.text for cell in row][1] for row in table.find("tbody")] == ["logreg", "mlp"]
    one = ElementTree.fromstring(results[0]._repr_html_())
    assert [row.find("th").text for row in one.findall("tr")] == ["train", "validation", "test"]


def test_a_result_prints_in_one_line(results):
    shown = repr(results[0])
    assert shown.startswith("<logreg on has_all_tokens in jax, done: test accuracy ")
    assert "\n" not in shown


def test_figures_are_matplotlib_s(results):
    assert isinstance(figures.loss_curves(results[0].history), Figure)


def test_slices_are_results(results):
    assert repr(results[:1]).splitlines()[1:] == repr(results).splitlines()[1:2]


def test_unknown_filter_lists_the_known_ones(results):
    with pytest.raises(UsageError, match=r"task, model, backend.*got colour"):
        results.where(colour="red")


def test_folder_without_results_says_what_was_looked_for(tmp_path):
    with pytest.raises(UsageError, match="no results below"):
        load_results(tmp_path)


def test_broken_cell_is_named(results, out, tmp_path):
    (source, *_) = sorted(out.glob("artifacts/*/cells/*.json"))
    broken = tmp_path / "artifacts" / "t" / "cells" / source.name
    broken.parent.mkdir(parents=True)
    broken.write_text("{}")
    with pytest.raises(UsageError, match=source.name):
        load_results(tmp_path)
