"""What the latest run is doing, for `kospilot status`: one small file, rewritten whole.

Writes and reads KOSPILOT_HOME/logs/status.json.
"""

import contextlib
import time
from pathlib import Path
from typing import Any

from tasks.core.files.json_files import read_json, write_json
from tasks.core.processes.host import host_name
from tasks.core.processes.living import end_life, lives, show_life

_KINDS = {"step": str, "text": str, "state": str, "fraction": int | float}


def write_status(home: Path, step: str, fraction: float, text: str, state: str = "running") -> None:
    """Records where the run stands; fraction is 0..1 of the step."""
    status = {
        "step": step,
        "fraction": round(fraction, 4),
        "text": text,
        "state": state,
        "host": host_name(),
        "process": show_life(_file(home).parent),
        "at": time.time(),
    }
    write_json(_file(home), status)
    if state != "running":
        end_life(_file(home).parent)


def end_failed(home: Path, error: BaseException | None = None) -> None:
    """Records that the run failed, and keeps the step and the share that it had reached.

    error: what ended it; a run that was stopped or cancelled is interrupted, and did not fail.
    """
    status = _read(home)
    if status is None:
        return
    is_failure = error is None or isinstance(error, Exception)
    state = "failed" if is_failure else "interrupted"
    with contextlib.suppress(OSError):  # on a full disk, the error that says so must come through
        write_status(home, status["step"], status["fraction"], status["text"], state)


def read_status(home: Path) -> dict[str, Any] | None:
    """The latest status, with `alive`: whether the process that wrote it still runs, here or on
    another machine, and `elsewhere`: the name of that machine, or None if it is this one.

    None if nothing ever ran.
    """
    status = _read(home)
    if status is None:
        return None
    process, host = str(status.get("process", "")), status.get("host")
    alive = status["state"] == "running" and lives(_file(home).parent, process)
    return {**status, "alive": alive, "elsewhere": None if host == host_name() else host}


def _read(home: Path) -> dict[str, Any] | None:
    """The file's words; None if it is not there, damaged or another program's."""
    try:
        status = read_json(_file(home))
    except (OSError, ValueError):
        return None
    if not isinstance(status, dict):
        return None
    is_whole = all(isinstance(status.get(name), kind) for name, kind in _KINDS.items())
    return status if is_whole and 0 <= status["fraction"] <= 1 else None


def _file(home: Path) -> Path:
    return home / "logs" / "status.json"
