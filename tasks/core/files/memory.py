"""Digests of files outside the store, remembered so that large files are read once."""

from pathlib import Path
from typing import Any, Self

from tasks.core.files.digests import digest_file, digest_value
from tasks.core.files.json_files import read_json, write_json


class DigestMemory:
    """Digests of files outside the store.

    A file is read again only if its size or its modification time has changed.
    """

    def __init__(self, file: Path):
        self._file = file
        # by path: size in bytes, modification time in ns, digest
        self._known: dict[str, list[Any]]
        try:
            self._known = read_json(file)
        except (OSError, ValueError):  # a lost or damaged memory costs one reading of the files
            self._known = {}

    @classmethod
    def of(cls, home: Path) -> Self:
        """The memory under KOSPILOT_HOME, beside the artifacts."""
        return cls(home / "artifacts" / ".digests.json")

    def digest_of(self, path: Path) -> str:
        """The SHA-256 of a file, or of a folder's sorted (relative path, SHA-256)."""
        if path.is_dir():
            return self._digest_of_folder(path)
        name = str(path.resolve())
        stat = path.stat()
        state = [stat.st_size, stat.st_mtime_ns]
        known = self._known.get(name)
        if known and known[:2] == state:
            return known[2]
        digest = digest_file(path)
        self._known[name] = [*state, digest]
        return digest

    def save(self) -> None:
        """Writes the memory for the next run."""
        write_json(self._file, self._known)

    def _digest_of_folder(self, folder: Path) -> str:
        digests = []
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                digests.append([str(file.relative_to(folder)), self.digest_of(file)])
        return digest_value(digests)
