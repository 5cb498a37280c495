"""The command line: its output, its refusals, and their exit codes."""

import dataclasses
import re

import pytest

from coretx.cli import main
from coretx.config import RunConfig
from coretx.models.registry import build_models
from coretx.tasks.registry import TASKS
from coretx.version import __version__


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


def test_list_names_every_task_with_its_rule_and_every_model_with_its_engines(capsys):
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(re.search(rf"^  {task.name} +{re.escape(task.rule)}$", printed, re.MULTILINE) for task in TASKS.values())
    assert all(re.search(rf"^  {spec.name} +\[jax, torch\] ", printed, re.MULTILINE) for spec in build_models())


def test_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"progressive-tx {__version__}\n"


def test_help_names_every_flag(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    printed = capsys.readouterr().out
    names = [field.name.replace("_", "-") for field in dataclasses.fields(RunConfig)]
    on = {"compile-cache", "color"}
    for flag in ("list", "rebuild-reports", "version", *(f"no-{name}" if name in on else name for name in names)):
        assert f"--{flag} " in printed, flag


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
        (["--tasks", "<script>"], "unknown task '<script>'; choose from: sign_of_winner, .*, multi_digit_sum"),
        (["--models", "../x"], "unknown model '../x'; choose from: logreg, .*, multilayer_transformer"),
        (["--epochs", "0"], "--epochs must be at least 1; got 0"),
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


@pytest.mark.parametrize(
    ("out", "wanted", "message"),
    [
        ("file", 2, "--out must name a folder, "),
        ("/proc/out", 3, "--out must be writable, got /proc/out: "),
    ],
)
def test_output_folder_that_cannot_be_is_one_sentence(refused, tmp_path, out, wanted, message):
    (tmp_path / "file").touch()
    code, error = refused(out=tmp_path / out)
    assert code == wanted
    assert re.fullmatch(rf"error: {message}.*\n", error)


def test_program_ends_with_the_code_and_no_traceback(program, tmp_path):
    done = program("--tasks", "sign", "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown task 'sign'")
    assert not (tmp_path / "out").exists()


def test_flags_go_before_the_defaults_of_main_py(capsys, tmp_path):
    """Both are wrong: the complaint is about the flag's value."""
    assert main(["--tasks", "flag", "--out", str(tmp_path)], tasks="default") == 2
    assert "'flag'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("default", "message"),
    [
        ({"tasks": "default"}, "unknown task 'default'"),
        ({"tasks": ("default", "other")}, "unknown task 'default'"),
        ({"tasks": ["default"]}, "unknown task 'default'"),
        ({"n_samples": 3}, "--n-samples must be at least 4"),
    ],
)
def test_defaults_of_main_py_may_be_one_or_several_and_are_checked_as_flags(capsys, tmp_path, default, message):
    assert main(["--out", str(tmp_path)], **default) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
