"""Whether an artifact's files are still what its manifest says, byte for byte.

A file is read once. Its size, its times and its inode are remembered beside it, in .checked.json,
and as long as they stay it is not read again. A copy, a restored backup and a program that writes
into a file change at least its inode or its change time (ctime), which nobody can set. Rot on the
disk changes none of them: `kospilot artifacts verify` reads every byte for that.
"""

import contextlib
import os
import stat
from pathlib import Path
from typing import Any

from tasks.core.chain.manifest import Files
from tasks.core.files.digests import digest_file
from tasks.core.files.json_files import read_json, write_json
from tasks.core.files.memory import State, state_of

_CHECKED = ".checked.json"
_UNFINISHED = (_CHECKED, f".{_CHECKED}.*", ".manifest.json.*")


def scan(folder: Path) -> tuple[Files, dict[str, State]]:
    """Size and digest of every file of an artifact but its manifest, in the order of the paths.

    Also the state that each file was in before it was read.
    """
    files: Files = {}
    states = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != "manifest.json":
            name = str(file.relative_to(folder))
            states[name] = state_of(file)
            files[name] = (states[name][0], digest_file(file))
    return files, states


def find_damage(folder: Path, files: Files, anew: bool) -> str | None:
    """What is wrong with the files of an artifact's folder, or None if they are intact.

    anew: read every file, whatever is remembered.
    """
    problem = find_other_size(folder, files)  # of all files first, which takes no reading
    if problem:
        return problem
    known = {} if anew else _remembered(folder)
    states = {}
    for path, (_, sha) in files.items():
        state = state_of(folder / path)
        if known.get(path) != state and digest_file(folder / path) != sha:
            return f"the content of {path} changed"
        states[path] = state
    if states != known:
        remember(folder, states)
    return None


def find_other_size(folder: Path, files: Files) -> str | None:
    """The first file that is missing or has another size than the manifest says, in words."""
    for path, (size, _) in files.items():
        try:
            found = os.stat(os.path.join(folder, path))
        except OSError:
            return f"{path} is missing"
        if not stat.S_ISREG(found.st_mode):
            return f"{path} is missing"
        if found.st_size != size:
            return f"{path} has {found.st_size:,} bytes, not {size:,}"
    return None


def _remembered(folder: Path) -> dict[str, Any]:
    try:
        states = read_json(folder / _CHECKED)
    except (OSError, ValueError):  # a lost or damaged memory costs one reading of the files
        return {}
    return states if isinstance(states, dict) else {}


def forget(folder: Path) -> None:
    """Removes what a publishing that was cut off wrote beside the files: it is none of them."""
    for pattern in _UNFINISHED:
        for file in folder.glob(pattern):
            file.unlink()


def remember(folder: Path, states: dict[str, State]) -> None:
    """Writes down in what state files were when their content was read and right."""
    with contextlib.suppress(OSError):  # on a full or foreign disk they are read again
        write_json(folder / _CHECKED, states)
