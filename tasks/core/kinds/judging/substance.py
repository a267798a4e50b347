"""Whether a text says something, in the question's language, and not what another text says."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache

from tasks.core.kinds.judging.sentences import Sentence, Text, names_pattern
from tasks.core.kinds.judging.vocabulary import NUMBERS
from tasks.core.kinds.judging.words import NAME
from tasks.core.records.facts import Language
from tasks.core.scripts import HANGUL, HANJA

_GROUNDS = frozenset(("gain", "lose", "outcome", "cost", "credit", "term", "won", "us_correlation"))
"""What says something by itself."""
_SOME = 3
"""As many words with content say something."""
_VERDICTS = frozenset(
    (
        *("hold", "trim", "exit", "buy", "skip", "all_in", "all_out", "verdict"),
        *("up", "down", "strong", "weak", "calm", "tense", "low", "high"),
        *("positive", "negative", "limit", "above", "below"),
    )
)
"""What says something of a number: without one it is a verdict without a ground."""


def empty_faults(
    text: Text, language: Language, is_reason: bool, quotes: Callable[[], bool]
) -> Iterator[str]:
    """Yields that a text has no ground in it: filler, digits alone, or what the question says. A
    text that is no reason (a plan, a summary) need have no ground, but say something. `quotes`
    tells whether it has a number of the question.
    """
    said = _meanings_of(text)
    if "filler" in said:
        yield "it is filler"
    if said & _GROUNDS:
        return
    numbered = any(sentence.numbers for sentence in text.sentences)
    content = sum(sentence.sense.content for sentence in text.sentences)
    judges_a_number = (numbered or said & NUMBERS) and said & _VERDICTS
    is_language = language == "ko" or "plain" in said  # words in a row are no English
    if judges_a_number or (content >= _SOME and is_language):
        return
    if numbered and content and (said & NUMBERS or quotes()):
        return
    if is_reason or not (said & _VERDICTS or (numbered and content)):
        yield "it says nothing"


def _meanings_of(text: Text) -> set[str]:
    """Returns the meanings of all words of a text."""
    said: set[str] = set()
    for sentence in text.sentences:
        said |= sentence.sense.means
    return said


def terse_faults(text: Text) -> Iterator[str]:
    """Yields that a text of a few words, such as the rationale of a score, says nothing: it need be
    no sentence, but has a ground, or two words or numbers with content.
    """
    said = _meanings_of(text)
    has_words = any(sentence.sense.content or sentence.sense.means for sentence in text.sentences)
    content = 0
    for sentence in text.sentences:
        content += sentence.sense.content + len(sentence.numbers)
        content += bool(sentence.sense.means & NUMBERS)
    if "filler" in said:
        yield "it is filler"
    elif not said & _GROUNDS and (content < _FEWEST_OF_A_FEW or not has_words):
        yield "it says nothing"


_FEWEST_OF_A_FEW = 2


def repeat_faults(sentences: tuple[Sentence, ...]) -> Iterator[str]:
    """Yields that a text says a sentence twice."""
    told = {sentence.text.strip(" .") for sentence in sentences}
    if len(told) < len(sentences):
        yield "it says a sentence twice"


def same_reasons(texts: list[str]) -> bool:
    """Whether the reasons of a list's entries are one reason, whatever the name in it."""
    if len(texts) < _FEW:
        return False
    if len(set(texts)) == len(texts):  # most lists; names cost time
        texts = [names_pattern().sub(NAME, text).strip(" .").lower() for text in texts]
    most = max(Counter(texts).values())
    return most == len(texts) or most > _FEW


_FEW = 2
"""As many names may share a reason, if another name has another one."""


# Languages.

_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_NO_ENGLISH = re.compile(r"[^\W\d_A-Za-z\u00aa-\u03ff]")
_NEITHER = re.compile(r"[^\W\d_A-Za-z\u00aa-\u03ff\uac00-\ud7a3\u3131-\u318e]")
"""Letters of neither language; Greek ones stand for numbers."""
_CODES = re.compile(r"[A-Z][A-Z_&/\d-]+|F-Score")
"""Words that Korean writes in Latin letters: regimes and ratios."""
_LEAST_KOREAN = 0.5


def language_faults(text: Text, language: Language) -> Iterator[str]:
    """Yields that a text is not in this language, names and codes aside, or has Hanja."""
    plain = text.plain
    if language == "en":
        if not plain.isascii() and _NO_ENGLISH.search(plain):
            yield "it has Hanja" if HANJA.search(plain) else "it is not English"
        return
    if HANJA.search(plain):
        yield "it has Hanja"
    elif _NEITHER.search(plain):
        yield "it is not Korean"
    if len(plain.encode()) < 2 * len(plain):  # else half of its characters are Korean
        korean = len(HANGUL.findall(plain))
        latin = len(_LATIN.findall(_CODES.sub(" ", plain)))
        if korean < _LEAST_KOREAN * (korean + latin):
            yield "it is not Korean"


# Copies.

_FEWEST = 3  # words; a shorter text may well be words of the question
_COPIED = 0.9
"""The share of a text's words that the question has if it is a copy; own texts have 0.9 never and
0.8 in one of 2,000.
"""
_WORD = re.compile(r"[A-Za-z가-힣]+")


def is_copied(text: str, question: str) -> bool:
    """Whether a text consists of the question's own words; False without a question."""
    if not question:
        return False
    words = _WORD.findall(text.lower())
    if len(words) < _FEWEST:
        return False
    asked = _words_of(question)
    return sum(map(asked.__contains__, words)) >= _COPIED * len(words)


@lru_cache(maxsize=64)
def _words_of(question: str) -> frozenset[str]:
    return frozenset(_WORD.findall(question.lower()))
