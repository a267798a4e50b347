"""A model that stands in for the one that will be trained, so that its release can be tried first.

Reads a base model's folder; writes a small model of the same architecture and an adapter for it.
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tasks.core.processes.child import ChildFailed, run_child
from tasks.core.release.model import Model

log = logging.getLogger(__name__)

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}


def stand_in(base: Path, modules: Sequence[str], out: Path) -> Model | None:
    """Writes a small random model with the base's tokenizer, and a random adapter of these layers.

    Returns None, with a warning, if the architecture cannot be made small: that alone is no sign
    that the real model cannot be released.
    """
    program: list[str | Path] = [
        sys.executable,
        "-m",
        "tasks.core.release.shrunken",
        base,
        out,
        *modules,
    ]
    try:
        run_child(program, env=_OFFLINE)
    except ChildFailed as error:
        reason = str(error).splitlines()[-1]
        log.warning("The release is not rehearsed: no small model is like %s (%s).", base, reason)
        return None
    return Model(out / "base", out / "adapter")
