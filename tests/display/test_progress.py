import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from coretx.display.progress import Progress
from coretx.display.terminal import Terminal
from coretx.evaluation.scores import split_scores
from coretx.records.cell_config import CellConfig
from coretx.records.results import ModelResult, Provenance
from coretx.training.loop import EpochRecord

ESCAPE = "\x1b"
RED = r"\x1b\[1;31m[^\x1b]*diverged: member 0, epoch 1"
COLORED = r"\x1b\[[0-9;]*3[0-7]m"


def make_config(model="mlp", members=1):
    choices = ("original", "original", "float32", "cpu", "solo", "highest")
    return CellConfig("toy", model, "jax", 0, members, 40, 4, *choices, {})


def make_record(epoch, members=1):
    return EpochRecord(epoch, {"loss_test": np.full(members, 0.5), "accuracy_test": np.full(members, 0.75)})


def make_result(config, status="done", alarm=None):
    provenance = Provenance("0", "c", "d", "cpu", {}, {"total": 2.5})
    y = np.array([0.0, 1.0, 0.0, 1.0])
    logits = np.array([[-1.0, 1.0, 1.0, 2.0], [-1.0, 1.0, -1.0, 2.0]])[: config.members]  # right: 3 of 4, then 4 of 4
    if status == "diverged":
        return ModelResult(config, provenance, status, 1, {}, {}, failure="member 0, epoch 1")
    return ModelResult(config, provenance, status, 1, {}, {}, scores={"test": split_scores(logits, y)}, alarm=alarm)


def printed(*events, total=2, **options):
    """Return what a run of so many cells prints at these events; plain lines unless options say otherwise."""
    stream = io.StringIO()
    with Progress(stream, **options) as progress:
        progress.start(total)
        for event in events:
            event(progress)
    return stream.getvalue()


def one_cell(members=1):
    config = make_config(members=members)
    epochs = [lambda progress, epoch=epoch: progress.epoch(config, make_record(epoch, members)) for epoch in range(4)]
    return [lambda progress: progress.cell_started(config), *epochs, done(make_result(config))]


def done(result):
    return lambda progress: progress.cell_done(result)


def training(cells=1, epochs=1):
    """Return the progress of so many cells out of four, each after some of its four epochs, a second an epoch."""
    seconds = [0.0]
    progress = Progress(io.StringIO(), clock=lambda: seconds[0])
    progress.start(4)
    configs = [make_config(f"model{cell}", members=3) for cell in range(cells)]
    for config in configs:
        progress.cell_started(config)
    for epoch in range(epochs):
        seconds[0] += 1
        for config in configs:
            progress.epoch(config, make_record(epoch, 3))
    return progress


def test_plain_stream_gets_a_whole_line_at_start_and_end_of_a_cell():
    assert printed(*one_cell(), total=1) == (
        "[0/1] toy mlp (jax), seed 0, n 40: training, 4 epochs\n"
        "[1/1] toy mlp (jax), seed 0, n 40: accuracy 0.7500, loss 0.5167, 2.5 s\n"
    )


