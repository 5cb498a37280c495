import dataclasses
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from coretx.display import live
from coretx.display import terminal as display
from coretx.display.progress import Progress
from coretx.evaluation.scores import split_scores
from coretx.records.cell_config import CellConfig
from coretx.records.results import ModelResult, Provenance
from coretx.training.loop import EpochRecord

ESCAPE = "\x1b"


def make_config(model="mlp", members=1, epochs=4):
    hyperparameters = {"optimizer": {"batch_size": 16}}
    return CellConfig(
        "toy",
        model,
        "jax",
        0,
        members,
        40,
        epochs,
        "original",
        "original",
        "float32",
        "cpu",
        "solo",
        "highest",
        hyperparameters,
    )


def make_record(epoch, members=1):
    keys = ("loss_train", "loss_test", "accuracy_test")
    return EpochRecord(epoch, {key: np.full(members, 0.25 * (place + 1)) for place, key in enumerate(keys)})


def make_result(config, status="done"):
    provenance = Provenance("0", "c", "d", "cpu", {}, {"total": 2.5})
    y = np.array([0.0, 1.0, 0.0, 1.0])
    logits = np.array([[-1.0, 1.0, 1.0, 2.0], [-1.0, 1.0, -1.0, 2.0]])[: config.members]  # right: 3 of 4, then 4 of 4
    if status == "diverged":
        return ModelResult(config, provenance, status, 1, {}, {}, failure="member 0, epoch 1")
    return ModelResult(config, provenance, status, 1, {}, {}, scores={"test": split_scores(logits, y)})


