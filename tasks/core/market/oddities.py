"""Gaps between a market's days and changed units of its market caps, told before a run.

A folder is read for that once; what was found is remembered under KOSPILOT_HOME.
"""

import contextlib
import logging
from pathlib import Path

from tasks.core.errors import RequestError
from tasks.core.files.json_files import read_json, write_json
from tasks.core.market.snapshots import measure_days

log = logging.getLogger(__name__)


def warn_of_oddities(folder: Path, content: str, home: Path) -> None:
    """Logs a warning if something may have distorted the folder's days, or if there are none.

    content: the digest of all that the folder holds.
    """
    memory = home / "artifacts" / ".odd-market.json"
    odd = _remembered(memory, content)
    if odd is None:
        try:
            odd = measure_days(folder, None, None).odd
        except RequestError as error:  # the market step will raise it
            log.warning("%s", error)
            return
        with contextlib.suppress(OSError):  # on a full disk it is read again the next time
            write_json(memory, {content: odd})
    if odd:
        log.warning("%s: %s: `kospilot market check %s` says more.", folder, "; ".join(odd), folder)


def _remembered(memory: Path, content: str) -> list[str] | None:
    """What was found in this content; None if it was not looked at, or the memory is damaged."""
    try:
        odd = read_json(memory)[content]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return odd if isinstance(odd, list) and all(isinstance(one, str) for one in odd) else None
