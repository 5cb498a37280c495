"""Helping processes: a module of ours as a program, which answers what it reads until there is no more."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, sys
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # whatever else is printed is no answer
sys.path.insert(0, sys.argv[1])
from {module} import serve
serve(sys.stdin.buffer, answers)
"""


def start_helper(module: str) -> subprocess.Popen[bytes]:
    """Return a process that runs the module's serve(requests, answers); OSError where none can be started.

    Its input ends with this process, and with its input it does. Ctrl-C is for the one who asks.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM.format(module=module), str(Path(__file__).parents[2])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
