"""Publish the tables of a run: `python -m benchmarks.publish --out OUT`, the last step of `make published`.

The tables of OUT/benchmarks go to `--folder`, benchmarks/published by default. Rows of tasks that were not run stay.
The dashboard is made from the tables alone, so that it links no model page: those are not committed.
"""

import tempfile
from pathlib import Path

import tyro

from coretx.records.durable import write_text
from coretx.reports.publish import publish_dashboard
from coretx.reports.tables.files import Tables
from coretx.running.plugins import load_catalogue

PUBLISHED = Path(__file__).parent / "published"


def merged(published: str, new: str) -> str:
    """Return the new table with the published rows of the tasks that it does not have. Both are sorted by task.

    >>> merged("task,n\\na,1\\nb,1\\nc,1\\n", "task,n\\nb,2\\n").splitlines()
    ['task,n', 'a,1', 'b,2', 'c,1']
    """
    (head, *rows), (_, *before) = new.splitlines(), published.splitlines() or [""]
    column = head.split(",").index("task")

    def task(row: str) -> str:
        return row.split(",")[column]

    done = {task(row) for row in rows}
    kept = [row for row in before if task(row) not in done]
    return "\n".join([head, *sorted(rows + kept, key=task)]) + "\n"


def main(out: Path, folder: Path = PUBLISHED) -> None:
    """Write the tables of a run and their dashboard into the folder."""
    with tempfile.TemporaryDirectory() as scratch:
        tables = Path(scratch) / "benchmarks"
        for new in sorted((out / "benchmarks").glob("*.csv")):
            old = folder / new.name
            write_text(tables / new.name, merged(old.read_text() if old.exists() else "", new.read_text()))
        publish_dashboard(Tables(Path(scratch)), **load_catalogue().order())
        for made in sorted(path for path in tables.iterdir() if path.suffix in (".csv", ".html")):
            write_text(folder / made.name, made.read_text())
            print(f"wrote {folder / made.name}")


if __name__ == "__main__":
    tyro.cli(main)
