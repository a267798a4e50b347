"""What the programs of the hops have in common: the job they are told, progress, and errors."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json, write_json
from tasks.core.processes.child import run_kospilot_program
from tasks.core.records.artifacts import Progress

_QUIET_WAITS = {"OMP_WAIT_POLICY": "passive"}
"""Threads that wait give their core away: on a busy machine, spinning ones take three times the
time (measured on two cores, Q4_K_M of the demo's model).
"""


def run_job(program: str, job: Any, file: Path, progress: Progress) -> float:
    """Runs a program of this room with a job, which is written to `file`; returns its seconds.

    Raises WorkError with the program's own words.
    """
    write_json(file, vars(job))
    start = time.perf_counter()
    command = [sys.executable, "-m", f"tasks.core.parity.{program}", str(file)]
    run_kospilot_program(command, lambda line: _relay(line, progress), _QUIET_WAITS)
    return time.perf_counter() - start


def run_program(job_type: Callable[..., Any], main: Callable[[Any], None]) -> int:
    """Runs `main` with the job of the command line; returns the exit code."""
    try:
        main(job_type(**read_json(Path(sys.argv[1]))))
    except WorkError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def child_progress(name: str) -> Progress:
    """Returns a progress that tells the parent process, for the hop of this name."""

    def report(share: float, text: str) -> None:
        print(json.dumps({"share": share, "text": f"{name}: {text}"}), flush=True)

    return report


def cores() -> int:
    """Returns the threads to compute with: OMP_NUM_THREADS, else the cores that there are."""
    named = os.environ.get("OMP_NUM_THREADS", "")
    if named.isdigit():
        return int(named)
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _relay(line: str, progress: Progress) -> None:
    """Turns a line of a program into progress; other lines are the libraries'."""
    try:
        told = json.loads(line)
        progress(told["share"], told["text"])
    except (ValueError, LookupError, TypeError):
        return
