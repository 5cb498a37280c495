"""The command line: what it prints, what it refuses, and with which exit code."""

import gc
import re

import pytest

from coretx.cli import main
from coretx.models.registry import build_models
from coretx.running.experiment import Outcome
from coretx.tasks.registry import TASKS
from coretx.version import __version__

HOSTILE = """
from coretx import Task


class Hostile(Task):
    name = {name!r}

    def generate_candidates(self, n, rng): ...
    def label(self, x): ...


TASKS = [Hostile()]
"""


@pytest.fixture
def refused(tmp_path, capsys):
    """Return a function that runs main, checks that nothing was written, and returns exit code and stderr."""

    def run(*arguments, out=tmp_path / "out"):
        before = sorted(tmp_path.rglob("*"))
        try:
            code = main([*arguments, "--out", str(out)])
        except SystemExit as error:  # tyro's own way to leave
            code = error.code
        assert sorted(tmp_path.rglob("*")) == before, "something was written"
        return code, capsys.readouterr().err

    return run


def test_list_names_every_task_with_its_rule(capsys):
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(re.search(rf"^  {task.name} +{re.escape(task.rule)}$", printed, re.MULTILINE) for task in TASKS.values())


def test_list_names_every_model_with_its_engines(capsys):
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(re.search(rf"^  {spec.name} +\[jax, torch\] ", printed, re.MULTILINE) for spec in build_models())


def test_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"progressive-tx {__version__}\n"


def test_help_names_every_flag(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    printed = capsys.readouterr().out
    for flag in (
        "backend",
        "tasks",
        "models",
        "n-samples",
        "seed",
        "members",
        "data-seeds",
        "epochs",
        "device",
        "out",
        "wandb",
    ):
        assert f"--{flag}" in printed
    for flag in ("data-seeds", "plugin", "reuse", "list", "rebuild-reports", "version"):
        assert f"--{flag}" in printed


@pytest.mark.parametrize("flag", ["--no-compile-cache", "--no-color"])
def test_help_of_a_flag_that_switches_off_says_what_is_on(flag, capsys):
    """tyro prints the value that the flag would turn off, `True`, as its default."""
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    said = printed.partition(flag)[2].partition("(default: True)")[0]
    assert said.startswith(" Whether")
    assert said.endswith("unless this flag is given. ")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--tasks", "sign"], "unknown task 'sign'; choose from: sign_of_winner, .*, multi_digit_sum"),
        (["--tasks", "../x"], "unknown task '../x'; choose from: sign_of_winner"),
        (["--tasks", "<script>"], "unknown task '<script>'; choose from: sign_of_winner"),
        (["--models", "rnn"], "unknown model 'rnn'; choose from: logreg, .*, multilayer_transformer"),
        (["--models", "../x"], "unknown model '../x'; choose from: logreg"),
        (["--models", "mlp:numpy"], "unknown engine in mlp:numpy; choose from: jax, torch"),
        (["--backend", "torch", "--device", "tpu"], "backend torch runs on cpu, gpu, got --device tpu"),
        (["--epochs", "0"], "--epochs must be at least 1; got 0"),
        (["--members", "0"], "--members must be at least 1; got 0"),
        (["--data-seeds", "0"], "--data-seeds must be at least 1; got 0"),
        (["--seed", "-1"], "--seed must be at least 0; got -1"),
        (["--n-samples", "3"], "--n-samples must be at least 4, .*; got 3"),
        (["--n-samples", "100", "3"], "--n-samples must be at least 4, .*; got 3"),
        (["--plugin", "/none.py"], "--plugin must name a Python file, got /none.py"),
    ],
    ids=" ".join,
)
def test_bad_argument_is_one_sentence_and_exit_code_2(refused, arguments, named):
    code, error = refused(*arguments)
    assert code == 2
    assert re.fullmatch(rf"error: .*{named}.*\n", error), error


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--backend", "numpy"], ("jax", "torch")),
        (["--device", "abacus"], ("cpu", "gpu", "tpu")),
        (["--wandb", "maybe"], ("auto", "online", "offline", "disabled")),
        (["--epochs", "many"], ("epochs",)),
        (["--frobnicate"], ("frobnicate",)),
        (["surplus"], ("surplus",)),
    ],
    ids=lambda value: " ".join(value),
)
def test_value_outside_its_type_names_the_choices_and_is_exit_code_2(refused, arguments, named):
    code, error = refused(*arguments)
    assert code == 2
    assert all(word in error for word in named)


def test_device_that_is_not_there_names_what_is(refused):
    code, error = refused("--device", "tpu")
    assert code == 2
    assert re.fullmatch(r"error: --device tpu asks jax for a tpu, but it sees only: .*cpu.*\n", error)


@pytest.mark.parametrize("name", ["../x", "<script>", "index", "a" * 65])
def test_plugin_with_a_hostile_task_name_is_refused(refused, tmp_path, name):
    (tmp_path / "hostile.py").write_text(HOSTILE.format(name=name))
    code, error = refused("--plugin", str(tmp_path / "hostile.py"))
    assert code == 2
    assert re.fullmatch(r"error: a task's name must be .*\n", error)


def test_output_folder_that_is_a_file_is_exit_code_2(refused, tmp_path):
    (tmp_path / "file").touch()
    code, error = refused(out=tmp_path / "file")
    assert code == 2
    assert re.fullmatch(r"error: --out must name a folder, .*\n", error)


def test_output_folder_that_cannot_be_written_is_exit_code_3(refused):
    code, error = refused(out="/proc/out")
    assert code == 3
    assert re.fullmatch(r"error: --out must be writable, got /proc/out: .*\n", error)


def test_output_folder_of_an_impossible_name_is_one_sentence(refused, tmp_path):
    code, error = refused(out=tmp_path / ("x" * 300))
    assert code in (2, 3)
    assert re.fullmatch(r"error: --out must .*\n", error)


def test_program_ends_with_the_code_and_no_traceback(program, tmp_path):
    done = program("--tasks", "sign", "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown task 'sign'")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("interrupted", [False, True])
def test_collections_are_rare_while_a_run_lasts_and_as_before_after_it(monkeypatch, tmp_path, interrupted):
    before, during = gc.get_threshold(), []

    def execute(plan):
        during.append(gc.get_threshold())
        if interrupted:
            raise KeyboardInterrupt
        return Outcome()

    monkeypatch.setattr("coretx.running.experiment.execute", execute)
    code = main(["--backend", "torch", "--out", str(tmp_path)])
    assert code == (130 if interrupted else 0)
    assert during == [(100_000, *before[1:])]
    assert gc.get_threshold() == before


def test_flags_go_before_the_defaults_of_main_py(capsys, tmp_path):
    """Both are wrong: the complaint is about the flag's value."""
    assert main(["--tasks", "flag", "--out", str(tmp_path)], tasks="default") == 2
    assert "'flag'" in capsys.readouterr().err


@pytest.mark.parametrize("default", ["default", ("default", "other"), ["default"]])
def test_defaults_of_main_py_may_be_one_or_several(capsys, tmp_path, default):
    assert main(["--out", str(tmp_path)], tasks=default) == 2
    assert "unknown task 'default'" in capsys.readouterr().err


def test_bad_default_of_main_py_is_refused_like_a_flag(capsys, tmp_path):
    assert main(["--out", str(tmp_path)], n_samples=3) == 2
    assert capsys.readouterr().err.startswith("error: --n-samples must be at least 4")
