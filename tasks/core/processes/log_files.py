"""Logs of servers, which are kept from one start to the next and never grow without an end."""

import contextlib
import os
import time
from pathlib import Path
from threading import Thread

from filelock import FileLock

_MOST = 10 << 20  # bytes of a file
_KEPT = 5  # files beside the one that is written
_LOOK_EVERY_S = 2.0
_OUTPUTS = (1, 2)  # stdout and stderr


def open_end(log_file: Path) -> int:
    """Makes room in a log that is about to be appended to, and returns where it ends, in bytes."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    rotate(log_file)
    return log_file.stat().st_size if log_file.exists() else 0


def rotate(log_file: Path, most: int = _MOST) -> None:
    """Renames a log to NAME.1, and NAME.1 to NAME.2, if it has more than `most` bytes.

    No line is lost: a process that has the file open goes on writing to it under its new name,
    until it opens the log anew.
    """
    with FileLock(log_file.with_name(f".{log_file.name}.lock")):
        if not log_file.exists() or log_file.stat().st_size <= most:
            return
        for number in reversed(range(1, _KEPT)):
            older = _numbered(log_file, number)
            if older.exists():
                older.replace(_numbered(log_file, number + 1))
        log_file.replace(_numbered(log_file, 1))


def _numbered(log_file: Path, number: int) -> Path:
    return log_file.with_name(f"{log_file.name}.{number}")


def keep_rotated(log_file: Path, most: int = _MOST) -> None:
    """Lets this process rotate the log that its output goes to, as long as it runs.

    Only who writes can go on in a new file without a lost line. Does nothing if the output goes
    elsewhere.
    """
    outputs = [output for output in _OUTPUTS if _goes_to(output, log_file)]
    if outputs:
        Thread(target=_keep_rotating, args=(log_file, most, outputs), daemon=True).start()


def _keep_rotating(log_file: Path, most: int, outputs: list[int]) -> None:
    while True:
        time.sleep(_LOOK_EVERY_S)
        with contextlib.suppress(OSError):
            rotate(log_file, most)
            write_on(log_file, outputs)


def write_on(log_file: Path, outputs: list[int]) -> None:
    """Lets this process's outputs go on in the log, if this or another process rotated it."""
    if all(_goes_to(output, log_file) for output in outputs):
        return
    with log_file.open("a") as present:
        for output in outputs:
            os.dup2(present.fileno(), output)


def _goes_to(output: int, log_file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(output), log_file.stat())
    except OSError:
        return False


def prune(logs: list[Path]) -> None:
    """Removes the first of the logs, which are the oldest, until the others have no more bytes than
    a log and its rotated files may have. The last one stays.
    """
    room = (_KEPT + 1) * _MOST
    for log_file in reversed(logs):
        with contextlib.suppress(FileNotFoundError):  # another run removes it, too
            room -= log_file.stat().st_size
            if room < 0 and log_file != logs[-1]:
                log_file.unlink()


def read_since(log_file: Path, begun: int) -> str:
    """What a log holds from a byte on; all of it if it was rotated since and is shorter."""
    with log_file.open("rb") as log:
        if begun <= os.fstat(log.fileno()).st_size:
            log.seek(begun)
        return log.read().decode("utf-8", errors="replace")
