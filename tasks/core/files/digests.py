"""Digests: of files, remembered by size and time so that large local files are read once, and of
plain values.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from tasks.core.files.json_files import write_json


def digest_file(path: Path) -> str:
    """sha256 of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_files(folder: Path) -> dict[str, str]:
    """sha256 of every file below a folder, hidden ones aside, by its path in it."""
    files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    return {
        name: digest_file(files[name])
        for name in sorted(files)
        if not name.startswith(".") and "/." not in name
    }


def digest_value(value: Any) -> str:
    """sha256 of a value's canonical JSON, as hex."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class DigestMemory:
    """Digests of files outside the store. A file is read again only when its size or modification
    time changed.
    """

    def __init__(self, file: Path):
        self._file = file
        try:
            self._known = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # a lost or damaged memory costs one reading of the files
            self._known = {}

    def digest_of(self, path: Path) -> str:
        """sha256 of a file, or of a folder's sorted (relative path, sha256)."""
        if path.is_dir():
            files = sorted(entry for entry in path.rglob("*") if entry.is_file())
            return digest_value(
                [[str(entry.relative_to(path)), self.digest_of(entry)] for entry in files]
            )
        name, stat = str(path.resolve()), path.stat()
        known = self._known.get(name)
        if known and known[:2] == [stat.st_size, stat.st_mtime_ns]:
            return known[2]
        self._known[name] = [stat.st_size, stat.st_mtime_ns, digest_file(path)]
        return self._known[name][2]

    def save(self) -> None:
        write_json(self._file, self._known)
