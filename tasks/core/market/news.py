"""Whether a market folder has changed since a refresh last looked at it, and whether it is quiet.

Looks at sizes, times and inodes of the files, by asking for them again and again: unlike the
kernel's notices, this works on a network's disk too. Keeps what was looked at last in
KOSPILOT_HOME/market/looked-at.json.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from tasks.core.files.digests import digest_value
from tasks.core.files.json_files import read_json, write_json
from tasks.core.files.memory import state_of
from tasks.core.market.folder import described_by, named_folder
from tasks.core.market.partitions import find_partitions
from tasks.core.settings.profiles import Resolved

MARKET_UPDATED = "kospilot.market.updated"
"""The event by which an import tells the server that a folder has changed."""

FOLDER_LABEL = "kospilot.folder"
"""The event's label that holds the folder's absolute path."""

NO_MARKET = digest_value({})
"""The state of a folder without a file of a market."""

QUIET_S = 20.0
"""A folder in which nothing has changed for so long is not being copied into any more."""

_LONGEST_WAIT_S = 600.0
_LOOK_EVERY_S = 2.0


def followed_folder(resolved: Resolved, home: Path) -> Path:
    """The absolute path of a profile's market folder.

    A relative one begins where the person stands who started the worker.
    """
    standing = Path(os.environ.get("KOSPILOT_FOLDER", "."))
    return (standing / named_folder(resolved.settings.market, home)).resolve()


def market_state(folder: Path) -> str:
    """What changes whenever a file of the market does; the same for all folders without a file."""
    states = {}
    for file in _files(folder):
        try:
            states[str(file.relative_to(folder))] = state_of(file)
        except OSError:  # it was removed a moment ago
            continue
    return digest_value(states)


class Stillness:
    """Watches whether a folder has come to rest: by its files' times, or by our own clock.

    Another machine's clock may be ahead, and its files then bear a time to come.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._state = market_state(folder)
        self._since = time.monotonic()

    def is_quiet(self) -> bool:
        """Whether nothing has changed for a while. Asked now and then, it notices each change."""
        state = market_state(self._folder)
        if state != self._state:
            self._state, self._since = state, time.monotonic()
        return _is_old(self._folder) or time.monotonic() - self._since >= QUIET_S


def _is_old(folder: Path) -> bool:
    now = time.time()
    return all(now - changed >= QUIET_S for changed in map(_changed_at, _files(folder)))


def await_quiet(folder: Path, tell: Callable[[str], None]) -> None:
    """Returns when nothing has changed in the folder for a while, or after ten minutes."""
    stillness = Stillness(folder)
    if stillness.is_quiet():
        return
    tell(f"{folder} was changed just now: waiting until nothing has changed for {QUIET_S:.0f} s")
    began = time.monotonic()
    while not stillness.is_quiet():
        if time.monotonic() - began > _LONGEST_WAIT_S:
            tell(f"{folder} has been changing for ten minutes: taking it as it is")
            return
        time.sleep(_LOOK_EVERY_S)


def note_looked_at(home: Path, follower: str, state: str) -> None:
    """Remembers the state of its market that a refresh goes by.

    follower: whose refresh it is, see `follower_of`.
    """
    write_json(_file(home), {**_read(home), follower: state})


def looked_at(home: Path, follower: str) -> str | None:
    """The state that a refresh went by last; None if there was none."""
    return _read(home).get(follower)


def follower_of(resolved: Resolved, folder: Path) -> str:
    """Names a refresh: its profile, its settings and its market folder."""
    return " ".join([resolved.profile, *resolved.overrides, str(folder)])


def _files(folder: Path) -> list[Path]:
    return [*(partition.file for partition in find_partitions(folder)), *described_by(folder)]


def _changed_at(file: Path) -> float:
    """When a file was last changed, or put there; a copy keeps its modification time, not this."""
    try:
        return file.stat().st_ctime
    except OSError:
        return 0.0


def _read(home: Path) -> dict[str, str]:
    try:
        known = read_json(_file(home))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _file(home: Path) -> Path:
    return home / "market" / "looked-at.json"
