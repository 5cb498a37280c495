"""Compare two runs: `python -m coretx.compare A B` writes a page with the differences of their cells, paired.

A and B are output folders, engines (jax, torch) or commits (four hex digits or more). Engines and commits select
cells below `--out`.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from coretx.api import load_results
from coretx.errors import OutputError, UsageError, choices
from coretx.records import durable
from coretx.records.results import ModelResult
from coretx.running.plugins import load_catalogue
from coretx.training.backend import ENGINES

COMMIT = re.compile(r"[0-9a-f]{4,40}(-dirty)?")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code. 0: the page is written. 2: usage. 3: the disk refuses."""
    parser = argparse.ArgumentParser(prog="python -m coretx.compare", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("first", metavar="A", help="an output folder, an engine (jax, torch) or a commit")
    parser.add_argument("second", metavar="B", help="likewise; the differences are B less A")
    parser.add_argument("--out", type=Path, default=Path(), help="the folder in which engines and commits select cells")
    parser.add_argument("--page", type=Path, default=Path("comparison.html"), help="where to write the page")
    parser.add_argument("--plugin", type=Path, nargs="*", default=[], help="Python files with tasks of your own")
    given = parser.parse_args(argv)
    try:
        print(f"wrote {compare(given.first, given.second, given.out, given.page, given.plugin)}")
    except (UsageError, OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def compare(first: str, second: str, out: Path, page: Path, plugins: Sequence[Path] = ()) -> Path:
    """Compare two runs, write the page and return its path; UsageError for runs that cannot be compared."""
    from coretx.reports.pages.comparison_page import compare_cells, render_comparison  # late: it brings jinja2

    if page.is_dir() or page.suffix != ".html":
        raise UsageError(f"--page must name a file that ends in .html, got {page}: choose another")
    catalogue = load_catalogue(plugins)
    (one, folder), (other, other_folder) = select(first, out), select(second, out)
    same_cells = {result.config.id for result in one} == {result.config.id for result in other}
    if same_cells and folder.resolve() == other_folder.resolve():
        raise UsageError(f"A and B must be two runs, but {first} and {second} are the same cells: name another one")
    order = catalogue.order()
    html = render_comparison(
        compare_cells(one, other, catalogue.tasks),
        (first, second),
        (one, other),
        links=(_links(folder, page), _links(other_folder, page)),
        titles=order["task_titles"],
        task_order=order["task_order"],
        model_order=order["model_order"],
    )
    durable.write_text(page, html)
    return page


def select(name: str, out: Path) -> tuple[list[ModelResult], Path]:
    """Return the cells that A or B names, and the folder they lie below; UsageError if it names no cell."""
    if name not in ENGINES and Path(name).is_dir():
        return list(load_results(name)), Path(name)
    if name not in ENGINES and COMMIT.fullmatch(name) is None:
        raise UsageError(
            f"A and B must each be an output folder, an engine ({choices(ENGINES)}) or a commit of four hex digits or "
            f"more; got {name!r}: name one of these"
        )
    kind = "engine" if name in ENGINES else "commit"
    origins = [(r.config.backend if kind == "engine" else r.provenance.commit, r) for r in load_results(out)]
    found = [result for origin, result in origins if origin.startswith(name)]
    if not found:
        known = choices(sorted({origin for origin, _ in origins}))
        raise UsageError(
            f"no results below {out} of {kind} {name}; there are {known}: name another, or another folder by --out"
        )
    return found, out


def _links(folder: Path, page: Path) -> Callable[[ModelResult], str | None]:
    """Return a function that gives the address of a cell's page as seen from the comparison's."""
    from coretx.reports.publish import has_page, page_path
    from coretx.reports.tables.benchmark import score_rows

    def link(result: ModelResult) -> str | None:
        row = next(iter(score_rows(result)), None)
        if row is None or not has_page(row, folder):
            return None
        path = page_path(folder, row.task, row.model, row.backend, row.recipe)
        return quote(os.path.relpath(path.resolve(), page.parent.resolve()))

    return link


if __name__ == "__main__":
    raise SystemExit(main())
