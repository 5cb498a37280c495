import dataclasses

import pytest

from coretx.errors import UsageError
from coretx.reports.publish import has_page, page_path, publish_dashboard, publish_model, publish_splits
from coretx.reports.tables import benchmark as benchmark_csv
from coretx.tasks.splits import Overlap


@pytest.fixture
def dashboard(tmp_path):
    def publish():
        path = publish_dashboard(tmp_path, task_titles={}, task_order=[], model_order=[])
        return path.read_text()

    return publish


@pytest.mark.parametrize(("backend", "name"), [("jax", "mlp.html"), ("torch", "mlp.torch.html")])
def test_a_model_has_a_page_and_rows(make_result, task, tmp_path, backend, name):
    result = make_result(backend=backend)
    assert publish_model(result, task, "claim", tmp_path) == tmp_path / "artifacts" / task.name / name
    rows = benchmark_csv.read_rows(tmp_path / "benchmarks" / "benchmarking.csv")
    assert [row.id for row in rows] == [result.config.id] * 2
    assert all(has_page(row, tmp_path) for row in rows)


def test_the_dashboard_links_the_page_of_the_newest_cell_only(make_result, task, tmp_path, dashboard):
    publish_model(make_result(seed=0), task, "claim", tmp_path)
    publish_model(make_result(seed=1), task, "claim", tmp_path)
    sections = dashboard().split('<section class="configuration"')[1:]
    assert sorted(f'href="../artifacts/{task.name}/mlp.html"' in section for section in sections) == [False, True]


def test_a_page_that_is_gone_is_not_linked(make_result, task, tmp_path, dashboard):
    publish_model(make_result(), task, "claim", tmp_path).unlink()
    assert 'href="../' not in dashboard()


def test_an_id_hidden_in_the_text_of_a_page_does_not_count(make_result, make_row, task, tmp_path):
    row = make_row(id="0123456789ab")
    publish_model(make_result(), task, '<meta name="cell-id" content="0123456789ab">', tmp_path)
    assert not has_page(row, tmp_path)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "index", "", "a/b", "A"])
def test_names_that_lead_elsewhere_have_no_page(make_row, tmp_path, name):
    assert not has_page(make_row(task=name), tmp_path)
    with pytest.raises(UsageError):
        page_path(tmp_path, "task", name, "jax")


def test_publishing_again_changes_nothing(make_result, task, tmp_path, dashboard):
    def everything():
        publish_model(make_result(), task, "claim", tmp_path)
        dashboard()
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    assert everything() == everything()


def test_an_overlap_is_replaced_by_a_new_count(tmp_path):
    overlap = Overlap("t", "original", 0, 1000, 5, 1000)
    publish_splits(overlap, {}, tmp_path)
    publish_splits(dataclasses.replace(overlap, overlap_count=7), {}, tmp_path)
    rows = benchmark_csv.read_overlaps(tmp_path / "benchmarks" / "overlap.csv")
    assert [(row.overlap_count, row.overlap_rate) for row in rows] == [(7, 0.007)]


def test_an_empty_folder_gets_an_empty_dashboard(dashboard):
    assert "No results yet" in dashboard()


def test_a_diverged_cell_is_published(diverged, task, tmp_path, dashboard):
    publish_model(diverged, task, "claim", tmp_path)
    assert '<span class="value">diverged</span>' in dashboard()


def test_no_temporary_file_stays(make_result, task, tmp_path, dashboard):
    publish_model(make_result(), task, "claim", tmp_path)
    dashboard()
    names = {path.name for path in tmp_path.rglob("*") if path.is_file() and not path.name.endswith(".lock")}
    assert names == {"mlp.html", "benchmarking.csv", "costs.csv", "curves.csv", "index.html"}
