"""Rebuild pages, tables and dashboard from the cells on disk."""

from collections.abc import Callable
from pathlib import Path

from coretx.records import durable
from coretx.records.store import load_result
from coretx.reports import publish
from coretx.reports.tables.files import Tables
from coretx.running.plugins import Catalogue


def rebuild_reports(out: Path, catalogue: Catalogue, say: Callable[[str], None]) -> int:
    """Publish every stored cell again, then the dashboard; return 0, or 1 if a cell was left out.

    A broken cell, and a cell of a task that is not known here, is named and left alone. A cell is also left out, and
    removed from the tables, if its task gives its test rows other labels today. Of cells with one page the newest has
    it.
    """
    durable.check_writable(out)
    tables, tasks, models = Tables(out), catalogue.tasks, catalogue.models()
    loaded = {path: load_result(path) for path in sorted((out / "artifacts").glob("*/cells/*.json"))}
    results = sorted(filter(None, loaded.values()), key=lambda result: result.provenance.date)
    outdated: dict[str, str] = {}
    for task in tasks.values():
        outdated |= publish.withdraw_outdated(tables, task)
    left_out = [f"left out, not what was written: {path}" for path, result in loaded.items() if result is None]
    left_out += [
        f"left out, unknown task {result.config.task} (name its file with --plugin): cell {result.config.id}"
        for result in results
        if result.config.task not in tasks
    ]
    for line in (*left_out, *outdated.values()):
        say(line)
    known = [result for result in results if result.config.task in tasks and result.config.id not in outdated]
    for result in known:
        publish.publish_rows(result, tables)
    for task in tasks.values():
        own = [result for result in known if result.config.task == task.name]
        for note in publish.publish_models(own, task, models, tables):
            say(note)
    page = publish.publish_dashboard(tables, **catalogue.order())
    say(f"{len(known)} cells published again: {page}")
    return int(bool(left_out or outdated))
