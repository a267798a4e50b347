"""One source's rows read through: which can be used, which are dropped and why, which are drawn.

Each source draws from its own generator, so a change to one share or one file moves no row of another source.
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ftfy

from tasks.core.data.chat import Chat, Drop, Row, Source
from tasks.core.data.tables import read_rows

# The traces of UTF-8 read as Latin-1 or Windows-1252, a lead byte's character followed by a continuation byte's, and of
# Windows-1252 read as Latin-1, a control character. ftfy takes 0.4 ms a row: it looks only at texts that hold one.
_SUSPECT = re.compile(
    "[\u0080-\u009f]|[\u00c2-\u00f4][\u00a0-\u00bf\u0152-\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
_REPORT_EVERY = 5_000


@dataclass(frozen=True)
class Kept:
    """A usable row: its number in the source, and its lots in the draw and in the final order."""

    number: int
    draw: float
    place: float


@dataclass
class Survey:
    """What a source holds: rows_in = len(kept) + all dropped."""

    rows_in: int = 0
    kept: list[Kept] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    repaired: int = 0  # of the kept: mojibake undone
    unprompted: int = 0  # of the kept: no system prompt of their own


def survey_source(source: Source, files: Sequence[Path], seed: int, on_rows: Callable[[int], None]) -> Survey:
    """Reads a source once and counts; on_rows is told now and then how many rows were read."""
    found, seen = Survey(), set()
    generator = random.Random(f"{seed} {source.name}")
    for number, row in enumerate(iterate_rows(source, files)):
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
        found.repaired += repaired
        found.unprompted += chat.system is None
        found.kept.append(Kept(number, generator.random(), generator.random()))
    return found


def iterate_rows(source: Source, files: Sequence[Path]) -> Iterator[Row | Drop]:
    """The source's rows over all its files, only the columns it needs, in order."""
    columns = {name for names in source.columns for name in names}
    for file in files:
        yield from read_rows(file, columns)


def clean_row(source: Source, row: Row | Drop) -> tuple[Chat, bool] | Drop:
    """The row's conversation with mojibake undone, and whether there was any; or why the row is dropped."""
    if isinstance(row, str):
        return row
    chat = source.to_chat(row)
    if isinstance(chat, str):
        return chat
    mended = Chat(repair(chat.system) if chat.system else None, repair(chat.user), repair(chat.assistant))
    return mended, mended != chat


def repair(text: str) -> str:
    """The text as it was before a wrong decoding, where ftfy can prove that there was one; else the text itself."""
    return ftfy.fix_encoding(text) if _SUSPECT.search(text) else text
