import pytest

from coretx.runlog.session import Session


@pytest.mark.parametrize(
    ("wanted", "environment", "logged_in", "mode"),
    [
        ("auto", None, True, "online"),
        ("auto", None, False, "offline"),
        ("auto", "", False, "offline"),
        ("auto", "online", True, "online"),
        ("auto", "online", False, "offline"),
        ("auto", "offline", True, "offline"),
        ("auto", "disabled", True, "disabled"),
        ("auto", "shared", True, "online"),
        ("auto", "dryrun", True, "offline"),
        ("auto", "bogus", True, "offline"),
        ("online", "disabled", True, "online"),
        ("online", None, False, "offline"),
        ("offline", "online", True, "offline"),
        ("disabled", "online", True, "disabled"),
    ],
)
def test_mode_follows_the_flag_then_the_environment_then_the_login(wanted, environment, logged_in, mode, monkeypatch):
    if environment is not None:
        monkeypatch.setenv("WANDB_MODE", environment)
    session = Session()
    session.resolve(wanted, lambda: logged_in)
    assert session.mode == mode


def test_login_is_asked_once_per_program():
    asked = []
    session = Session()
    for _ in range(3):
        session.resolve("online", lambda: asked.append(1) or True)
    assert asked == [1]
