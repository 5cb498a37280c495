"""A published dashboard is made from its tables alone, and holds what was published of other tasks."""

from benchmarks.publish import PUBLISHED, main
from coretx.reports.publish import has_page
from coretx.reports.tables.benchmark import SCORES
from coretx.reports.tables.files import Tables


def table(folder, name, *rows):
    folder.mkdir(parents=True, exist_ok=True)
    head = (PUBLISHED / name).read_text().splitlines()[0]
    (folder / name).write_text("\n".join([head, *rows]) + "\n")


def rows(task):
    """Return the published scores of a task, as lines."""
    lines = (PUBLISHED / "benchmarking.csv").read_text().splitlines()
    return [line for line in lines if line.split(",")[1] == task]


def test_rows_of_the_tasks_that_were_run_are_replaced(tmp_path):
    run, folder = tmp_path / "out", tmp_path / "published"
    new, old = rows("has_all_tokens")[:2], rows("two_digit_sum")
    table(folder, "benchmarking.csv", *rows("has_all_tokens"), *old)
    table(run / "benchmarks", "benchmarking.csv", *new)
    main(run, folder)
    assert (folder / "benchmarking.csv").read_text().splitlines()[1:] == new + old
    page = (folder / "index.html").read_text()
    assert "has_all_tokens" in page
    assert "two_digit_sum" in page


def test_no_page_that_is_not_committed_is_linked(tmp_path):
    pages = tmp_path / "artifacts" / "has_all_tokens"
    pages.mkdir(parents=True)
    cell, model = (rows("has_all_tokens")[0].split(",")[place] for place in (0, 2))
    (pages / f"{model}.html").write_text(f'<meta name="cell-id" content="{cell}">')
    table(tmp_path / "benchmarks", "benchmarking.csv", *rows("has_all_tokens"))
    (row,) = {row.id: row for row in Tables(tmp_path)[SCORES].rows if row.id == cell}.values()
    assert has_page(row, tmp_path)
    main(tmp_path, tmp_path / "published")
    assert 'href="../' not in (tmp_path / "published" / "index.html").read_text()


def test_the_committed_dashboard_links_files_beside_it_alone():
    assert 'href="../' not in (PUBLISHED / "index.html").read_text()
