"""What this process may use of its machine."""

import os


def cores() -> int:
    """Return how many cores this process may use: all, where a system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
