"""Folders that are whole or not there: they appear by rename, sealed with their files' digests.

The seal is a JSON file in the folder; its digests are compared before the folder is used.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.core.files.digests import digest_file
from tasks.core.files.json_files import read_json, write_json

_SEAL = "kospilot.json"


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """A folder to write subfolders into, which are sealed and moved into `folder` at the end.

    None of them appears if the block ends with an error.
    """
    part = folder / "unfinished"
    shutil.rmtree(part, ignore_errors=True)  # what a killed process left
    part.mkdir(parents=True)
    yield part
    for finished in part.iterdir():
        seal(finished)
        shutil.rmtree(folder / finished.name, ignore_errors=True)
        os.replace(finished, folder / finished.name)
    part.rmdir()


def seal(folder: Path) -> None:
    """Writes the digests of a finished folder's files: from now on it counts."""
    digests = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != _SEAL:
            digests[str(file.relative_to(folder))] = digest_file(file)
    write_json(folder / _SEAL, digests)


def problem_of(folder: Path) -> str | None:
    """What keeps a sealed folder from being used; None if it is intact."""
    try:
        digests = read_json(folder / _SEAL)
    except (OSError, ValueError):
        return "it was not finished"
    if not isinstance(digests, dict) or not digests:
        return f"its {_SEAL} is damaged"
    for name, digest in digests.items():
        file = folder / name
        if not file.is_file() or digest_file(file) != digest:
            return f"{name} is missing or damaged"
    return None
