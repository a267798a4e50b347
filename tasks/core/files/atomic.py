"""Files that appear whole or not at all: each is written beside its place, then renamed into it."""

import contextlib
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

_NEIGHBOUR = re.compile(r"\..+\.\d+")  # .NAME.NUMBER


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a neighbour to write to, which takes the place of `path` if the block ends well.

    Readers see the old file or the new one, never a part of it. An error removes the neighbour and
    leaves the old file as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = neighbour_of(path)
    try:
        yield neighbour
        os.replace(neighbour, path)
    except BaseException:
        neighbour.unlink(missing_ok=True)
        raise


def neighbour_of(path: Path) -> Path:
    """A new name beside a file or folder that is to be made; no other process on any machine has
    it, while process numbers are the same in two containers.
    """
    return path.with_name(f".{path.name}.{uuid.uuid4().int % 10**18}")


def half_written(folder: Path) -> list[Path]:
    """Returns the neighbours that lie in a folder and up to two folders below it: of processes that
    write just now, and of those that were killed.
    """
    found = []
    for level in ("", "*/", "*/*/"):
        for path in folder.glob(f"{level}.*.*"):
            if _NEIGHBOUR.fullmatch(path.name):
                found.append(path)
    return found


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text, whole or not at all."""
    with replacing(path) as neighbour:
        neighbour.write_text(text, encoding="utf-8")


def sync_folder(folder: Path) -> None:
    """Waits until the disk has a folder's files and names, so that a power cut cannot take them.

    A rename that makes the folder visible must come after this.
    """
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir() or path.is_file():
            sync(path)


def sync(path: Path) -> None:
    """Waits until the disk has a file's bytes, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def give_usual_modes(folder: Path) -> None:
    """Gives the files of a folder the mode that the umask gives new ones.

    safetensors writes for the owner alone, and then nobody else can use a home that is shared.
    """
    probe = folder / ".mode"
    probe.touch()
    mode = probe.stat().st_mode
    probe.unlink()
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink() and file.stat().st_mode != mode:
            file.chmod(mode)
