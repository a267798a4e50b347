"""A full disk, told as such: libraries and programs end in many ways when they cannot write."""

import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import WorkError

_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_WORDS = (
    "no space left on device",
    "disk quota exceeded",
    "disk full",
    "iostream error",  # llama.cpp's programs, which are written in C++
    "os error 28",  # safetensors and tokenizers, which are written in Rust
)
_LIMIT_WORDS = ("file too large", "os error 27")
_LITTLE = 1 << 20  # bytes; a disk with less is full
_MUCH = 1 << 30  # bytes; a disk with more is not full, even if unfinished files were removed since


@dataclass(frozen=True)
class _Disk:
    place: Path
    free: int  # bytes
    total: int  # bytes


def explain_full_disk(error: Exception, step: str, out: Path) -> WorkError | None:
    """Returns the error that names the full disk and what to free, or None if none is full.

    To be asked while what the step wrote into `out` is still there.
    """
    text = str(error).lower()
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EFBIG or any(words in text for words in _LIMIT_WORDS):
        return WorkError(
            f"{step} stopped because a file became larger than the system allows"
            f"{_named(error)}. Raise the limit (`ulimit -f unlimited`), or set KOSPILOT_HOME to a"
            " disk without one, and run the same command again: finished steps are kept."
        )
    disk = _fullest(error, out)
    says_full = number in _ERRNOS or any(words in text for words in _WORDS)
    if disk is None or (disk.free > _LITTLE and not says_full):
        return None
    return WorkError(
        f"{step} stopped because {_what_is_full(error, disk)}, and {step} had written"
        f" {_megabytes(_written(out))}."
        " Free some (`kospilot artifacts gc` shows what nothing needs), or set"
        f" {_variable(disk, out)} to a folder on a larger disk, and run the same command again:"
        " finished steps are kept."
    )


def _what_is_full(error: Exception, disk: _Disk) -> str:
    free = f"{_megabytes(disk.free)} of {_megabytes(disk.total)} are free"
    if disk.free <= _MUCH:
        return f"the disk of {disk.place} is full: {free}"
    return (
        f"writing failed ({_last_line(error)}), though on the disk of {disk.place} {free}: a quota"
        " or the number of files (`df -i`) is used up, space was freed since, or a file cannot be"
        " read"
    )


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2][-200:]


def _named(error: Exception) -> str:
    name = getattr(error, "filename", None)
    return f": {name}" if name else ""


def _fullest(error: Exception, out: Path) -> _Disk | None:
    """The disk that a full disk's error names, or else the fuller one of those that steps write to:
    its folder's, and that of temporary files. None if none of them can be written.
    """
    name = getattr(error, "filename", None)
    if isinstance(error, OSError) and error.errno in _ERRNOS and isinstance(name, str | bytes):
        disk = _disk_of(Path(os.fsdecode(name)).absolute().parent)
        if disk:
            return disk
    disks = [_disk_of(out), _disk_of(Path(tempfile.gettempdir()))]
    return min((disk for disk in disks if disk), key=lambda disk: disk.free, default=None)


def _disk_of(place: Path) -> _Disk | None:
    """The disk of a folder; None if there is none that can be written, as under /proc."""
    if not place.is_dir():
        return None
    found = os.statvfs(place)
    if not found.f_blocks or found.f_flag & os.ST_RDONLY:
        return None
    size = found.f_frsize
    return _Disk(place, found.f_bavail * size, found.f_blocks * size)


def _variable(disk: _Disk, out: Path) -> str:
    """The environment variable that moves what was written there elsewhere."""
    is_temporary = disk.place == Path(tempfile.gettempdir()) != out
    return "TMPDIR" if is_temporary else "KOSPILOT_HOME"


def _written(out: Path) -> int:
    return sum(file.lstat().st_size for file in out.rglob("*") if not file.is_dir())


def _megabytes(amount: int) -> str:
    return f"{amount / 1e6:,.1f} MB"
