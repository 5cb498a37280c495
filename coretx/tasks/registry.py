"""The tasks, in the order of the original: a dict from name to task."""

from collections.abc import Mapping

from coretx.errors import UsageError, choices
from coretx.tasks.base import Task
from coretx.tasks.numeric import AnyAbsGtOne, HasPosAndNeg, SignOfSecondPlace, SignOfWinner
from coretx.tasks.sums import MultiDigitSum, SingleDigitSum, SingleDigitSumSwapped, TwoDigitSum
from coretx.tasks.tokens import HasAllTokens

TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        SignOfWinner(),
        SignOfSecondPlace(),
        HasPosAndNeg(),
        HasAllTokens(),
        AnyAbsGtOne(),
        SingleDigitSum(),
        SingleDigitSumSwapped(),
        TwoDigitSum(),
        MultiDigitSum(),
    )
}


def get_task(name: str, tasks: Mapping[str, Task] = TASKS) -> Task:
    """Return the task of this name or title ("aa+bb=cc" is two_digit_sum); UsageError lists the names."""
    by_title = {task.title: task for task in tasks.values() if task.title}
    task = tasks.get(name) or by_title.get(name)
    if task is None:
        raise UsageError(f"unknown task {name!r}; choose from: {choices(tasks)}")
    return task
