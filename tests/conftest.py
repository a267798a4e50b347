"""Fixtures of all tests: a user's KOSPILOT_HOME stays untouched but for tools and downloads.

Tests run in several processes (pytest-xdist). Those of one file stay in one process, and those of
tests/pipeline in one, because they share a finished home and a server. What takes long to make and
is only read is made once for all processes (`made_once`).
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from xdist.scheduler import LoadScopeScheduling

# A job in the background of a shell is born deaf to SIGINT, and so would be every program that a
# test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# As tasks/core/processes/child.py does for its programs: those that tests start compile no library
# anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Several processes share the cores: with one thread each, none waits for another's.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

USERS_HOME = Path(os.environ.get("KOSPILOT_HOME") or Path.home() / ".kospilot")


class OneProcessPerFile(LoadScopeScheduling):
    """Keeps a file's tests in one process, and those of tests/pipeline too."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/pipeline" if file.startswith("tests/pipeline/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    return OneProcessPerFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the slow tests, so that no process is left with them at the end."""
    items.sort(key=_is_quick)


def _is_quick(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is None


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder of this name, made by the first process that asks for it. Nobody may change it.

    Names of two modules do not meet: a `tiny-base` of training's is not that of release's.
    """
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / f"{make.__module__}.{name}"
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not (folder / ".made").exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            (folder / ".made").touch()
    return folder


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
