"""The published sentences that answers are written in, and what each number and regime of one
stands for.

A skeleton is a sentence without its numbers and regimes. Those of a kind stand in the YAML file
beside it, and those that all kinds share in phrases.py and exposure_phrases.py. Nothing is known
here of how one of them is chosen and filled.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from tasks.core.kinds import exposure_phrases, phrases
from tasks.core.kinds.judging.meaning import understood
from tasks.core.kinds.judging.words import NUMBER
from tasks.core.records.facts import Language
from tasks.core.synthesis.blanks import AMONG_WORDS, LISTS, OF_TURN, PRINTED_ALONE
from tasks.core.synthesis.marks import BETWEEN_SENTENCES, IN_SKELETONS, MARK, Value, value_of
from tasks.core.synthesis.named import Named, named_in, texts_of


@dataclass(frozen=True)
class Role:
    """What stands in one place of a sentence: the value of a blank, or a constant."""

    blank: str = ""
    constant: Value = 0.0  # if there is no blank


@dataclass(frozen=True)
class Part:
    """A published sentence, and those around it in its text, empty if there are none."""

    before: str
    sentence: str
    after: str


@dataclass(frozen=True)
class Reading:
    """What a sentence says if it is a certain published one."""

    part: Part
    roles: tuple[Role, ...]  # of its numbers and regimes, in their order
    named: tuple[tuple[str, Named], ...] = ()  # its blanks for words, and what these name


def readings_in(
    sentences: list[str], kind: str | None, language: Language
) -> list[tuple[Reading, ...]]:
    """Returns the readings of each sentence of a text. One that may be of several published texts
    is of that whose other sentences stand around it.
    """
    found = [readings_of(sentence, kind, language) for sentence in sentences]
    if max(map(len, found)) < 2:
        return found
    parts = [{reading.part.sentence for reading in readings} for readings in ((), *found, ())]
    told = []
    for readings, before, after in zip(found, parts, parts[2:], strict=False):
        whole = [one for one in readings if _stands(one.part, before, after)]
        told.append(tuple(whole) or readings)
    return told


def _stands(part: Part, before: set[str], after: set[str]) -> bool:
    """Whether a sentence stands between those of its text."""
    return part.before in {"", *before} and part.after in {"", *after}


@lru_cache(maxsize=50_000)
def readings_of(sentence: str, kind: str | None, language: Language) -> tuple[Reading, ...]:
    """Returns the readings of a sentence with marks, by each published one that it may be; none if
    it is in words of its own.
    """
    found: list[Reading] = []
    for published in (_own(kind, language), _shared(language)):
        if sentence in published.closed:
            found += published.closed[sentence]
            break
        for skeleton in published.open_with_end_of(sentence):
            if sentence.startswith(skeleton.pieces[0]):
                found += skeleton.readings_of(sentence, kind, language)
    if len({(reading.roles, reading.named) for reading in found}) == 1:
        return (found[0],)  # they say the same
    return tuple(found)


@dataclass(frozen=True)
class _Open:
    """A skeleton with blanks for words, each between two of its pieces."""

    pieces: tuple[str, ...]
    roles: tuple[tuple[Role, ...], ...]  # of the marks in each piece
    blanks: tuple[str, ...]
    part: Part

    def readings_of(self, sentence: str, kind: str | None, language: Language) -> Iterator[Reading]:
        """Yields each reading of a sentence that begins like it."""
        first, *middle, last = self.pieces
        end = len(sentence) - len(last)
        if end < len(first) or not sentence.endswith(last):
            return
        for filled in _cut(sentence[len(first) : end], middle):
            reading = _reading(self, filled, kind, language)
            if reading:
                yield reading


def _cut(text: str, pieces: list[str]) -> Iterator[list[str]]:
    """Yields what remains of a text without these pieces, in each way to find them in order."""
    if not pieces:
        yield [text]
        return
    piece, *others = pieces
    end = text.find(piece)
    while end >= 0:
        for rest in _cut(text[end + len(piece) :], others):
            yield [text[:end], *rest]
        end = text.find(piece, end + 1)


def _reading(
    skeleton: _Open, filled: list[str], kind: str | None, language: Language
) -> Reading | None:
    """Returns the reading of a sentence whose blanks are filled with these words, or None if they
    are none that the blanks may have.
    """
    roles, named = list(skeleton.roles[0]), []
    for blank, words, behind in zip(skeleton.blanks, filled, skeleton.roles[1:], strict=True):
        found = named_in(blank, words, kind, language)
        if found is None or (MARK in words and blank not in AMONG_WORDS):
            return None
        named.append((blank, found))
        roles += _roles_among(words, blank, language)
        roles += behind
    return Reading(skeleton.part, tuple(roles), tuple(named))


def _roles_among(words: str, blank: str, language: Language) -> Iterator[Role]:
    """Yields what the numbers among words are: those that a list calls by their names."""
    if MARK not in words:
        return
    plain = words.replace(NUMBER, " ").replace(MARK, NUMBER)
    for slot in understood(plain, language).slots:
        yield Role(slot.label if slot.label and blank in LISTS else blank)


@dataclass(frozen=True)
class _Published:
    closed: dict[str, list[Reading]]  # by skeletons that have no blanks for words
    open: dict[str, list[_Open]]  # by how they end, see _end

    def open_with_end_of(self, sentence: str) -> list[_Open]:
        """Returns those that a sentence may be by its end, which are few."""
        return [*self.open.get(_end(sentence), ()), *self.open.get("", ())]


_END = 6  # letters


def _end(text: str) -> str:
    """Returns the last letters of a text, or none of one that is too short."""
    return text[-_END:] if len(text) >= _END else ""


@cache
def _own(kind: str | None, language: Language) -> _Published:
    """Returns the skeletons of a kind."""
    found = _Published({}, {})
    for part in _parts(*_texts_of(kind, language)):
        _add(found, part)
    return found


@cache
def _shared(language: Language) -> _Published:
    """Returns the skeletons that all kinds share."""
    found = _Published({}, {})
    for part in _parts(*_texts_of_all(language)):
        _add(found, part)
    for part in _parts(*phrases.TURNS[language]):
        _add(found, part, OF_TURN)
    return found


def _parts(*texts: str) -> list[Part]:
    """Returns the sentences of texts, each once in its place."""
    found = []
    for text in texts:
        around = ["", *BETWEEN_SENTENCES.split(text), ""]
        found += [Part(*three) for three in zip(around, around[1:], around[2:], strict=False)]
    return list(dict.fromkeys(found))


def _texts_of_all(language: Language) -> Iterator[str]:
    for ground in phrases.GROUNDS[language].values():
        yield from ground
    yield from exposure_phrases.EXPOSURES[language]
    yield from exposure_phrases.BY_BREADTH[language]
    yield from exposure_phrases.WILD[language]
    yield from exposure_phrases.PARTIAL[language]
    yield from exposure_phrases.USUAL[language]
    yield from exposure_phrases.GIVEN[language]


def _texts_of(kind: str | None, language: Language) -> Iterator[str]:
    for bank in texts_of(kind).values():
        for text in bank[language]:
            if "{market}" not in text:  # which asks a question
                yield text


def _add(found: _Published, part: Part, topic: str = "") -> None:
    """Adds a published sentence, whose blanks are named after its topic."""
    literals = IN_SKELETONS.split(part.sentence)
    pieces: list[str] = [literals[0]]
    roles: list[list[Role]] = [[]]
    blanks: list[str] = []
    for place, literal in zip(literals[1::2], literals[2::2], strict=True):
        blank = _blank(place)
        if blank and blank.lstrip("-") not in PRINTED_ALONE:
            pieces.append(literal)
            roles.append([])
            blanks.append(topic + blank)
        else:
            pieces[-1] += MARK + literal
            roles[-1].append(Role(topic + blank) if blank else Role(constant=value_of(place)))
    if blanks:
        skeleton = _Open(tuple(pieces), tuple(map(tuple, roles)), tuple(blanks), part)
        found.open.setdefault(_end(pieces[-1]), []).append(skeleton)
    else:
        found.closed.setdefault(pieces[0], []).append(Reading(part, tuple(roles[0])))


def _blank(place: str) -> str:
    """Returns the name of a blank without its particle and form but with a minus before it, or
    nothing for a constant.
    """
    found = re.match(r"(-?)\+?\{([A-Za-z]+)", place)
    return f"{found[1]}{found[2]}" if found else ""
