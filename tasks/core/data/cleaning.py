"""One source's rows read through once: which can be used, which are dropped and why, and each
usable row's lots.

Each source draws from its own generator, so a change to one share or one file moves no row of
another source. Writes the usable rows, cleaned, to the scratch file.
"""

import hashlib
import random
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from unicodedata import normalize

import ftfy

from tasks.core.data.chat import Chat, Drop, Row, Source, Turn
from tasks.core.data.languages import LANGUAGES, language_of
from tasks.core.data.near_duplicates import NearDuplicates
from tasks.core.data.scratch import CleanRow, Scratch
from tasks.core.data.tables import read_rows
from tasks.core.settings.data import Data

# The traces of UTF-8 read as Latin-1 or Windows-1252, a lead byte's character followed by a
# continuation byte's, and of Windows-1252 read as Latin-1, a control character. ftfy takes 0.4 ms a
# row: it looks only at texts that hold one.
_MOJIBAKE = re.compile(
    "[\u0080-\u009f]"
    "|[\u00c2-\u00f4][\u00a0-\u00bf\u0152-\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
# Three Korean syllables in CP949, two bytes each, read as Latin-1: no European word is like that.
_CP949_AS_LATIN1 = re.compile("(?:[\u00b0-\u00c8][\u00a1-\u00fe]){3}")
_SYLLABLE = re.compile("[\uac00-\ud7a3]")
_KOREAN_SHARE = 0.8  # of the characters beyond ASCII, from which a text is taken for Korean

_MARKS = str.maketrans("", "", "\ufeff\u200b")  # invisible, and in no text on purpose

_REPORT_EVERY = 5_000
_EXAMPLE = 160  # characters of a dropped row that are shown


@dataclass(frozen=True)
class Intake:
    """A source to survey: its files, and the system prompt for its rows that have none."""

    source: Source
    files: Sequence[Path]
    prompt: str


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A row's conversation, and whether its text was mended."""

    chat: Chat
    repaired: bool


@dataclass
class Survey:
    """What a source holds: rows_in = usable + all dropped.

    The arrays hold one value a usable row, 21 bytes in all.
    """

    rows_in: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)  # reason -> the first row dropped for it
    repaired: int = 0  # of the usable: mojibake undone
    unprompted: int = 0  # of the usable: no system prompt of their own
    # lots in the draw: the lowest are taken
    draws: "array[float]" = field(default_factory=lambda: array("d"))
    # lots in the final order
    places: "array[float]" = field(default_factory=lambda: array("d"))
    # characters, all messages
    lengths: "array[int]" = field(default_factory=lambda: array("I"))
    # index in LANGUAGES
    languages: "array[int]" = field(default_factory=lambda: array("B"))

    @property
    def usable(self) -> int:
        """Rows that can be taken."""
        return len(self.draws)

    def drop(self, reason: Drop, row: Row | Drop) -> None:
        """Counts a row that is left out."""
        self.dropped[reason] += 1
        if reason not in self.examples:
            shown = row if isinstance(row, str) else repr(dict(row))
            self.examples[reason] = shorten(shown, _EXAMPLE, placeholder=" …")


def survey_source(
    intake: Intake, data: Data, scratch: Scratch, on_rows: Callable[[int], None]
) -> Survey:
    """Reads a source, counts, and writes the usable rows to scratch.

    on_rows hears now and then how many rows were read.
    """
    survey = Survey()
    earlier = _EarlierRows(data.near_duplicates)
    generator = random.Random(f"{data.seed} {intake.source.name}")
    for row in iterate_rows(intake.source, intake.files):
        survey.rows_in += 1
        if survey.rows_in % _REPORT_EVERY == 0:
            on_rows(survey.rows_in)
        cleaned = clean_row(intake.source, row)
        if isinstance(cleaned, str):
            survey.drop(cleaned, row)
            continue
        chat = cleaned.chat
        repeat = earlier.find_repeat(chat)
        if repeat:
            survey.drop(repeat, row)
            continue
        clean = CleanRow(intake.source.name, _all_turns(chat, intake.prompt), chat.carried)
        scratch.add(clean)
        survey.repaired += cleaned.repaired
        survey.unprompted += chat.system is None
        survey.draws.append(generator.random())
        survey.places.append(generator.random())
        survey.lengths.append(clean.characters)
        survey.languages.append(LANGUAGES.index(language_of(chat.spoken)))
    return survey


def iterate_rows(source: Source, files: Sequence[Path]) -> Iterator[Row | Drop]:
    """The source's rows over all its files, in order, with only the columns it needs."""
    columns = set(source.optional).union(*source.columns)
    for file in files:
        yield from read_rows(file, columns)


def clean_row(source: Source, row: Row | Drop) -> Cleaned | Drop:
    """The row's conversation with mojibake undone, or why the row is dropped."""
    if isinstance(row, str):
        return row
    chat = source.to_chat(row)
    if isinstance(chat, str):
        return chat
    system = repair(chat.system) if chat.system else None
    turns = tuple([Turn(turn.role, repair(turn.text)) for turn in chat.turns])
    mended = Chat(system, turns, chat.carried)
    return Cleaned(mended, repaired=mended != chat)


def repair(text: str) -> str:
    """The text as it was before a wrong decoding, if there is proof of one; else the text itself.

    Byte order marks and zero-width spaces are taken out, and letters are put together (NFC): macOS
    writes a Korean syllable as its parts, which cost three times the tokens.
    """
    if text.isascii():
        return text
    text = normalize("NFC", text.translate(_MARKS)).strip() or text
    if _CP949_AS_LATIN1.search(text):
        korean = _read_as_cp949(text)
        if korean:
            return korean
    if not _MOJIBAKE.search(text):
        return text
    return ftfy.fix_encoding(text).strip() or text  # a mended no-break space may stand at an end


def _read_as_cp949(text: str) -> str | None:
    """The Korean text whose CP949 bytes were read as Latin-1, or None if it is not that."""
    try:
        data = text.encode("latin-1")
        korean = data.decode("cp949")
    except UnicodeError:
        return None
    if _is_utf8(data):  # which ftfy mends: its pairs are syllables of CP949, too
        return None
    beyond_ascii = sum(character > "\x7f" for character in korean)
    if len(_SYLLABLE.findall(korean)) < _KOREAN_SHARE * beyond_ascii:
        return None
    return korean


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeError:
        return False
    return True


class _EarlierRows:
    """The usable rows of a source so far, as digests and, if asked for, as MinHashes."""

    def __init__(self, near_duplicates: float):
        self._digests: set[bytes] = set()
        self._near = NearDuplicates(near_duplicates) if near_duplicates else None

    def find_repeat(self, chat: Chat) -> Drop | None:
        """Why the row says nothing new, or None; then it is remembered."""
        digest = hashlib.blake2b(repr(chat).encode(), digest_size=16).digest()
        if digest in self._digests:
            return "duplicate"
        self._digests.add(digest)
        if self._near and self._near.seen(chat.spoken):
            return "near duplicate"
        return None


def _all_turns(chat: Chat, prompt: str) -> tuple[Turn, ...]:
    """The messages of a conversation; `prompt` stands in for a system prompt it has not."""
    return (Turn("system", chat.system or prompt), *chat.turns)