def test_plain_stream_never_imports_rich():
    code = (
        "import sys; from coretx.display.progress import Progress\n"
        "with Progress() as p: p.start(1); p.note('x')\n"
        "sys.exit('rich' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True, stdout=subprocess.DEVNULL)


def test_members_are_printed_as_mean_and_spread():
    assert "accuracy 0.8750 ± 0.1768" in printed(*one_cell(members=2))


@pytest.mark.parametrize(("term", "live"), [("xterm-256color", True), ("dumb", False)])
def test_terminal_gets_the_live_display_unless_it_is_dumb(monkeypatch, term, live):
    monkeypatch.setenv("TERM", term)
    stream = io.StringIO()
    stream.isatty = lambda: True
    with Progress(stream) as progress:
        progress.start(1)
        progress.note("a note")
    assert ("0/1 cells" in stream.getvalue()) is live
    assert live or stream.getvalue() == "a note\n"


def test_terminal_gets_the_cursor_back_after_an_error():
    stream = io.StringIO()

    def interrupted():
        with Progress(stream, terminal=True) as progress:
            progress.start(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue().rindex(f"{ESCAPE}[?25h") > stream.getvalue().rindex(f"{ESCAPE}[?25l")


def test_terminal_keeps_the_line_of_a_finished_cell_above_a_picture_that_counts_it():
    text = printed(*one_cell(), terminal=True)
    assert "training, 4 epochs" not in text
    assert "1/2 cells" in text[text.index("accuracy 0.7500, loss") :].splitlines()[1]


def test_summary_takes_the_live_display_away():
    text = printed(lambda progress: progress.summary([], ["index.html"]), terminal=True)
    assert "cells" not in text[text.index("wrote index.html") :]


@pytest.mark.parametrize(("no_color", "color", "red"), [(None, True, True), ("1", True, False), (None, False, False)])
def test_diverged_cell_is_red_on_a_terminal_unless_colours_are_off(monkeypatch, no_color, color, red):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    text = printed(done(make_result(make_config(), "diverged")), terminal=True, color=color)
    assert "diverged: member 0, epoch 1" in text
    assert bool(re.search(RED, text)) is bool(re.search(COLORED, text)) is red


def test_text_in_brackets_is_no_markup():
    assert "[red]task[/red]" in printed(lambda progress: progress.note("[red]task[/red]"), terminal=True)


def test_live_display_shows_the_run_and_every_cell_in_training():
    progress = training(cells=2, epochs=2)
    progress.cell_started(make_config("next"))
    share, text, cells = progress.state()
    measured = "epoch 2/4, test loss 0.500, accuracy 0.750"
    assert (share, text) == (0.25, "0/4 cells, 0:02 elapsed, 0:06 left")
    assert cells == [
        ("toy model0 (jax), seed 0, n 40", measured),
        ("toy model1 (jax), seed 0, n 40", measured),
        ("toy next (jax), seed 0, n 40", "epoch 0/4"),
    ]


@pytest.mark.parametrize("width", [80, 140])
def test_each_cell_in_training_takes_one_line(width):
    progress = training(cells=30)
    progress.cell_started(make_config("a_model_whose_name_is_so_long_that_it_fills_a_line_of_eighty_columns_alone"))
    stream = io.StringIO()
    picture = Terminal(stream, progress.state).picture()
    Console(file=stream, width=width, color_system=None).print(picture)
    lines = stream.getvalue().splitlines()
    assert (len(lines), max(map(len, lines)) <= width) == (32, True)
    assert re.search(r"^toy model0 .*epoch 1/4, test loss 0\.500, accuracy 0\.750", lines[1])


def test_reused_cells_do_not_count_for_the_pace():
    progress = training(epochs=2)  # half a cell of four in two seconds
    assert progress.state()[1] == "0/4 cells, 0:02 elapsed, 0:14 left"
    progress.cell_reused(make_config("old"))
    assert progress.state()[1] == "1/4 cells, 0:02 elapsed, 0:10 left"


def test_time_left_is_unknown_before_the_first_epoch():
    assert training(epochs=0).state()[1] == "0/4 cells, 0:00 elapsed, - left"


def test_summary_has_the_scores_what_failed_and_the_paths():
    broken = make_result(make_config("logreg"), "diverged")
    good = make_result(make_config(), alarm="too good")
    text = printed(
        lambda progress: progress.cell_reused(make_config("old")),
        *map(done, (broken, good)),
        lambda progress: progress.summary([good, broken], [Path("benchmarks/index.html")]),
        total=3,
    )
    logreg, mlp = "toy logreg (jax), seed 0, n 40", "toy mlp (jax), seed 0, n 40"
    assert text.splitlines() == [
        "[1/3] toy old (jax), seed 0, n 40: reused",
        f"[2/3] {logreg}: diverged: member 0, epoch 1 (2.5 s)",
        f"[3/3] {mlp}: accuracy 0.7500, loss 0.5167, 2.5 s",
        "task  model   engine  seed  n   accuracy  loss    seconds",
        "toy   mlp     jax     0     40  0.7500    0.5167  2.5",
        "toy   logreg  jax     0     40  diverged          2.5",
        f"failed: 2 ({logreg} diverged; {mlp} is above its ceiling)",
        "wrote benchmarks/index.html",
    ]


def test_quiet_prints_what_failed_and_nothing_else():
    text = printed(
        lambda progress: progress.note("a note"),
        *one_cell(),
        done(make_result(make_config("logreg"), "diverged")),
        lambda progress: progress.summary([make_result(make_config())], ["index.html"]),
        terminal=True,
        quiet=True,
    )
    assert text == "[2/2] toy logreg (jax), seed 0, n 40: diverged: member 0, epoch 1 (2.5 s)\n"
