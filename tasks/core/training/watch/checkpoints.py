"""Checkpoints that are whole or not there: they appear by rename, sealed with their files' digests,
which are compared before use.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.core.files.digests import digest_file
from tasks.core.files.json_files import write_json

log = logging.getLogger(__name__)
_SEAL = "kospilot.json"


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """A folder to write checkpoints into, which are sealed and moved into `folder` once all of it
    is written.
    """
    part = folder / "unfinished"
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    part.mkdir(parents=True)
    yield part
    for checkpoint in part.iterdir():
        seal(checkpoint)
        shutil.rmtree(folder / checkpoint.name, ignore_errors=True)
        os.replace(checkpoint, folder / checkpoint.name)
    part.rmdir()


def seal(checkpoint: Path) -> None:
    """Writes the digests of a finished checkpoint's files: from now on it counts."""
    files = sorted(file for file in checkpoint.rglob("*") if file.is_file() and file.name != _SEAL)
    write_json(
        checkpoint / _SEAL, {str(file.relative_to(checkpoint)): digest_file(file) for file in files}
    )


def remove_oldest(folder: Path, keep: int, best: Path | None = None) -> None:
    """Removes all but the newest `keep` checkpoints and the best one."""
    for checkpoint in _newest_first(folder)[keep:]:
        if checkpoint != best:
            shutil.rmtree(checkpoint)


def checkpoint_of(folder: Path, step: int) -> Path:
    return folder / f"checkpoint-{step}"


def problem_of(checkpoint: Path) -> str | None:
    """What keeps a checkpoint from being used; None if it is intact."""
    try:
        digests = json.loads((checkpoint / _SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "it was not finished"
    for name, digest in digests.items():
        file = checkpoint / name
        if not file.exists() or digest_file(file) != digest:
            return f"{name} is missing or damaged"
    return None


def newest_intact(folder: Path) -> Path | None:
    """The newest checkpoint whose files are what its seal says; newer damaged ones are reported and
    removed.
    """
    for checkpoint in _newest_first(folder):
        problem = problem_of(checkpoint)
        if problem is None:
            return checkpoint
        log.warning("%s is not used: %s", checkpoint.name, problem)
        shutil.rmtree(checkpoint)
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(
        folder.glob("checkpoint-*"),
        key=lambda entry: int(entry.name.partition("-")[2]),
        reverse=True,
    )
