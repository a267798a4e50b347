"""What the programs of the hops have in common: the job they are told, progress, and errors."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json, write_json
from tasks.core.processes.reporting import QUIET_WAITS, run_reporting, tell_error, tell_progress
from tasks.core.records.artifacts import Progress


def run_job(program: str, job: Any, file: Path, progress: Progress) -> None:
    """Runs a program of this room with a job, which is written to `file`.

    Raises WorkError with the program's own words.
    """
    write_json(file, vars(job))
    command = [sys.executable, "-m", f"tasks.core.parity.{program}", str(file)]
    run_reporting(command, progress, QUIET_WAITS)


def run_program(job_type: Callable[..., Any], main: Callable[[Any], None]) -> int:
    """Runs `main` with the job of the command line; returns the exit code."""
    try:
        main(job_type(**read_json(Path(sys.argv[1]))))
    except WorkError as error:
        tell_error(error)
        return 1
    return 0


def child_progress(name: str) -> Progress:
    """Returns a progress that tells the parent process, for the hop of this name."""
    return lambda share, text: tell_progress(share, f"{name}: {text}")
