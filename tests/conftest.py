"""Fixtures of all tests: the user's KOSPILOT_HOME stays untouched, but its tools and downloads are
shared.
"""

import os
import signal
import sys
from pathlib import Path

import pytest

# a job in the background of a shell is born deaf to SIGINT, and so would be every program that a
# test starts
signal.signal(signal.SIGINT, signal.default_int_handler)

# as tasks/core/processes/child.py does for its programs: those that tests start compile no library
# anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

USERS_HOME = Path(os.environ.get("KOSPILOT_HOME") or Path.home() / ".kospilot")


def new_home(folder: Path) -> Path:
    """An empty KOSPILOT_HOME that shares tools and downloads with the user's."""
    folder.mkdir(parents=True, exist_ok=True)
    for shared in ("tools", "downloads"):
        (USERS_HOME / shared).mkdir(parents=True, exist_ok=True)
        (folder / shared).symlink_to(USERS_HOME / shared)
    return folder


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KOSPILOT_HOME", str(tmp_path / "home"))
