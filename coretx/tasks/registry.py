"""The tasks by name, in the order of the original."""

from collections.abc import Mapping

from coretx.errors import UsageError, choices
from coretx.tasks.arithmetic import MultiDigitSum, SingleDigitSum, SingleDigitSumSwapped, TwoDigitSum
from coretx.tasks.base import Task
from coretx.tasks.numeric import AnyAbsGtOne, HasPosAndNeg, SignOfSecondPlace, SignOfWinner
from coretx.tasks.tokens import HasAllTokens

NUMBERS_AND_TOKENS = (SignOfWinner(), SignOfSecondPlace(), HasPosAndNeg(), HasAllTokens(), AnyAbsGtOne())
SUMS = (SingleDigitSum(), SingleDigitSumSwapped(), TwoDigitSum(), MultiDigitSum())
TASKS: Mapping[str, Task] = {task.name: task for task in (*NUMBERS_AND_TOKENS, *SUMS)}


def get_task(name: str, tasks: Mapping[str, Task] = TASKS) -> Task:
    """Return the task of this name or title ("aa+bb=cc" is two_digit_sum). Raises UsageError that lists the names."""
    by_title = {task.title: task for task in tasks.values() if task.title}
    task = tasks.get(name) or by_title.get(name)
    if task is None:
        raise UsageError(f"unknown task {name!r}; choose from: {choices(tasks)}")
    return task
