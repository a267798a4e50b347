"""Folders of the system's temporary folder that a process needs while it runs.

Their names begin with kospilot-PID-, by which `artifacts gc` finds those that killed processes
left.
"""

import os
import re
import tempfile
from pathlib import Path

import psutil

_OURS = re.compile(r"kospilot-(\d+)-.+")


def scratch_folder(place: str | None = None) -> tempfile.TemporaryDirectory[str]:
    """Returns a new folder that goes when its block ends; place: where, if not the usual one."""
    return tempfile.TemporaryDirectory(prefix=_beginning(), dir=place, ignore_cleanup_errors=True)


def scratch_path(name: str) -> Path:
    """Returns where a library of this process may make a folder, which it removes itself."""
    return Path(tempfile.gettempdir(), f"{_beginning()}{name}")


def orphaned_folders() -> list[Path]:
    """Returns this user's scratch folders whose process is gone.

    Containers that share a temporary folder do not see each other's processes, so a folder that was
    written lately may be in use nevertheless.
    """
    orphaned = []
    for place in sorted({tempfile.gettempdir(), "/tmp"}):
        for folder in sorted(Path(place).glob("kospilot-*")):
            ours = _OURS.fullmatch(folder.name)
            if ours and not psutil.pid_exists(int(ours[1])) and _is_own(folder):
                orphaned.append(folder)
    return orphaned


def _beginning() -> str:
    return f"kospilot-{os.getpid()}-"


def _is_own(folder: Path) -> bool:
    return folder.lstat().st_uid == os.getuid()
