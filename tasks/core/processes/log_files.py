"""Logs of servers, which are kept from one start to the next and never grow without an end."""

import os
import shutil
from pathlib import Path

from filelock import FileLock

_MOST = 10 << 20  # bytes of a file
_KEPT = 5  # files beside the one that is written


def open_end(log_file: Path) -> int:
    """Makes room in a log that is about to be appended to, and returns where it ends, in bytes."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    rotate(log_file)
    return log_file.stat().st_size if log_file.exists() else 0


def rotate(log_file: Path, most: int = _MOST) -> None:
    """Moves what a log holds into NAME.1, and NAME.1 into NAME.2, if it has more than `most` bytes.

    The file itself stays, emptied: a server that appends to it goes on there.
    """
    with FileLock(log_file.with_name(f".{log_file.name}.lock")):
        if not log_file.exists() or log_file.stat().st_size <= most:
            return
        for number in reversed(range(1, _KEPT)):
            older = _numbered(log_file, number)
            if older.exists():
                older.replace(_numbered(log_file, number + 1))
        shutil.copyfile(log_file, _numbered(log_file, 1))
        os.truncate(log_file, 0)


def _numbered(log_file: Path, number: int) -> Path:
    return log_file.with_name(f"{log_file.name}.{number}")


def read_since(log_file: Path, begun: int) -> str:
    """What a log holds from a byte on; all of it if it was rotated since and is shorter."""
    with log_file.open("rb") as log:
        if begun <= os.fstat(log.fileno()).st_size:
            log.seek(begun)
        return log.read().decode("utf-8", errors="replace")
