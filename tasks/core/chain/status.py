"""What the latest run is doing, for `kospilot status`: one small file, rewritten whole. Writes
KOSPILOT_HOME/logs.
"""

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

import psutil

from tasks.core.files.json_files import write_json


def write_status(home: Path, step: str, fraction: float, text: str, state: str = "running") -> None:
    """Records where the run stands; fraction is 0..1 of the step."""
    line = {
        "step": step,
        "fraction": round(fraction, 4),
        "text": text,
        "state": state,
        "pid": os.getpid(),
    }
    write_json(home / "logs" / "status.json", {**line, "at": time.time()})


def end_failed(home: Path) -> None:
    """Says that the run failed, at the step and the share where it stood: that is what one wants to
    know of it.
    """
    if line := _read(home):
        with contextlib.suppress(
            OSError
        ):  # a full disk: the error that says so must not be replaced by this one
            write_status(home, line["step"], line["fraction"], line["text"], "failed")


def read_status(home: Path) -> dict[str, Any] | None:
    """The latest status, with `alive`: whether the process that wrote it is still there. None if
    nothing ever ran.
    """
    line = _read(home)
    return (
        {**line, "alive": line["state"] == "running" and psutil.pid_exists(line["pid"])}
        if line
        else None
    )


def _read(home: Path) -> dict[str, Any] | None:
    try:
        return json.loads((home / "logs" / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