class Clock:
    """A clock that the test sets."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


def run_plain(members=1):
    stream, config = io.StringIO(), make_config(members=members)
    with Progress(stream) as progress:
        progress.start(1)
        progress.cell_started(config, config.n_samples)
        for epoch in range(4):
            progress.epoch(config, make_record(epoch, members))
        progress.cell_done(make_result(config))
    return stream.getvalue()


def run_terminal(*events):
    stream = io.StringIO()
    with Progress(stream, terminal=True) as progress:
        progress.start(2)
        for event in events:
            event(progress)
    return stream.getvalue()


def drawn(progress, width=140):
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=True, color_system=None).print(
        display.picture(progress.board, width)
    )
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())


def training(clock, cells=1, epochs=1, members=1):
    """Return the progress of so many cells out of four, each after some of its four epochs, a second an epoch."""
    progress = Progress(io.StringIO(), terminal=False, clock=clock)
    progress.start(4)
    configs = [make_config(f"model{cell}", members) for cell in range(cells)]
    for config in configs:
        progress.cell_started(config, config.n_samples)
    for epoch in range(epochs):
        clock.seconds += 1
        for config in configs:
            progress.epoch(config, make_record(epoch, members))
    return progress


def test_plain_stream_says_a_line_at_start_and_end_of_a_cell():
    assert run_plain().splitlines() == [
        "[0/1] toy mlp (jax), seed 0, n 40: training, 4 epochs",
        "[1/1] toy mlp (jax), seed 0, n 40: accuracy 0.7500, loss 0.5167, 2.5 s",
    ]


def test_plain_stream_has_no_escape_codes_and_no_carriage_returns():
    assert not set(run_plain()) & {ESCAPE, "\r"}


def test_plain_stream_never_imports_rich():
    code = (
        "import sys; from coretx.display.progress import Progress\n"
        "with Progress() as p: p.start(1); p.note('x')\n"
        "sys.exit('rich' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True, stdout=subprocess.DEVNULL)


def test_members_are_said_as_mean_and_spread():
    assert "accuracy 0.8750 ± 0.1768" in run_plain(members=2)


def test_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = io.StringIO()
    stream.isatty = lambda: True
    with Progress(stream) as progress:
        progress.start(1)
        progress.note("a note")
    assert stream.getvalue() == "a note\n"


def test_stream_that_is_a_terminal_gets_the_live_display(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = io.StringIO()
    stream.isatty = lambda: True
    with Progress(stream) as progress:
        progress.start(1)
    assert "0/1 cells" in stream.getvalue()


def test_terminal_gets_the_cursor_back_after_an_error():
    stream = io.StringIO()

    def interrupted():
        with Progress(stream, terminal=True) as progress:
            progress.start(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue().rindex(f"{ESCAPE}[?25h") > stream.getvalue().rindex(f"{ESCAPE}[?25l")


def test_terminal_shows_no_line_for_a_cell_that_begins():
    assert "training, 4 epochs" not in run_terminal(lambda progress: progress.cell_started(make_config()))


def test_terminal_keeps_the_line_of_a_finished_cell():
    assert "accuracy 0.7500" in run_terminal(lambda progress: progress.cell_done(make_result(make_config())))


def test_line_of_a_finished_cell_comes_with_a_picture_that_counts_it():
    text = run_terminal(lambda progress: progress.cell_done(make_result(make_config())))
    assert "1/2 cells" in text[text.index("accuracy 0.7500") :].splitlines()[1]


def test_summary_takes_the_live_display_away():
    text = run_terminal(lambda progress: progress.summary([], ["index.html"]))
    assert "cells" not in text[text.index("wrote index.html") :]


def test_diverged_cell_is_red_on_a_terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    text = run_terminal(lambda progress: progress.cell_done(make_result(make_config(), "diverged")))
    assert re.search(r"\x1b\[1;31m[^\x1b]*diverged: member 0, epoch 1", text)


def test_no_color_is_obeyed(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    text = run_terminal(lambda progress: progress.cell_done(make_result(make_config(), "diverged")))
    assert "diverged" in text
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", text)


def test_text_in_brackets_is_no_markup():
    assert "[red]task[/red]" in run_terminal(lambda progress: progress.note("[red]task[/red]"))


def test_picture_shows_the_cell_in_training(clock):
    assert drawn(training(clock, epochs=2)).splitlines()[1:] == [
        "toy model0 (jax), seed 0, n 40  ▅▅",
        "  epoch 2/4, 0:02 left, loss 0.250 train 0.500 test, accuracy 0.750 test, 3 steps/s",
    ]


def test_picture_shows_a_cell_before_its_first_epoch(clock):
    assert drawn(training(clock, epochs=0)).splitlines()[2] == "  epoch 0/4, - left"


def test_steps_are_counted_over_all_members(clock):
    assert "15 steps/s" in drawn(training(clock, epochs=2, members=5))


def test_picture_shows_every_cell_that_trains_at_once(clock):
    text = drawn(training(clock, cells=3))
    assert [f"model{cell}" in text for cell in range(3)] == [True] * 3


def test_picture_of_many_cells_stays_on_the_screen(clock):
    text = drawn(training(clock, cells=30))
    assert len(text.splitlines()) < 15
    assert "and 24 more in training" in text


@pytest.mark.parametrize(("width", "said"), [(80, "test loss"), (140, "train")])
def test_a_cell_in_training_takes_two_lines_of_eighty_columns(clock, width, said):
    lines = drawn(training(clock, epochs=2), width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) == 3  # the bar, what trains, where it stands
    assert said in lines[2]
    assert "steps/s" in lines[2]


def test_diverged_cell_stays_in_sight(clock):
    progress = training(clock)
    progress.cell_done(make_result(make_config("model0"), "diverged"))
    assert "failed: 1 (toy model0 (jax), seed 0, n 40 diverged)" in drawn(progress)


def test_many_diverged_cells_are_counted_and_the_latest_named(clock):
    progress = training(clock, cells=0)
    for cell in range(9):
        progress.cell_done(make_result(make_config(f"model{cell}"), "diverged"))
    line = drawn(progress).splitlines()[1]
    assert ("failed: 9 " in line, "model8" in line, "model5" in line) == (True, True, False)


def test_time_left_follows_the_pace_of_the_trained_part(clock):
    progress = training(clock, epochs=2)  # half a cell of four in two seconds
    assert progress.board.left() == pytest.approx(14)


def test_reused_cells_do_not_count_for_the_pace(clock):
    progress = training(clock, epochs=2)
    progress.cell_reused(make_config("old"))
    assert progress.board.left() == pytest.approx(10)


def test_time_left_is_unknown_before_the_first_epoch(clock):
    assert training(clock, epochs=0).board.left() is None


def test_reused_cell_is_said_with_its_scores():
    stream = io.StringIO()
    progress = Progress(stream)
    progress.start(1)
    progress.cell_reused(make_config(), make_result(make_config()))
    assert stream.getvalue() == "[1/1] toy mlp (jax), seed 0, n 40: reused, accuracy 0.7500, loss 0.5167\n"


def test_summary_has_a_line_per_cell_and_per_path():
    stream = io.StringIO()
    results = [make_result(make_config()), make_result(make_config("logreg"), "diverged")]
    Progress(stream).summary(results, [Path("benchmarks/index.html")])
    assert stream.getvalue().splitlines() == [
        "task  model   engine  seed  n   accuracy  loss    seconds",
        "toy   mlp     jax     0     40  0.7500    0.5167  2.5",
        "toy   logreg  jax     0     40  diverged          2.5",
        "wrote benchmarks/index.html",
    ]


def test_summary_names_what_failed(clock):
    progress = training(clock)
    progress.cell_done(make_result(make_config("model0"), "diverged"))
    progress.summary([], [])
    lines = progress._display.stream.getvalue().splitlines()
    assert lines[-1] == "failed: 1 (toy model0 (jax), seed 0, n 40 diverged)"


def test_a_cell_above_its_ceiling_stays_in_sight(clock):
    progress = training(clock)
    progress.cell_done(dataclasses.replace(make_result(make_config("model0")), alarm="too good"))
    assert "failed: 1 (toy model0 (jax), seed 0, n 40 is above its ceiling)" in drawn(progress)


def test_quiet_says_what_failed_and_nothing_else():
    stream = io.StringIO()
    with Progress(stream, terminal=True, quiet=True) as progress:
        progress.start(2)
        progress.note("a note")
        for config, status in ((make_config(), "done"), (make_config("logreg"), "diverged")):
            progress.cell_started(config)
            progress.epoch(config, make_record(0))
            progress.cell_done(make_result(config, status))
        progress.summary([make_result(make_config())], ["index.html"])
    assert stream.getvalue() == "[2/2] toy logreg (jax), seed 0, n 40: diverged: member 0, epoch 1 (2.5 s)\n"


def test_no_color_leaves_the_display_without_colours(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = io.StringIO()
    with Progress(stream, terminal=True, color=False) as progress:
        progress.start(2)
        progress.cell_done(make_result(make_config(), "diverged"))
    assert "diverged" in stream.getvalue()
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", stream.getvalue())


def planned(clock, tasks=2, models=("logreg", "mlp")):
    progress = Progress(io.StringIO(), terminal=False, clock=clock)
    configs = [
        dataclasses.replace(make_config(model), task=f"task{number}") for number in range(tasks) for model in models
    ]
    progress.start(len(configs), configs)
    return progress, configs


def grid(progress, width=140):
    """The lines of the grid as words."""
    lines = [line.split() for line in drawn(progress, width).splitlines()[1:]]
    return [line for line in lines if line[0].startswith(("logreg", "task", "and"))]


def test_grid_shows_what_waits_trains_is_done_and_failed(clock):
    progress, (first, second, third, fourth) = planned(clock)
    progress.cell_done(make_result(first))
    progress.cell_done(make_result(second, "diverged"))
    progress.cell_started(third, 40)
    progress.epoch(third, make_record(0))
    assert grid(progress)[:3] == [["logreg", "mlp"], ["task0", "75.0", "failed"], ["task1", "25", "%", "·"]]
    progress.cell_reused(fourth)
    assert grid(progress)[2][-1] == "reused"


def test_grid_counts_several_cells_of_one_task_and_model(clock):
    progress = Progress(io.StringIO(), terminal=False, clock=clock)
    configs = [dataclasses.replace(make_config(), seed=seed) for seed in (0, 3, 6)]
    progress.start(3, configs)
    progress.cell_done(make_result(configs[0]))
    assert "1/3" in drawn(progress).splitlines()[2]


def test_grid_of_many_tasks_stays_on_the_screen_and_keeps_what_is_left(clock):
    progress, configs = planned(clock, tasks=30)
    for config in configs[:40]:
        progress.cell_done(make_result(config))
    lines = grid(progress)
    assert len(lines) == 1 + display.MAX_TASKS + 1
    assert lines[-1] == ["and", "18", "more", "tasks"]
    assert lines[-2][0] == "task29"


def test_grid_fits_eighty_columns(clock):
    models = ("logreg", "mlp", "temporal", "self_attention", "singlelayer_transformer", "bahdanau_attention", "multi")
    progress, configs = planned(clock, models=models)
    for config in configs[:7]:
        progress.cell_done(make_result(config))
    lines = drawn(progress, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2].split()[1:] == ["75.0"] * 7


def test_sparkline_follows_the_mean_of_the_members(clock):
    progress = Progress(io.StringIO(), clock=clock)
    for epoch, accuracy in enumerate(np.linspace(0.5, 1.0, 100)):
        progress.epoch(make_config(epochs=100), EpochRecord(epoch, {"accuracy_test": np.array([accuracy, accuracy])}))
    (cell,) = progress.board.cells
    assert len(cell.spark) == live.SPARK_WIDTH
    assert (cell.spark[0], cell.spark[-1]) == ("▁", "█")
    assert list(cell.spark) == sorted(cell.spark)


def test_epoch_of_a_cell_nobody_announced_is_shown(clock):
    progress = Progress(io.StringIO(), clock=clock)
    progress.start(1)
    progress.epoch(make_config(), make_record(0))
    assert "1/4" in drawn(progress)


def test_unknown_batch_size_shows_no_rate(clock):
    config = CellConfig("toy", "mlp", "jax", 0, 1, 40, 4, "s", "r", "float32", "cpu", "solo", "highest", {})
    progress = Progress(io.StringIO(), clock=clock)
    progress.cell_started(config)
    clock.seconds = 1.0
    progress.epoch(config, make_record(0))
    assert progress.board.cells[0].steps_per_second is None
