"""The words of a sentence and their meanings: what it denies, supposes or contrasts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from tasks.core.kinds.judging import vocabulary
from tasks.core.kinds.judging.vocabulary import Meanings, longest_entry, meanings
from tasks.core.records.facts import Language

NUMBER, NAME = "#", "@"
"""What stands in a sentence for a number, and for the name of a stock or fund."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word in small letters, and what it is in any sentence: looked at once, it is met often."""

    text: str
    means: Meanings
    numbers: Meanings  # of its meanings, those that name a number
    is_number: bool
    is_pause: bool
    supposes: bool
    contrasts: bool
    has_content: bool  # it is neither plain or generic nor the name of a number


_PAUSES = frozenset(",:()/—–|;<>≤≥")
FILLING = {
    "en": frozenset(
        (
            *("of", "at", "is", "was", "to", "now", "still", "only", "just", "a", "an", "the"),
            *("mere", "with", "has", "stands", "reads", "sits", "reached", "reaches", "reaching"),
            *("comes", "came", "marks", "hit", "about", "roughly", "around", "near", "ratio"),
            *("figure", "reading", "score", "annualized", "move"),
        )
    ),
    "ko": frozenset(
        (
            *("현재", "지금", "오늘", "약", "겨우", "무려", "이미", "연율", "하루", "비중", "비율"),
            *("배율", "수준", "값", "등락률", "등락"),
        )
    ),
}
"""Words that may stand between a number and its label."""
_WITHOUT_CONTENT = vocabulary.NUMBERS | {"market", "to", "plain", "generic", "verdict"}
_WORDS = re.compile(
    r"#|@|%p?|[A-Za-z]+(?:[&/·_.'-][A-Za-z]+)*|[가-힣]+(?:/[가-힣]+)?|[,:()/—–|;±<>≤≥=]"
)


def read_words(sentence: str, language: Language) -> list[Word]:
    """Returns the words of a sentence, those of one entry of the vocabulary joined."""
    text = sentence.lower()
    if language == "en":
        text = _phrases().sub(lambda match: match[0].replace(" ", "-"), text)
    pieces = _WORDS.findall(text)
    words = []
    index = 0
    while index < len(pieces):
        word, used = pieces[index], 1
        if language == "ko":
            word, used = _joined(*pieces[index : index + 3])
        words.append(_word(word, language))
        index += used
    return words


@lru_cache(maxsize=50_000)
def _word(text: str, language: Language) -> Word:
    """Returns a word. Nine of ten words of 2,000 rows came before."""
    means = meanings(text, language)
    filling = text in FILLING[language] or means & _WITHOUT_CONTENT
    return Word(
        text=text,
        means=means,
        numbers=means & vocabulary.NUMBERS,
        is_number=text == NUMBER,
        is_pause=text in _PAUSES,
        supposes="if" in means or (language == "ko" and _supposes_in_korean(text)),
        contrasts=bool(_CONTRASTING_END.search(text)) if language == "ko" else "but" in means,
        has_content=text[0].isalpha() and not filling,
    )


@cache
def _phrases() -> re.Pattern[str]:
    """Matches the English entries of several words as texts write them, with spaces."""
    entries = [re.escape(phrase).replace(r"\-", "[ -]") for phrase in vocabulary.phrases("en")]
    return re.compile(rf"\b(?:{'|'.join(entries)})\b")


@lru_cache(maxsize=50_000)
def _joined(first: str, *others: str) -> tuple[str, int]:
    """Returns the first of up to three words, with the others that the vocabulary has as one with
    it, and how many they are. Remembered: seven of eight such threes of 2,000 rows came before.
    """
    if not first[0].isalpha():
        return first, 1
    for used in (3, 2):
        several = [first, *others[: used - 1]]
        if len(several) == used and all(piece[0].isalpha() for piece in several):
            word = "".join(several)
            if longest_entry(word, "ko") > len(word) - len(several[-1]):
                return word, used
    return first, 1


# What is denied, supposed, or set against something.

_DENIED_AHEAD = 6  # words: English denies before it says
_LEADING_TO_DENIAL = re.compile(r"(?:이유|필요|것|적|리|수|일|때문)[은는이가도]?$")


def denied_words(words: list[Word], language: Language) -> set[int]:
    """Returns the indices of the words that a sentence denies."""
    denied: set[int] = set()
    for index, word in enumerate(words):
        if "not" not in word.means:
            continue
        if language == "ko":
            denied.update(_denied_in_korean(words, index))
            continue
        if word.text in ("no", "none", "nothing") and index:
            denied.add(index - 1)  # "holds no longs"
        for target in range(index + 1, min(index + 1 + _DENIED_AHEAD, len(words))):
            word_there = words[target]
            if word_there.is_number or word_there.is_pause or word_there.text == "but":
                break
            denied.add(target)
    return denied


def _denied_in_korean(words: list[Word], index: int) -> Iterator[int]:
    """Yields the word before a denial, and the one before that of "팔 이유가 없다", "공포 구간이
    아니다" and "약세장도 스트레스도 아니다".
    """
    if not index or words[index - 1].is_pause:
        return
    yield index - 1
    before = words[index - 1].text
    of_noun = words[index].text.startswith(("아니", "아닌"))
    if index > 1 and (of_noun or before.endswith("도") or _LEADING_TO_DENIAL.search(before)):
        yield index - 2


_SUPPOSING_END = re.compile(r"[^국반화측방장전표외직]면$")
_KOREAN_NEXT = ("바뀌", "바뀐", "넘어가", "넘어간", "전환", "옮긴", "옮겨", "시작")


def supposes(words: list[Word], language: Language) -> bool:
    if any(word.supposes for word in words):
        return True
    return language == "en" and bool(words) and words[0].text == "should"


def _supposes_in_korean(word: str) -> bool:
    return bool(_SUPPOSING_END.search(word)) or word.startswith(_KOREAN_NEXT)


TURNING = ("but", "yet")
_CONTRASTING_END = re.compile(r"(?:지만|으나|는데|나만)$")


def contrasts(words: list[Word]) -> bool:
    return any(word.contrasts for word in words)


_FIRST_SYLLABLE, _FINALS, _FINAL_N = 0xAC00, 28, 4


def describes(word: str) -> bool:
    """Whether a word may stand before the noun that it describes: in Korean it ends in ㄴ."""
    if word.endswith("면"):
        return False
    last = ord(word[-1])
    return last < _FIRST_SYLLABLE or (last - _FIRST_SYLLABLE) % _FINALS == _FINAL_N
