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
from pathlib import Path

from tasks.core.kinds import catalog, exposure_phrases, phrases
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Language
from tasks.core.strategy.rules import REGIMES
from tasks.core.synthesis.blanks import AMONG_WORDS, OF_TURN, PRINTED_ALONE, Value


@dataclass(frozen=True)
class Role:
    """What stands in one place of a sentence: the value of a blank, or a constant."""

    blank: str = ""
    constant: Value = 0.0  # if there is no blank


Roles = tuple[Role, ...]
"""Of a sentence's numbers and regimes, in their order."""

MARK = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for a number or a regime."""

_VALUE = rf"(?<![A-Za-z0-9_.])[+-]?\d+(?:,\d{{3}})*(?:\.\d+)?|{'|'.join(REGIMES)}"
# What follows is the number's own: a percent sign, and the Korean particle that its sound takes.
_TAIL = r"(?:%(?!p))?(?:이었다|였다|이라는|라는|이라|라|이다|다|으로|로|은|는|이|가|을|를)*"
_IN_TEXTS = re.compile(rf"({_VALUE}){_TAIL}")
_IN_SKELETONS = re.compile(rf"([+-]?\{{\w+(?::\w+)?\}}|{_VALUE}){_TAIL}")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+")


def marked(text: str) -> tuple[list[str], list[Value]]:
    """Returns a text's sentences with a MARK for each number and regime, and these in their
    order.
    """
    parts = _IN_TEXTS.split(text.replace(MARK, " "))
    values = [_value(printed) for printed in parts[1::2]]
    return _BETWEEN_SENTENCES.split(MARK.join(parts[::2])), values


def _value(printed: str) -> Value:
    return printed if printed in REGIMES else float(printed.replace(",", ""))


@lru_cache(maxsize=50_000)
def roles_in(sentence: str, kind: str | None, language: Language) -> tuple[Roles, ...]:
    """Returns what the marks of a sentence stand for, by each published sentence that it may be;
    nothing if it is in words of its own.
    """
    published = _published(kind, language)
    found = list(published.closed.get(sentence, ()))
    for skeleton in published.open:
        roles = skeleton.roles_in(sentence)
        if roles is not None:
            found.append(roles)
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class _Open:
    """A skeleton with blanks for words, each between two of its pieces."""

    pieces: tuple[str, ...]
    roles: tuple[Roles, ...]  # of the marks in each piece
    words: tuple[Role | None, ...]  # of a number in each blank, if there may be one

    def roles_in(self, sentence: str) -> Roles | None:
        """Returns what the sentence's marks stand for, or None if it is no such sentence."""
        if not (sentence.startswith(self.pieces[0]) and sentence.endswith(self.pieces[-1])):
            return None
        found, at = list(self.roles[0]), len(self.pieces[0])
        rest = zip(self.words, self.pieces[1:], self.roles[1:], strict=True)
        for role, piece, roles in rest:
            end = sentence.find(piece, at)
            if piece is self.pieces[-1]:
                end = len(sentence) - len(piece)
            marks = sentence.count(MARK, at, end)
            if end < at or (marks and role is None):
                return None
            found += [role] * marks if role else []
            found += roles
            at = end + len(piece)
        return tuple(found)


@dataclass(frozen=True)
class _Published:
    closed: dict[str, list[Roles]]  # by skeletons that have no blanks for words
    open: list[_Open]


@cache
def _published(kind: str | None, language: Language) -> _Published:
    """Returns the skeletons of a kind and those that all kinds share."""
    found = _Published({}, [])
    own = _of_kind(kind, language) if kind else ()
    for sentence in sorted(_sentences(*_shared(language), *own)):
        _add(found, sentence)
    for sentence in sorted(_sentences(*phrases.TURNS[language])):
        _add(found, sentence, OF_TURN)
    return found


def _sentences(*texts: str) -> set[str]:
    return {sentence for text in texts for sentence in _BETWEEN_SENTENCES.split(text)}


def _shared(language: Language) -> Iterator[str]:
    for ground in phrases.GROUNDS[language].values():
        yield from ground
    yield from exposure_phrases.EXPOSURES[language]
    yield from exposure_phrases.BY_BREADTH[language]
    yield from exposure_phrases.WILD[language]
    yield from exposure_phrases.PARTIAL[language]
    yield from exposure_phrases.USUAL[language]
    yield from exposure_phrases.GIVEN[language]


def _of_kind(kind: str, language: Language) -> Iterator[str]:
    file = Path(catalog.__file__).with_name(f"{kind}.yaml")
    if file.is_file():  # a question may name a kind that does not exist
        for text in words_beside(str(file)).texts.values():
            yield from text[language]


def _add(found: _Published, sentence: str, topic: str = "") -> None:
    """Adds a published sentence, whose blanks are named after its topic."""
    literals = _IN_SKELETONS.split(sentence)
    pieces: list[str] = [literals[0]]
    roles: list[list[Role]] = [[]]
    words: list[Role | None] = []
    for place, literal in zip(literals[1::2], literals[2::2], strict=True):
        blank = _blank(place)
        role = Role(topic + blank) if blank else Role(constant=_value(place))
        if not blank or blank in PRINTED_ALONE:
            pieces[-1] += MARK + literal
            roles[-1].append(role)
        else:
            pieces.append(literal)
            roles.append([])
            words.append(role if blank in AMONG_WORDS else None)
    if words:
        found.open.append(_Open(tuple(pieces), tuple(map(tuple, roles)), tuple(words)))
    else:
        found.closed.setdefault(pieces[0], []).append(tuple(roles[0]))


def _blank(place: str) -> str:
    """Returns the name of a blank without its particle and form, or nothing for a constant."""
    found = re.match(r"[+-]?\{([A-Za-z]+)", place)
    return found[1] if found else ""
