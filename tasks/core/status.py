"""What the latest run is doing, for `kospilot status`: one small file, rewritten whole. Writes KOSPILOT_HOME/logs."""

import json
import os
import time
from pathlib import Path
from typing import Any

from tasks.core.digests import write_json


def write_status(home: Path, step: str, fraction: float, text: str, state: str = "running") -> None:
    """Records where the run stands; fraction is 0..1 of the step."""
    line = {"step": step, "fraction": round(fraction, 4), "text": text, "state": state, "pid": os.getpid()}
    write_json(home / "logs" / "status.json", {**line, "at": time.time()})


def read_status(home: Path) -> dict[str, Any] | None:
    """The latest status, with `alive`: whether the process that wrote it is still there. None if nothing ever ran."""
    try:
        line = json.loads((home / "logs" / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return {**line, "alive": line["state"] == "running" and Path(f"/proc/{line['pid']}").exists()}
