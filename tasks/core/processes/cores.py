"""How many threads this process may compute with."""

import os
import sys


def cores() -> int:
    """Returns the threads to compute with: OMP_NUM_THREADS, else the cores that there are."""
    named = os.environ.get("OMP_NUM_THREADS", "")
    if named.isdigit() and int(named):
        return int(named)
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
