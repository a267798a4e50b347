"""The workers that share a KOSPILOT_HOME: each shows the others that it lives, and its code.

Writes and reads KOSPILOT_HOME/workers/NAME.json, one for each worker, rewritten every few seconds.
"""

import time
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json, write_json
from tasks.core.processes.host import host_name
from tasks.core.processes.living import end_life, lives, show_life
from tasks.core.steps import CHAIN

BEAT_S = 5.0
"""Seconds between two signs of life, at most."""


def join(home: Path, pool: str) -> list[str]:
    """Shows this worker to the others, and returns sentences about those that have other code.

    Raises WorkError if a worker on another machine is at work whose lock is not seen here: two runs
    would then write the same artifact. Also raises it if nothing can be written there.
    """
    _check_written(home, pool)
    silent = []
    sentences = []
    for file in _others(home):
        if lives(file.parent, file.stem):
            sentences += _other_code(_read(file))
        else:
            silent.append(file)
    _check_dead(home, silent)
    return sentences


def _check_written(home: Path, pool: str) -> None:
    """Gives the first sign of life. Raises WorkError if that or an artifact cannot be written."""
    folder = home
    try:
        beat(home, pool)
        folder = home / "artifacts"
        folder.mkdir(exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise WorkError(
            f"{folder} cannot be written on {host_name()} ({error.strerror}), where a worker keeps"
            " artifacts, locks and logs. Mount it so that it can be, or set another KOSPILOT_HOME."
        ) from error


def beat(home: Path, pool: str) -> None:
    """Gives a sign of life."""
    name = show_life(_folder(home))
    steps = {step.name: step.version for step in CHAIN}
    told = {"host": host_name(), "pool": pool, "steps": steps, "at": time.time()}
    write_json(_folder(home) / f"{name}.json", told)


def leave(home: Path) -> None:
    """Lets the others see no more of this worker."""
    folder = _folder(home)
    (folder / f"{show_life(folder)}.json").unlink(missing_ok=True)
    end_life(folder)


def _check_dead(home: Path, silent: list[Path]) -> None:
    """Removes the records of workers that were killed; one that goes on beating was not."""
    before = {file: _read(file) for file in silent}
    if before:
        time.sleep(2 * BEAT_S)
    for file, told in before.items():
        now = _read(file)
        if now and now != told:
            raise WorkError(
                f"{home} carries no locks from {now.get('host')} to {host_name()}: a worker is at"
                " work there whose lock is free here, so two runs would write into one another."
                " Mount it by NFS without `nolock` and `local_lock`, or from another file system"
                " that passes flock(2) on."
            )
        file.unlink(missing_ok=True)


def _other_code(told: dict[str, Any]) -> list[str]:
    ours = {step.name: step.version for step in CHAIN}
    theirs = told.get("steps")
    if theirs == ours or not isinstance(theirs, dict):
        return []
    changed = [name for name in ours | theirs if ours.get(name) != theirs.get(name)]
    name = changed[0]
    return [
        f"The worker of the pool {told.get('pool')} on {told.get('host')} has another kospilot:"
        f" {name} has version {theirs.get(name, 'none')} there and {ours.get(name, 'none')} here."
        " Neither does such a step for the other: update both."
    ]


def _others(home: Path) -> list[Path]:
    own = show_life(_folder(home))
    return [file for file in sorted(_folder(home).glob("*.json")) if file.stem != own]


def _read(file: Path) -> dict[str, Any]:
    """What a worker told; nothing if it has just left."""
    try:
        told = read_json(file)
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _folder(home: Path) -> Path:
    return home / "workers"
