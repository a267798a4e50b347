"""Whether a file of your own rows is worth a run, told from its first rows before any work."""

import logging
from collections import Counter
from itertools import islice
from pathlib import Path

from tasks.core.data.chat import Source
from tasks.core.data.cleaning import clean_row, iterate_rows

log = logging.getLogger(__name__)

_LOOKED_AT = 200  # rows
_MANY = 0.5  # of them


def warn_of_drops(source: Source, file: Path) -> None:
    """Logs a warning if normalize would leave out at least half of the file's first 200 rows."""
    reasons: Counter[str] = Counter()
    rows = 0
    for row in islice(iterate_rows(source, [file]), _LOOKED_AT):
        rows += 1
        chat = clean_row(source, row)
        if isinstance(chat, str):
            reasons[chat] += 1
    dropped = reasons.total()
    if rows and dropped >= _MANY * rows:
        reason, count = reasons.most_common(1)[0]
        log.warning(
            "%s of the first %s rows of %s would be dropped whole, %s of them because of: %s",
            *(dropped, rows, file, count, reason),
        )
