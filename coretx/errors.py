"""The errors a user can cause, each with the exit code it ends the program with."""


class UsageError(ValueError):
    """Something the user asked for cannot be: exit code 2. The message says what was wanted, what came, what to do."""

    exit_code = 2


class OutputError(OSError):
    """The disk refuses what the run must write: exit code 3."""

    exit_code = 3


def choices(names) -> str:
    """Return names as they stand at the end of an error message.

    >>> choices(["mlp", "logreg"])
    'mlp, logreg'
    """
    return ", ".join(str(name) for name in names)
