"""A model that stands in for the one that will be trained, so that its release can be tried first.

Reads a base model's folder; writes a small model of the same architecture, merged with an adapter.
"""

import logging
import sys
from pathlib import Path

from tasks.core.errors import WorkError
from tasks.core.processes.child import ChildFailed, run_child
from tasks.core.settings.tree import Training

log = logging.getLogger(__name__)

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}


def merge_stand_in(base: Path, training: Training, out: Path) -> Path | None:
    """Returns the folder of a small random model with the base's tokenizer, into which a random
    adapter was folded.

    Returns None, with a warning, if the architecture cannot be made small: that alone is no sign
    that the real model cannot be released. Raises WorkError if the two cannot be merged.
    """
    program: list[str | Path] = [sys.executable, "-m", "tasks.core.release.shrunken", base, out]
    try:
        run_child([*program, training.quantize_base, *training.target_modules], env=_OFFLINE)
    except ChildFailed as error:
        lines, reported, words = str(error).rpartition("\nerror: ")
        if reported:
            raise WorkError(f"The rehearsal of the release cannot be merged: {words}") from None
        reason = words.splitlines()[-1]
        log.warning("The release is not rehearsed: no small model is like %s (%s).", base, reason)
        return None
    return out / "merged"
