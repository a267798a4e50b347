"""How many cores this process may use, and how many threads it may compute with."""

import os
import sys


def cores() -> int:
    """Returns how many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads() -> int:
    """Returns how many threads to compute with: OMP_NUM_THREADS, else one for each core."""
    named = os.environ.get("OMP_NUM_THREADS", "")
    return int(named) if named.isdigit() and int(named) else cores()
