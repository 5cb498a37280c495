import os

import pytest

from coretx.runlog.wandb import Session

UNKNOWN = "WANDB_MODE=bogus is none of online, offline, disabled"


@pytest.mark.parametrize(
    ("wanted", "environment", "logged_in", "mode", "reason"),
    [
        ("auto", None, True, "online", ""),
        ("auto", None, False, "offline", "not logged in"),
        ("auto", "", False, "offline", "not logged in"),
        ("auto", "online", True, "online", ""),
        ("auto", "online", False, "offline", "not logged in"),
        ("auto", "offline", True, "offline", ""),
        ("auto", "disabled", True, "disabled", ""),
        ("auto", "shared", True, "online", ""),
        ("auto", "dryrun", True, "offline", ""),
        ("auto", "bogus", True, "offline", UNKNOWN),
        ("online", "disabled", True, "online", ""),
        ("online", None, False, "offline", "not logged in"),
        ("offline", "online", True, "offline", ""),
        ("offline", "bogus", True, "offline", ""),
        ("disabled", "online", True, "disabled", ""),
    ],
)
def test_mode_follows_the_flag_then_the_environment_then_the_login(
    wanted, environment, logged_in, mode, reason, monkeypatch
):
    if environment is not None:
        monkeypatch.setenv("WANDB_MODE", environment)
    session = Session()
    session.resolve(wanted, lambda: logged_in)
    assert (session.mode, session.reason) == (mode, reason)
    assert os.environ.get("WANDB_MODE") != "bogus"  # wandb would refuse to start


def test_login_is_asked_once_per_program():
    asked = []
    session = Session()
    for _ in range(3):
        session.resolve("online", lambda: asked.append(1) or True)
    assert asked == [1]
