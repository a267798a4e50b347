"""One source's rows read through once: which can be used, which are dropped and why, and each
usable row's lots.

Each source draws from its own generator, so a change to one share or one file moves no row of
another source. Writes the usable rows, cleaned, to a scratch file (shuffle.py), so that no file is
read or cleaned twice.
"""

import hashlib
import random
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ftfy

from tasks.core.data.chat import Chat, Drop, Row, Source
from tasks.core.data.languages import LANGUAGES, language_of
from tasks.core.data.near_duplicates import NearDuplicates
from tasks.core.data.shuffle import Scratch
from tasks.core.data.tables import read_rows
from tasks.core.settings.tree import Data

# The traces of UTF-8 read as Latin-1 or Windows-1252, a lead byte's character followed by a
# continuation byte's, and of
# Windows-1252 read as Latin-1, a control character. ftfy takes 0.4 ms a row: it looks only at texts
# that hold one.
_SUSPECT = re.compile(
    "[\u0080-\u009f]|[\u00c2-\u00f4][\u00a0-\u00bf\u0152-\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
_REPORT_EVERY = 5_000


@dataclass
class Survey:
    """What a source holds: rows_in = usable + all dropped. The arrays hold one value a usable row,
    21 bytes in all.
    """

    rows_in: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    repaired: int = 0  # of the usable: mojibake undone
    unprompted: int = 0  # of the usable: no system prompt of their own
    draws: array = field(
        default_factory=lambda: array("d")
    )  # lots in the draw: the lowest are taken
    places: array = field(default_factory=lambda: array("d"))  # lots in the final order
    lengths: array = field(default_factory=lambda: array("I"))  # characters, all messages
    languages: array = field(default_factory=lambda: array("B"))  # index in LANGUAGES

    @property
    def usable(self) -> int:
        return len(self.draws)


def survey_source(
    source: Source,
    files: Sequence[Path],
    data: Data,
    scratch: Scratch,
    on_rows: Callable[[int], None],
) -> Survey:
    """Reads a source, counts, and writes the usable rows to scratch; on_rows hears now and then how
    many were read.
    """
    found, seen = Survey(), set()
    near = NearDuplicates(data.near_duplicates) if data.near_duplicates else None
    generator = random.Random(f"{data.seed} {source.name}")
    for row in iterate_rows(source, files):
        found.rows_in += 1
        if found.rows_in % _REPORT_EVERY == 0:
            on_rows(found.rows_in)
        chat = clean_row(source, row)
        if isinstance(chat, str):
            found.dropped[chat] += 1
            continue
        chat, repaired = chat
        digest = hashlib.blake2b(repr(chat).encode(), digest_size=16).digest()
        if digest in seen:
            found.dropped["duplicate"] += 1
            continue
        seen.add(digest)
        text = "\n".join([text for _, text in chat.turns])
        if near and near.seen(text):
            found.dropped["near duplicate"] += 1
            continue
        found.repaired += repaired
        found.unprompted += chat.system is None
        found.draws.append(generator.random())
        found.places.append(generator.random())
        found.lengths.append(scratch.add(chat))
        found.languages.append(LANGUAGES.index(language_of(text)))
    return found


def iterate_rows(source: Source, files: Sequence[Path]) -> Iterator[Row | Drop]:
    """The source's rows over all its files, only the columns it needs, in order."""
    columns = {name for names in source.columns for name in names} | set(source.optional)
    for file in files:
        yield from read_rows(file, columns)


def clean_row(source: Source, row: Row | Drop) -> tuple[Chat, bool] | Drop:
    """The row's conversation with mojibake undone, and whether there was any; or why the row is
    dropped.
    """
    if isinstance(row, str):
        return row
    chat = source.to_chat(row)
    if isinstance(chat, str):
        return chat
    turns = tuple([(role, repair(text)) for role, text in chat.turns])
    mended = chat._replace(system=repair(chat.system) if chat.system else None, turns=turns)
    return mended, mended != chat


def repair(text: str) -> str:
    """The text as it was before a wrong decoding, where ftfy can prove that there was one; else the
    text itself.
    """
    if text.isascii() or not _SUSPECT.search(text):
        return text
    return ftfy.fix_encoding(text).strip() or text  # a mended no-break space may stand at an end
