"""How one program reaches W&B: found out once, shared by the logs of all its runs."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Mode = Literal["auto", "online", "offline", "disabled"]

Resolved = Literal["online", "offline", "disabled"]

ENVIRONMENT_MODES: Mapping[str, Resolved] = {
    "": "online",
    "online": "online",
    "offline": "offline",
    "disabled": "disabled",
    "shared": "online",  # for runs with many writers; ours has one
    "run": "online",
    "dryrun": "offline",
}
"""What WANDB_MODE may say, and what it means here; online still needs a login."""


def environment() -> str:
    """Return what WANDB_MODE says, "" where it is not set."""
    return os.environ.get("WANDB_MODE", "").strip().lower()


def meant(wanted: Mode) -> Resolved | None:
    """Return the mode that is wanted, before any login: `auto` asks WANDB_MODE; None for a word that is no mode."""
    return ENVIRONMENT_MODES.get(environment()) if wanted == "auto" else wanted


@dataclass
class Session:
    """What the logs of one program share, so that a login is tried once and a line is said once.

    `settings` are wandb settings that go before those of the log. `mode` is filled in by the first log; `reason` says
    why it is offline where nobody asked for that.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    mode: Resolved | None = None
    reason: str = ""
    said: set[str] = field(default_factory=set)

    def resolve(self, wanted: Mode, logged_in: Callable[[], bool]) -> None:
        """Settle the mode, once: `auto` obeys WANDB_MODE; online without a login becomes offline."""
        if self.mode is not None:
            return
        word, mode = environment(), meant(wanted)
        if word not in ENVIRONMENT_MODES:
            del os.environ["WANDB_MODE"]  # wandb itself refuses to start under a word it does not know
        if mode is None:
            self.fall_back(f"WANDB_MODE={word} is none of online, offline, disabled")
        elif mode == "online" and not logged_in():
            self.fall_back("not logged in")
        else:
            self.mode = mode

    def fall_back(self, reason: str) -> None:
        """Go on offline, for this run and those to come."""
        self.mode, self.reason = "offline", reason

    def say_once(self, line: str, say: Callable[[str], None]) -> None:
        """Say the line unless an earlier log of this program did."""
        if line not in self.said:
            self.said.add(line)
            say(line)

    def where(self, folder: Path, wanted: Path) -> str:
        """Return the line that tells where offline runs lie and how to send them.

        wandb goes to the system's temporary folder, without a word, where the wanted one refuses.
        """
        reason = f" ({self.reason})" if self.reason else ""
        moved = "" if folder.resolve().is_relative_to(wanted.resolve()) else f"; {wanted} cannot be written"
        return f"W&B: offline{reason}{moved}; runs lie in {folder}, to send them: wandb sync {folder}/offline-run-*"
