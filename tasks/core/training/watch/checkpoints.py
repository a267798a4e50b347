"""A stage's checkpoints: the newest intact one is used, and the oldest ones are removed.

They are sealed folders (tasks/core/files/sealed.py).
"""

import logging
import shutil
from pathlib import Path

from tasks.core.files.sealed import problem_of

log = logging.getLogger(__name__)


def remove_oldest(folder: Path, keep: int, best: Path | None = None) -> None:
    """Removes all but the newest `keep` checkpoints and the best one."""
    for checkpoint in _newest_first(folder)[keep:]:
        if checkpoint != best:
            shutil.rmtree(checkpoint)


def checkpoint_of(folder: Path, step: int) -> Path:
    return folder / f"checkpoint-{step}"


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
