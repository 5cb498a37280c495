"""The errors a user can cause, each with the exit code it ends the program with."""


class UsageError(ValueError):
    """A request that cannot be met: exit code 2. The message names the wanted value, the given one, and the remedy."""

    exit_code = 2


class OutputError(OSError):
    """The disk refuses a write: exit code 3."""

    exit_code = 3


def choices(names) -> str:
    """Return names as the list at the end of an error message.

    >>> choices(["mlp", "logreg"])
    'mlp, logreg'
    """
    return ", ".join(str(name) for name in names)
