"""What a sentence means, whatever its numbers and names are: which number each slot is, what is
said of whom, and whether it is denied or supposed.

A sentence is read by its words in their order, as vocabulary.yaml has them. Nothing here knows
what is true.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from tasks.core.kinds.judging.slots import Slot, slots_of
from tasks.core.kinds.judging.words import (
    TURNING,
    Word,
    contrasts,
    denied_words,
    describes,
    read_words,
    supposes,
)
from tasks.core.records.facts import Language
from tasks.core.strategy.rules import REGIMES


@dataclass(frozen=True, slots=True)
class Claim:
    """That something goes or stands in some way, which the sentence does not deny."""

    of: str  # a meaning of the vocabulary
    way: str


@dataclass(frozen=True, slots=True)
class Sense:
    """What a sentence means."""

    slots: tuple[Slot, ...]
    says: frozenset[str]  # meanings of words that are not denied
    means: frozenset[str]  # and of those that are
    claims: frozenset[Claim]
    regimes: frozenset[str]  # that it says hold
    supposes: bool  # about what may be, not about what is
    of_limits: bool  # about a limit of the rules
    contrasts: bool  # what is done with what is not
    acts: frozenset[str]  # meanings by which it does something
    content: int  # words that are neither plain or generic nor the name of a number


@lru_cache(maxsize=50_000)
def understood(sentence: str, language: Language) -> Sense:
    """Returns the meaning of a sentence with NUMBER and NAME in it."""
    words = read_words(sentence, language)
    denied = denied_words(words, language)
    says: set[str] = set()
    means: set[str] = set()
    for index, word in enumerate(words):
        if index not in denied:
            says |= word.means
        means |= word.means
    turns = contrasts(words)
    return Sense(
        slots=tuple(slots_of(words, denied, language)),
        says=frozenset(says),
        means=frozenset(means),
        claims=frozenset(_claims(words, denied)),
        regimes=frozenset(_regimes(words, denied, language)),
        supposes=supposes(words, language),
        of_limits="limit" in says,
        contrasts=turns,
        acts=_acts(words, denied, language, turns),
        content=sum(word.has_content for word in words),
    )


def _acts(words: list[Word], denied: set[int], language: Language, turns: bool) -> frozenset[str]:
    """Returns what a sentence does: in Korean its last words say it, in English all, or those
    behind "but"; who begins with "although" says both.
    """
    first = 0
    if language == "ko":
        first = max(0, len(words) - 2)
    elif turns:
        first = max(
            (place for place, word in enumerate(words) if word.text in TURNING), default=len(words)
        )
    done: set[str] = set()
    for index in range(first, len(words)):
        if index not in denied:
            done |= words[index].means
    return frozenset(done)


# What is said of whom.

_SUBJECTS = frozenset(
    (
        *("market", "won", "dollar", "usdkrw", "vix", "us_return_pct", "foreign_net_buy_100m_krw"),
        *("return_pct", "breadth_pct", "momentum_pct", "volatility_pct", "beta"),
        *("us_correlation", "outcome", "cost", "converted"),
    )
)
_WAYS = ("positive", "negative", "calm", "tense", "strong", "weak", "low", "high", "up", "down")
_CLAIM_REACH = 5
_JOINING = ("and", "or", "및", "에", "에서", "탓에", "때문에", "따른", "인해")
"""Words behind which something else is spoken of."""


def _claims(words: list[Word], denied: set[int]) -> Iterator[Claim]:
    """Yields what is said of each subject: by the word before it, or the first way behind it."""
    for index, word in enumerate(words):
        subjects = word.means & _SUBJECTS
        if not subjects:
            continue
        if "won" in subjects and index and words[index - 1].text.endswith("의"):
            continue  # "매출의 원화 가치": what sales are worth, not the won
        way = _way_before(words, index, denied) or _way_behind(words, index, denied)
        if way:
            for subject in subjects:
                yield Claim(subject, way)


def _way_before(words: list[Word], index: int, denied: set[int]) -> str | None:
    if index == 0 or index - 1 in denied:
        return None
    means = words[index - 1].means
    ways: tuple[str, ...] = _WAYS[:-2]
    before = words[index - 1].text
    of_company = words[index].means & {"outcome", "cost"} and describes(before)
    if of_company or ("market" in words[index].means and before.endswith("ing")):
        ways = _WAYS
    for way in ways:
        if way in means and not means & _SUBJECTS:
            return way
    return None


def _way_behind(words: list[Word], index: int, denied: set[int]) -> str | None:
    for place in range(index + 1, min(index + 1 + _CLAIM_REACH, len(words))):
        word = words[place]
        pauses = word.is_pause and word.text not in "()"
        if word.numbers or word.means & _SUBJECTS or pauses or word.text in _JOINING:
            return None
        for way in _WAYS:
            if way in word.means:
                return None if place in denied else way
    return None


# Regimes.

_REGIME_WORDS = {
    "ko": {
        "BEAR": ("약세장",),
        "SHORT_TERM_STRESS": ("스트레스",),
        "WEAKENING": ("약화", "약해지"),
        "MILD_BULL": ("완만",),
        "STRONG_BULL": ("강세장",),
    },
    "en": {
        "BEAR": ("bear", "bearish"),
        "SHORT_TERM_STRESS": ("stress", "short-term-stress"),
        "WEAKENING": ("weakening",),
        "MILD_BULL": ("mild", "mild-bull"),
        "STRONG_BULL": ("strong-bull",),
    },
}
_REGIMES_OF_NAMES = {
    name: (regime,) for regime, names in _REGIME_WORDS["en"].items() for name in names
}
_FIRST_OF_TWO = {name.rpartition("-")[0] for name in _REGIMES_OF_NAMES if "-" in name}
_CODES = {regime.lower(): regime for regime in REGIMES}


def _regimes(words: list[Word], denied: set[int], language: Language) -> Iterator[str]:
    """Yields the regimes that a sentence says hold, by their code or in words."""
    for index, word in enumerate(words):
        if index in denied:
            continue
        yield from _regimes_called(word.text, language)
        if word.text in _FIRST_OF_TWO and language == "en" and index + 1 < len(words):
            yield from _REGIMES_OF_NAMES.get(f"{word.text}-{words[index + 1].text}", ())


@lru_cache(maxsize=50_000)
def _regimes_called(word: str, language: Language) -> tuple[str, ...]:
    """Returns the regimes that a word names by itself. Remembered, because it took a fiftieth of
    the time of synthesis, and its words are always the same.
    """
    called = [regime for code, regime in _CODES.items() if word.startswith(code)]
    if language == "en":
        named = _REGIMES_OF_NAMES.get
        return (*called, *named(word, ()), *named(word.rstrip("s"), ()))
    for regime, names in _REGIME_WORDS["ko"].items():
        if word.startswith(names):
            called.append(regime)
    return tuple(called)
