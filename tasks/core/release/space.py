"""Whether a disk has room for what is about to be written."""

import shutil
from pathlib import Path

from tasks.core.errors import WorkError


def check_space(folder: Path, needed: int, what: str) -> None:
    """Raises WorkError, before anything is written, unless `needed` bytes are free in a folder."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WorkError(
            f"{what} takes about {needed / 1e6:,.0f} MB and the disk of {folder} has"
            f" {free / 1e6:,.0f} MB free. Free some (`kospilot artifacts gc`), or set KOSPILOT_HOME"
            " to a larger disk, and run the same command again: finished steps are kept."
        )
