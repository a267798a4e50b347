"""A full disk, told as such: libraries and programs end in many ways when they cannot write."""

import errno
import os
import shutil
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
    disk = min(_disks(error, out), key=lambda disk: disk.free)
    if disk.free > _LITTLE and number not in _ERRNOS and not any(word in text for word in _WORDS):
        return None
    return WorkError(
        f"{step} stopped because the disk of {disk.place} is full: {_megabytes(disk.free)} of"
        f" {_megabytes(disk.total)} are free, and {step} had written {_megabytes(_written(out))}."
        " Free some (`kospilot artifacts gc` shows what nothing needs), or set"
        f" {_variable(disk, out)} to a folder on a larger disk, and run the same command again:"
        " finished steps are kept."
    )


def _named(error: Exception) -> str:
    name = getattr(error, "filename", None)
    return f": {name}" if name else ""


def _disks(error: Exception, out: Path) -> list[_Disk]:
    """The disks that the step may have written to: its folder's, and that of temporary files."""
    places = [out, Path(tempfile.gettempdir())]
    name = getattr(error, "filename", None)
    if name:
        places.insert(0, Path(os.fsdecode(name)).absolute().parent)
    disks = []
    for place in places:
        if place.is_dir():
            usage = shutil.disk_usage(place)
            disks.append(_Disk(place, usage.free, usage.total))
    return disks


def _variable(disk: _Disk, out: Path) -> str:
    """The environment variable that moves what was written there elsewhere."""
    is_temporary = disk.place == Path(tempfile.gettempdir()) != out
    return "TMPDIR" if is_temporary else "KOSPILOT_HOME"


def _written(out: Path) -> int:
    return sum(file.lstat().st_size for file in out.rglob("*") if not file.is_dir())


def _megabytes(amount: int) -> str:
    return f"{amount / 1e6:,.1f} MB"
