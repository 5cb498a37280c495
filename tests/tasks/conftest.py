"""Each task of the registry in turn."""

import pytest

from coretx.tasks.registry import TASKS


@pytest.fixture(params=list(TASKS))
def task(request):
    return TASKS[request.param]
