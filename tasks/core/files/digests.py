"""SHA-256 digests of files, folders and plain values."""

import hashlib
import json
from pathlib import Path
from typing import Any


def digest_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_files(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below a folder, by the file's path in it.

    Hidden files, and files in hidden folders, are left out.
    """
    files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    digests = {}
    for name, file in sorted(files.items()):
        if not name.startswith(".") and "/." not in name:
            digests[name] = digest_file(file)
    return digests


def digest_value(value: Any) -> str:
    """The SHA-256 of a value's canonical JSON, as hex."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
