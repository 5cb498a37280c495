"""Every kind of page, opened from disk as a reader opens it."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

WIDTHS = (390, 1280, 1920)
SCHEMES = ("light", "dark")

VIOLATIONS = """
axe.run({resultTypes: ["violations"]}).then((found) => found.violations.flatMap((violation) =>
  violation.nodes.map((node) => `${violation.id}: ${node.target} ${node.failureSummary}`)))
"""

IDS = "[...document.querySelectorAll('[id]')].map((element) => element.id)"
TABLES = """
() => {
  document.querySelectorAll("details").forEach((details) => { details.open = true; });
  return [...document.querySelectorAll("table")].map((table) => [table.checkVisibility(), table.innerText.trim()]);
}
"""
"""Each table, whether it is to be seen, and what it says; what is folded is unfolded, which needs no script."""

LINKS = "[...document.querySelectorAll('a')].map((link) => [link.href, link.textContent.trim()])"

COLUMN = "(table, place) => [...table.tBodies[0].rows].map((row) => row.cells[place].dataset.accuracy ?? null)"

RING = "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"


@dataclass(frozen=True)
class Reading:
    """What a page holds: the ids of its elements, and the address and text of its links."""

    ids: list[str]
    links: list[tuple[str, str]]


@pytest.fixture
def dashboard(out):
    return out / "benchmarks" / "index.html"


def read(visit, pages, **settings):
    tab = visit(**settings)
    found = {}
    for path in pages:
        page = tab.open(path)
        found[path] = Reading(page.evaluate(IDS), page.evaluate(LINKS))
        assert tab.complaints == [], path
    return found


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_kind_of_page_fits_and_asks_for_nothing(kinds, visit, width, scheme):
    tab, complaints = visit(width, scheme), []
    for path in kinds:
        reached = tab.open(path).evaluate("document.documentElement.scrollWidth")
        complaints += [f"{path.name} {complaint}" for complaint in tab.complaints]
        complaints += [f"{path.name} is {reached} px wide"] if reached > width else []
    assert not complaints, "\n".join(complaints)
    assert {"index.html", "generalisation.html", "diverging.html"} <= {path.name for path in kinds}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing(kinds, visit, axe, scheme):
    tab, violations = visit(390, scheme), []
    for path in kinds:
        page = tab.open(path)
        page.evaluate(axe)
        violations += [f"{path.name}: {violation}" for violation in page.evaluate(VIOLATIONS)]
    assert not violations, "\n".join(violations)


def test_axe_would_find_something(tmp_path, visit, axe):
    """The check above can fail: a picture without a name, text that is hardly darker than its ground."""
    bad = tmp_path / "bad.html"
    bad.write_text('<html lang="en"><title>bad</title><main><h1 style="color: #ccc">bad</h1><img></main></html>')
    page = visit().open(bad)
    page.evaluate(axe)
    assert {violation.partition(":")[0] for violation in page.evaluate(VIOLATIONS)} == {"color-contrast", "image-alt"}


def test_without_scripts_tables_and_links_read_the_same(kinds, visit):
    scripts, none = visit(390), visit(390, scripts=False)
    for path in kinds:
        page, plain = scripts.open(path), none.open(path)
        tables = plain.evaluate(TABLES)
        assert none.complaints == [], path
        assert all(visible and text for visible, text in tables), path
        assert len(tables) == len(page.evaluate(TABLES)), path
        assert [address for address, _ in plain.evaluate(LINKS)] == [address for address, _ in page.evaluate(LINKS)]
        assert not any(control.is_visible() for control in plain.locator("[data-needs-script]").all()), path


def test_every_link_leads_to_what_is_there(pages, dashboard, visit):
    found = read(visit, pages, scripts=False)
    for path, reading in found.items():
        for address, text in reading.links:
            parts = urlsplit(address)
            assert (parts.scheme, parts.netloc) == ("file", ""), (path, address)
            target = Path(unquote(parts.path))
            assert target in found or target.is_file(), (path, address)  # a page, or a table to download
            assert not parts.fragment or unquote(parts.fragment) in found[target].ids, (path, address)
            assert text, (path, address)
    linked = {Path(unquote(urlsplit(address).path)) for reading in found.values() for address, _ in reading.links}
    alone = {path for path in pages if "_parity" in path.parts or path.name == "comparison.html"}
    assert set(pages) - alone - {dashboard} <= linked


@pytest.mark.parametrize("scripts", [True, False])
def test_a_score_leads_to_its_model_s_page(dashboard, visit, scripts):
    page = visit(scripts=scripts).open(dashboard)
    page.locator("td a:visible", has_text="diverged").first.click()
    assert "diverging" in page.locator("h1").inner_text()


def test_a_press_on_a_heading_sorts_its_column(dashboard, visit):
    table = visit().open(dashboard).locator("table.scores").first
    head = table.locator("thead th").nth(1)
    ladder = table.evaluate(COLUMN, 1)
    numbers = sorted(float(value) for value in ladder if value is not None)
    missing = [None] * (len(ladder) - len(numbers))
    assert missing  # the cell that diverged
    for direction, expected in (("descending", numbers[::-1]), ("ascending", numbers)):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == direction
        found = table.evaluate(COLUMN, 1)
        assert [None if value is None else float(value) for value in found] == expected + missing
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    assert table.evaluate(COLUMN, 1) == ladder


def test_headings_are_pressed_by_keyboard(dashboard, visit):
    page = visit().open(dashboard)
    page.locator("table.scores thead button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("table.scores thead th").first.get_attribute("aria-sort") is not None


def test_accuracy_gives_way_to_loss(dashboard, visit):
    page = visit().open(dashboard)
    score = page.locator("td[data-accuracy]:visible").first
    shown = {name: f".{name} > .value" for name in ("accuracy", "loss")}
    assert score.locator(shown["accuracy"]).is_visible()
    button = page.get_by_role("button", name="Loss", exact=True)
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert not score.locator(shown["accuracy"]).is_visible()
    assert float(score.locator(shown["loss"]).inner_text()) == pytest.approx(
        float(score.get_attribute("data-loss")), abs=5e-4
    )


def test_every_choice_of_a_filter_shows_something_else(dashboard, visit):
    page = visit().open(dashboard)
    selects = page.locator("select").all()
    assert selects
    for select in selects:
        values = [option.get_attribute("value") for option in select.locator("option").all()]
        shown = []
        for value in values:
            select.select_option(value)
            shown.append("\n".join(table.inner_text() for table in page.locator("table:visible").all()))
        assert all(shown)
        assert len(set(shown)) == len(values) > 1
        select.select_option(index=0)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_has_the_focus_has_a_ring(dashboard, visit, scheme):
    page = visit(scheme=scheme).open(dashboard)
    for _ in range(8):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(RING)
        assert (name != "BODY", outline) == (True, "solid")
