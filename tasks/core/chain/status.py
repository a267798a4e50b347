"""What the latest run is doing, for `kospilot status`: one small file, rewritten whole.

Writes and reads KOSPILOT_HOME/logs/status.json.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import psutil

from tasks.core.files.json_files import read_json, write_json


def write_status(home: Path, step: str, fraction: float, text: str, state: str = "running") -> None:
    """Records where the run stands; fraction is 0..1 of the step."""
    status = {
        "step": step,
        "fraction": round(fraction, 4),
        "text": text,
        "state": state,
        "pid": os.getpid(),
        "at": time.time(),
    }
    write_json(_file(home), status)


def end_failed(home: Path) -> None:
    """Records that the run failed, and keeps the step and the share that it had reached."""
    status = _read(home)
    if status is None:
        return
    with contextlib.suppress(OSError):  # on a full disk, the error that says so must come through
        write_status(home, status["step"], status["fraction"], status["text"], "failed")


def read_status(home: Path) -> dict[str, Any] | None:
    """The latest status, with `alive`: whether the process that wrote it still runs.

    None if nothing ever ran.
    """
    status = _read(home)
    if status is None:
        return None
    alive = status["state"] == "running" and psutil.pid_exists(status["pid"])
    return {**status, "alive": alive}


def _read(home: Path) -> dict[str, Any] | None:
    try:
        status: dict[str, Any] = read_json(_file(home))
    except (OSError, ValueError):
        return None
    return status


def _file(home: Path) -> Path:
    return home / "logs" / "status.json"
