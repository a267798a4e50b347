"""Checkpoints that are whole or not there: a digest of every file is written last and compared before use."""

import json
import logging
import shutil
from pathlib import Path

from tasks.core.digests import digest_file, write_json

log = logging.getLogger(__name__)
_SEAL = "kospilot.json"


def seal(checkpoint: Path) -> None:
    """Writes the digests of a finished checkpoint's files: from now on it counts."""
    files = sorted(file for file in checkpoint.rglob("*") if file.is_file() and file.name != _SEAL)
    write_json(checkpoint / _SEAL, {str(file.relative_to(checkpoint)): digest_file(file) for file in files})


def remove_oldest(folder: Path, keep: int) -> None:
    """Removes all but the newest `keep` checkpoints."""
    for checkpoint in _newest_first(folder)[keep:]:
        shutil.rmtree(checkpoint)


def newest_intact(folder: Path) -> Path | None:
    """The newest checkpoint whose files are what its seal says; newer damaged ones are reported and removed."""
    for checkpoint in _newest_first(folder):
        problem = _problem(checkpoint)
        if problem is None:
            return checkpoint
        log.warning("%s is not used: %s", checkpoint.name, problem)
        shutil.rmtree(checkpoint)
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"), key=lambda entry: int(entry.name.partition("-")[2]), reverse=True)


def _problem(checkpoint: Path) -> str | None:
    try:
        digests = json.loads((checkpoint / _SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "it was not finished"
    for name, digest in digests.items():
        file = checkpoint / name
        if not file.exists() or digest_file(file) != digest:
            return f"{name} is missing or damaged"
    return None
