"""Tables in Markdown, and the part of a page between two marks that a benchmark writes."""

from collections.abc import Sequence
from pathlib import Path

from coretx.errors import UsageError
from coretx.records.durable import write_text

NONE = "-"
"""The cell of a table that has no figure."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, with all but the first column aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def put_between(page: Path, mark: str, text: str) -> None:
    """Replace the text between `<!--mark-->` and `<!--/mark-->`. UsageError for a page without them."""
    begin, end = f"<!--{mark}-->", f"<!--/{mark}-->"
    before, _, rest = (page.read_text(encoding="utf-8") if page.is_file() else "").partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise UsageError(f"--write needs a file with {begin} and {end}, got {page} without them: add them")
    write_text(page, f"{before}{begin}\n\n{text}\n\n{end}{after}")
