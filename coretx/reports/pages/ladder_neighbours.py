"""The part of a model page that knows its neighbours on the ladder: written last, when models were compared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from coretx.models.spec import ModelSpec
from coretx.reports.pages.dashboard import page_name
from coretx.reports.pages.formatting import percent
from coretx.reports.pages.templating import render
from coretx.reports.pages.verdicts import Gain, Pairs, gain
from coretx.reports.tables.benchmark import BenchmarkRow
from coretx.reports.tables.configurations import Configuration

START, END = "<!--rungs-->", "<!--/rungs-->"
"""Where the part stands in a page. Text of tasks and models cannot write these: it is escaped."""


@dataclass(frozen=True)
class Rung:
    """A neighbour: its name, what its rung claims, its accuracy on test, its page if there is one.

    `gained` is what the later of the two rungs added to the earlier one, None where they were not compared.
    """

    name: str
    claim: str
    accuracy: str
    page: str | None
    gained: Gain | None


@dataclass(frozen=True)
class Neighbours:
    """The rungs before and after a model in one configuration, each None at an end of what is there."""

    own: str
    claim: str
    before: Rung | None
    after: Rung | None


def neighbours(
    configuration: Configuration,
    task: str,
    model: str,
    specs: Sequence[ModelSpec],
    pairs: Pairs,
    has_page: Callable[[BenchmarkRow], bool],
) -> Neighbours:
    """Return the nearest rungs, before and after in the order of the specs, that have a test row of this task."""
    rows: Mapping[str, BenchmarkRow] = {
        name: cell["test"] for (of, name), cell in configuration.cells.items() if of == task and "test" in cell
    }
    order = [spec.name for spec in specs]
    claims = {spec.name: spec.claim for spec in specs}
    there = [name for name in order if name in rows]
    place = there.index(model) if model in there else -1
    before = there[place - 1] if place > 0 else None
    after = there[place + 1] if 0 <= place < len(there) - 1 else None

    def rung(name: str | None, gained: Gain | None) -> Rung | None:
        if name is None:
            return None
        row = rows[name]
        page = page_name(name, row.backend, row.recipe) if has_page(row) else None
        accuracy = "diverged" if row.accuracy is None else percent(row.accuracy)
        return Rung(name, claims[name], accuracy, page, gained)

    return Neighbours(
        own=model,
        claim=claims.get(model, ""),
        before=rung(before, gain(rows.get(model), rows.get(before or ""), pairs)),
        after=rung(after, gain(rows.get(after or ""), rows.get(model), pairs)),
    )


def render_rungs(found: Neighbours) -> str:
    """Return the part as HTML; nothing for a model without neighbours."""
    return render("rungs.html", found=found).strip()


def with_rungs(page: str, part: str) -> str:
    """Return the page with this part in the place of the one it has; the page as it is where it has no place for it.

    >>> with_rungs("a<!--rungs-->b<!--/rungs-->c", "new")
    'a<!--rungs-->new<!--/rungs-->c'
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    return before + start + part + end + after if end else page
