"""Every number in docs/findings.md is that of a row of the published table."""

import csv
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
LINES = re.findall(r"^- (.*)$", TEXT, re.MULTILINE)
WHOSE = r"`(?P<model>\w+)`(?: over `(?P<against>\w+)`)? on `(?P<task>\w+)`(?: under (?P<protocol>original))?"
WHERE = r"(?: with (?P<n>[\d,]+) rows)?(?P<split> in train at the last epoch)?"
LINE = re.compile(WHOSE + WHERE + r": (?P<number>[+-]?[\d.]+) (?:%|points, (?P<verdict>.*))")


def rows(name, **wanted):
    with (ROOT / "benchmarks" / "published" / name).open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if all(row[key] == value for key, value in wanted.items())]


def test_every_line_of_evidence_can_be_read():
    assert len(LINES) > 30
    assert [line for line in LINES if LINE.fullmatch(line) is None] == []


def test_every_finding_has_evidence():
    """What is said in bold is followed by a line of evidence before the next is said."""
    findings = re.split(r"^\*\*", TEXT, flags=re.MULTILINE)[1:]
    assert findings
    assert [found.split("**")[0] for found in findings if "\n- " not in found] == []


@pytest.mark.parametrize("line", LINES)
def test_line_is_a_row_of_the_table(line):
    said = LINE.fullmatch(line).groupdict()
    if said["n"]:
        place = {"model": said["model"], "task": said["task"], "n": said["n"].replace(",", "")}
        (row,) = rows("learning_curves/points.csv", **place)
        assert f"{100 * float(row['test']):.1f}" == said["number"]
        return
    members, recipe = ("1", "original") if said["protocol"] else ("5", "tuned")
    wanted = {
        "model": said["model"],
        "task": said["task"],
        "backend": "jax",
        "protocol": said["protocol"] or "disjoint",
        "recipe": recipe,
        "members": members,
        "n_samples": "1000",
        "seed": "0",
    }
    if said["against"]:
        (row,) = rows("comparisons.csv", against=said["against"], **wanted)
        verdict = row["recipe_verdict"] + ", exploratory" * int(row["exploratory"])
        assert (f"{100 * float(row['difference']):+.1f}", verdict) == (said["number"], said["verdict"])
    else:
        (row,) = rows("benchmarking.csv", split="train" if said["split"] else "test", epochs="1000", **wanted)
        accuracy = float(row["accuracy_last" if said["split"] else "accuracy"])
        assert f"{100 * accuracy:.1f}" == said["number"]


def test_the_table_of_the_readme_is_that_of_the_published_rows():
    """A number with a sign is the gain over the rung above it, shown to be better or worse; the others are scores."""
    published = {"backend": "jax", "protocol": "disjoint", "recipe": "tuned", "members": "5", "n_samples": "1000"}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found, above = 0, ""
    for model, cells in re.findall(r"^\| `(\w+)` \|(.*)\|$", text, re.MULTILINE):
        for task, number in re.findall(r"`(\w+)` ([+-]?[\d.]+)", cells):
            if number[0] in "+-":
                (row,) = rows("comparisons.csv", model=model, against=above, task=task, **published)
                assert row["recipe_verdict"] == {"+": "better", "-": "worse"}[number[0]]
                assert f"{100 * float(row['difference']):+.1f}" == number
            else:
                (row,) = rows("benchmarking.csv", model=model, task=task, split="test", epochs="1000", **published)
                assert f"{100 * float(row['accuracy']):.1f}" == number
            found += 1
        above = model
    assert found > 10


def test_no_rung_is_better_or_worse_than_another_on_arithmetic():
    published = {"backend": "jax", "protocol": "disjoint", "recipe": "tuned", "members": "5"}
    tasks = ("single_digit_sum", "single_digit_sum_swapped", "two_digit_sum", "multi_digit_sum")
    verdicts = [row["recipe_verdict"] for task in tasks for row in rows("comparisons.csv", task=task, **published)]
    assert len(verdicts) == 84
    assert set(verdicts) <= {"equal", "unclear"}


def test_the_other_engine_says_the_same():
    """The counts of the last section, each from the rows."""
    alike = {"protocol": "disjoint", "recipe": "tuned", "n_samples": "1000", "seed": "0"}
    jax = {"backend": "jax", "members": "5"} | alike
    torch = {"backend": "torch", "members": "1"} | alike
    five = {_pair(row): row for row in rows("comparisons.csv", **jax)}
    one = {_pair(row): row for row in rows("comparisons.csv", **torch)}
    assert five.keys() == one.keys()
    assert len(five) == 189
    assert {row["recipe_verdict"] for row in one.values()} == {"needs 3 members"}
    said = {pair: (one[pair]["runs_verdict"], five[pair]["runs_verdict"]) for pair in five}
    words = {pair: [verdict.split(",")[0] for verdict in both] for pair, both in said.items()}
    assert sum(first == second for first, second in words.values()) == 169
    assert [pair for pair, both in words.items() if sorted(both) == ["better", "worse"]] == []

    scores = [
        {_cell(row): float(row["accuracy"]) for row in rows("benchmarking.csv", split="test", **engine)}
        for engine in (jax, torch)
    ]
    apart = {cell: abs(scores[0][cell] - scores[1][cell]) for cell in scores[0]}
    assert len(apart) == 63
    assert (sum(d <= 0.02 for d in apart.values()), sum(d <= 0.05 for d in apart.values())) == (49, 57)
    small = {task for (task, _), difference in apart.items() if difference > 0.05}
    assert small == {"single_digit_sum", "single_digit_sum_swapped"}


def _cell(row):
    return row["task"], row["model"]


def _pair(row):
    return row["task"], row["model"], row["against"]
