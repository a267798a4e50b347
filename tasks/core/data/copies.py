"""Files brought into an artifact without reading them twice if the disk can share their blocks."""

import fcntl
import os
import shutil
from pathlib import Path

_FICLONE = 0x40049409  # <linux/fs.h>: the copy shares blocks until one side is written


def copy_file(source: Path, target: Path, immutable: bool = False) -> None:
    """Makes target a copy of source: with shared blocks if the file system can, else a plain copy.

    A hard link costs nothing but changes with its source, so only a source that nobody rewrites (a
    content-addressed download cache) may be `immutable`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    source = source.resolve()
    if immutable and _link(source, target):
        return
    if not _clone(source, target):
        shutil.copyfile(source, target)


def _link(source: Path, target: Path) -> bool:
    """Whether a hard link could be made: not to another disk, nor on one without hard links."""
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _clone(source: Path, target: Path) -> bool:
    """Whether the file system could share the source's blocks with the target."""
    with source.open("rb") as read, target.open("wb") as write:
        try:
            fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
        except OSError:
            return False
    return True
