"""Whether a process still lives, for others that share a folder with it, wherever they are.

Process numbers mean nothing on another machine or in another container. So each process holds a
lock on a file of its own, whose name others are told. The lock is flock(2): the kernel frees it
when the process ends, however that happens, and NFS passes it on to its server, which frees the
locks of a machine that is gone (90 s after its last sign of life with NFSv4). A mount with `nolock`
or `local_lock` keeps locks to one machine, and is of no use here.
"""

import contextlib
import fcntl
import os
import re
import uuid
from pathlib import Path

from filelock import FileLock, Timeout

from tasks.core.processes.host import host_name

_NAME = re.compile(r"[A-Za-z0-9.-]{1,100}")
_held: dict[tuple[Path, int], tuple[str, FileLock]] = {}  # by folder and process


def process_name() -> str:
    """A name that no other process has, on any machine: host, number and 8 random digits."""
    return f"{host_name()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def show_life(folder: Path) -> str:
    """Returns the name by which others see in this folder, until it ends, that this process lives.

    Removes what dead processes left there.
    """
    known = _held.get((folder, os.getpid()))
    if known and _file(folder, known[0]).exists():
        return known[0]
    name = process_name()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_file(folder, name))
    lock.acquire()
    _held[folder, os.getpid()] = name, lock
    for file in folder.glob(".alive-*.lock"):
        _remove_dead(file)
    return name


def end_life(folder: Path) -> None:
    """Removes what this process showed there; it may show it again."""
    known = _held.pop((folder, os.getpid()), None)
    if known:
        _file(folder, known[0]).unlink(missing_ok=True)
        known[1].release()


def lives(folder: Path, name: str) -> bool:
    """Whether the process of this name lives; False for what cannot be a name."""
    if not _NAME.fullmatch(name) or not _file(folder, name).exists():
        return False
    try:
        with _file(folder, name).open("rb") as opened:  # which another account may, too
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:  # it ended meanwhile
        return False
    return False


def living_hosts(folder: Path) -> set[str]:
    """The names of the machines on which a process lives that shows so in this folder."""
    names = [file.name[len(".alive-") : -len(".lock")] for file in folder.glob(".alive-*.lock")]
    return {name.rsplit("-", 2)[0] for name in names if lives(folder, name)}


def _remove_dead(file: Path) -> None:
    with contextlib.suppress(OSError, Timeout), FileLock(file).acquire(timeout=0):
        file.unlink()


def _file(folder: Path, name: str) -> Path:
    return folder / f".alive-{name}.lock"
