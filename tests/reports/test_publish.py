import dataclasses

import pytest

from coretx.errors import UsageError
from coretx.records.csv_tables import CsvTable
from coretx.reports.publish import (
    has_page,
    is_published,
    page_path,
    publish_dashboard,
    publish_pages,
    publish_rows,
    publish_splits,
)
from coretx.reports.tables.benchmark import SCORES
from coretx.reports.tables.draws import OVERLAPS
from coretx.reports.tables.files import FILES, Tables
from coretx.tasks.splits import Overlap


@pytest.fixture
def dashboard(tmp_path):
    def publish():
        path = publish_dashboard(Tables(tmp_path), task_titles={}, task_order=[], model_order=[])
        return path.read_text()

    return publish


@pytest.mark.parametrize(("backend", "name"), [("jax", "mlp.html"), ("torch", "mlp.torch.html")])
def test_a_model_has_a_page_and_rows(make_result, publish_cell, task, tmp_path, backend, name):
    result = make_result(backend=backend)
    assert publish_cell(result) == tmp_path / "artifacts" / task.name / name
    tables = Tables(tmp_path)
    assert [row.id for row in tables[SCORES].rows] == [result.config.id] * 2
    assert all(has_page(row, tmp_path) for row in tables[SCORES].rows)
    assert is_published(result, tables)


@pytest.fixture
def touched(monkeypatch):
    """The number of rows of all tables that were read, and that were put into text."""
    numbers, read, text = {"read": 0, "written": 0}, CsvTable.read, CsvTable.text

    def reading(table, path):
        rows = read(table, path)
        numbers["read"] += len(rows)
        return rows

    def writing(table, rows):
        numbers["written"] += len(rows)
        return text(table, rows)

    monkeypatch.setattr(CsvTable, "read", reading)
    monkeypatch.setattr(CsvTable, "text", writing)
    return numbers


def test_many_cells_are_published_in_linear_time(make_result, tmp_path, touched):
    """Each of 400 cells rewrote every table: 800,000 rows read and written, for 1,600."""
    result, tables = make_result(), Tables(tmp_path)
    for seed in range(400):
        one = dataclasses.replace(result, config=dataclasses.replace(result.config, seed=seed))
        assert not is_published(one, tables)
        publish_rows(one, tables)
    tables.flush()
    assert touched["read"] == 0
    assert touched["written"] < 8 * 1600
    published = Tables(tmp_path)
    assert sum(len(published[table].rows) for table in FILES) == 1600


def test_cells_that_finish_in_another_order_leave_the_same_tables(make_result, publish_cell, tmp_path):
    cells = [make_result(model=model, seed=seed) for model in ("temporal", "mlp") for seed in (3, 0)]
    for folder, order in (("one", cells), ("other", cells[::-1])):
        for result in order:
            publish_cell(result, out=tmp_path / folder)
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / folder).rglob("*.csv")} for folder in ("one", "other")
    )
    assert set(one) == {"benchmarking.csv", "costs.csv", "curves.csv"}
    assert one == other


def test_the_dashboard_links_the_page_of_the_last_cell_only(make_result, task, tmp_path, dashboard):
    tables, results = Tables(tmp_path), [make_result(seed=seed) for seed in (0, 1)]
    for result in results:
        publish_rows(result, tables)
    publish_pages(results, task, [], tables)
    tables.flush()
    sections = dashboard().split('<section class="configuration"')[1:]
    assert sorted(f'href="../artifacts/{task.name}/mlp.html"' in section for section in sections) == [False, True]
    assert [is_published(result, tables) for result in results] == [False, True]


def test_a_page_that_is_gone_is_not_linked(make_result, publish_cell, dashboard):
    publish_cell(make_result()).unlink()
    assert 'href="../' not in dashboard()


def test_an_id_hidden_in_the_text_of_a_page_does_not_count(make_result, publish_cell, make_row, tmp_path):
    row = make_row(id="0123456789ab")
    publish_cell(make_result(), claim='<meta name="cell-id" content="0123456789ab">')
    assert not has_page(row, tmp_path)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "index", "", "a/b", "A"])
def test_names_that_lead_elsewhere_have_no_page(make_row, tmp_path, name):
    assert not has_page(make_row(task=name), tmp_path)
    with pytest.raises(UsageError):
        page_path(tmp_path, "task", name, "jax")


def test_publishing_again_changes_nothing_and_leaves_no_temporary_file(make_result, publish_cell, tmp_path, dashboard):
    def everything():
        publish_cell(make_result())
        dashboard()
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    files = everything()
    assert files == everything()
    names = {path.name for path in files if not path.name.endswith(".lock")}
    assert names == {"mlp.html", "benchmarking.csv", "costs.csv", "curves.csv", "index.html"}


def test_an_overlap_is_replaced_by_a_new_count(tmp_path):
    overlap, tables = Overlap("t", "original", 0, 1000, 5, 1000), Tables(tmp_path)
    publish_splits(overlap, {}, tables)
    publish_splits(dataclasses.replace(overlap, overlap_count=7), {}, tables)
    assert [(row.overlap_count, row.overlap_rate) for row in tables[OVERLAPS].rows] == [(7, 0.007)]


def test_an_empty_folder_gets_an_empty_dashboard(dashboard):
    assert "No results yet" in dashboard()


def test_a_diverged_cell_is_published(diverged, publish_cell, dashboard):
    publish_cell(diverged)
    assert '<span class="value">diverged</span>' in dashboard()
