"""Whether a file of your own rows is worth a run, told from its first rows before any work."""

import logging
from collections import Counter
from itertools import islice
from pathlib import Path

from tasks.core.chat.template import ChatTemplate, Messages
from tasks.core.data.chat import Chat, Drop, Source
from tasks.core.data.cleaning import clean_row, iterate_rows
from tasks.core.errors import RequestError

log = logging.getLogger(__name__)

_LOOKED_AT = 200  # rows
_MANY = 0.5  # of them
_PROMPT = "System prompt."  # what stands in for one that a row does not have


def warn_of_drops(source: Source, file: Path, base: Path | None) -> None:
    """Logs a warning if at least half of the file's first 200 rows would not be trained.

    base: the folder of the base model, whose chat template may refuse rows; None if it is not here.
    """
    template = ChatTemplate(base) if base else None
    reasons: Counter[Drop] = Counter()
    rows = 0
    for row in islice(iterate_rows(source, [file]), _LOOKED_AT):
        rows += 1
        cleaned = clean_row(source, row)
        if isinstance(cleaned, str):
            reasons[cleaned] += 1
        elif template and not _is_rendered(template, cleaned.chat):
            reasons["refused by the base's chat template"] += 1
    dropped = reasons.total()
    if rows and dropped >= _MANY * rows:
        reason, count = reasons.most_common(1)[0]
        log.warning(
            "%s of the first %s rows of %s would be dropped whole, %s of them because of: %s",
            *(dropped, rows, file, count, reason),
        )


def _is_rendered(template: ChatTemplate, chat: Chat) -> bool:
    messages: Messages = [{"role": "system", "content": chat.system or _PROMPT}]
    messages += [{"role": turn.role, "content": turn.text} for turn in chat.turns]
    try:
        template.render(messages, add_generation_prompt=False)
    except RequestError:
        return False
    return True
