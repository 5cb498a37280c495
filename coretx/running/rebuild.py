"""Pages, rows and dashboard again, from the cells on disk."""

from collections.abc import Callable
from pathlib import Path

from coretx.records import durable
from coretx.records.store import load_result
from coretx.reports import publish
from coretx.reports.outdated import is_outdated, withdraw_outdated
from coretx.running.plugins import Catalogue


def rebuild_reports(out: Path, catalogue: Catalogue, say: Callable[[str], None]) -> int:
    """Publish every stored cell again, oldest first, then the dashboard; return 0, or 1 where a cell was not whole.

    A cell that is broken, or of a task that is not known here, is named and left alone; so is one whose test rows its
    task gives other labels today, and it is taken out of the tables.
    """
    durable.check_writable(out)
    claims = {spec.name: spec.claim for spec in catalogue.models()}
    loaded = {path: load_result(path) for path in sorted((out / "artifacts").glob("*/cells/*.json"))}
    results = [result for result in loaded.values() if result is not None]
    broken = [path for path, result in loaded.items() if result is None]
    unknown = [result for result in results if result.config.task not in catalogue.tasks]
    for path in broken:
        say(f"left out, not what was written: {path}")
    for result in unknown:
        say(f"left out, unknown task {result.config.task} (name its file with --plugin): cell {result.config.id}")
    outdated = [line for task in catalogue.tasks.values() for line in withdraw_outdated(out, task)]
    for line in outdated:
        say(line)
    found = [(result, catalogue.tasks.get(result.config.task)) for result in results]
    known = [result for result, task in found if task and not is_outdated(result.predictions.get("test"), task)]
    known.sort(key=lambda result: result.provenance.date)
    for result in known:
        publish.publish_rows(result, out)
    for result in known:
        task, claim = catalogue.tasks[result.config.task], claims.get(result.config.model, "")
        publish.publish_page(result, task, claim, out)
    order = catalogue.order()
    for task in catalogue.tasks.values():
        for note in publish.publish_comparisons(out, task, order["model_order"]):
            say(note)
        publish.publish_task(out, task, order["model_order"])
        publish.publish_rungs(out, task, catalogue.models())
    page = publish.publish_dashboard(out, **order)
    say(f"{len(known)} cells published again: {page}")
    return int(bool(broken or unknown or outdated))
