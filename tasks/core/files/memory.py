"""Digests of files, remembered so that large files are read once."""

import contextlib
from pathlib import Path
from typing import Any, Self

from tasks.core.files.digests import digest_file, digest_value
from tasks.core.files.json_files import read_json, write_json

State = list[int]
"""What changes if a file does: bytes, modification and change time in ns, inode."""


def state_of(file: Path) -> State:
    """Returns a file's state. Raises OSError if it is not there.

    The modification time can be set back by anybody, the change time by nobody.
    """
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


class DigestMemory:
    """Digests of files outside the store.

    A file is read again only if its size, one of its times or its inode has changed.
    """

    def __init__(self, file: Path):
        self._file = file
        self._known = _read_known(file)  # by path: the file's state, and its digest at the end
        self._changed = False

    @classmethod
    def of(cls, home: Path) -> Self:
        """The memory under KOSPILOT_HOME, beside the artifacts."""
        return cls(home / "artifacts" / ".digests.json")

    def digest_of(self, path: Path, anew: bool = False) -> str:
        """The SHA-256 of a file, or of a folder's sorted (relative path, SHA-256).

        anew: read a file whatever is remembered.
        """
        if path.is_dir():
            return self._digest_of_folder(path)
        name = str(path.resolve())
        state = state_of(path)
        known = self._known.get(name)
        if not anew and isinstance(known, list) and known[:-1] == state:
            return str(known[-1])
        digest = digest_file(path)
        self._known[name] = [*state, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        """Writes the memory for the next run, if it holds something new.

        On a full or foreign disk the files are read again the next time.
        """
        if self._changed:
            with contextlib.suppress(OSError):
                write_json(self._file, self._known)

    def _digest_of_folder(self, folder: Path) -> str:
        digests = []
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                digests.append([str(file.relative_to(folder)), self.digest_of(file)])
        return digest_value(digests)


def _read_known(file: Path) -> dict[str, Any]:
    """A lost or damaged memory costs one reading of the files."""
    try:
        known = read_json(file)
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
