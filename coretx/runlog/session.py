"""How one program reaches W&B: resolved once, shared by the logs of all its runs."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Mode = Literal["auto", "online", "offline", "disabled"]
Resolved = Literal["online", "offline", "disabled"]

ENVIRONMENT_MODES: Mapping[str, Resolved] = {
    "": "online",
    "online": "online",
    "offline": "offline",
    "disabled": "disabled",
    "shared": "online",  # for runs with several writers; ours have one
    "run": "online",
    "dryrun": "offline",
}
"""The values of WANDB_MODE and their meaning here; online still needs a login."""


def environment_mode() -> str:
    """Return the value of WANDB_MODE, "" if unset."""
    return os.environ.get("WANDB_MODE", "").strip().lower()


def resolve_mode(wanted: Mode) -> Resolved | None:
    """Return the wanted mode before any login: `auto` reads WANDB_MODE; None for an unknown value there."""
    return ENVIRONMENT_MODES.get(environment_mode()) if wanted == "auto" else wanted


@dataclass
class Session:
    """State that the logs of one program share: one login, each line said once.

    `settings` override the log's own wandb settings. The first log sets `mode`; `reason` says why it is offline if
    nobody asked for that. `said` holds the lines said so far.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    mode: Resolved | None = None
    reason: str = ""
    said: set[str] = field(default_factory=set)

    def resolve(self, wanted: Mode, logged_in: Callable[[], bool]) -> None:
        """Set the mode, once: `auto` obeys WANDB_MODE; online without a login becomes offline."""
        if self.mode is not None:
            return
        value, mode = environment_mode(), resolve_mode(wanted)
        if value not in ENVIRONMENT_MODES:
            del os.environ["WANDB_MODE"]  # wandb itself refuses to start with an unknown value
        if mode is None:
            self.fall_back(f"WANDB_MODE={value} is none of online, offline, disabled")
        elif mode == "online" and not logged_in():
            self.fall_back("not logged in")
        else:
            self.mode = mode

    def fall_back(self, reason: str) -> None:
        """Go offline, for this run and the later ones."""
        self.mode, self.reason = "offline", reason
