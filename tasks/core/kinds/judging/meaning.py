"""What a sentence means, whatever its numbers and names are: which number each slot is, what is
said of whom, and whether it is denied or supposed.

A sentence is read by its words in their order, as vocabulary.yaml has them. Nothing here knows
what is true.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from tasks.core.kinds.judging import vocabulary
from tasks.core.kinds.judging.vocabulary import Meanings, longest_entry, meanings
from tasks.core.records.facts import Language
from tasks.core.strategy.rules import REGIMES

NUMBER, NAME = "#", "@"
"""What stands in a sentence for a number, and for the name of a stock or fund."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What a sentence says of one of its numbers."""

    label: str | None = None  # the number that it is called, right beside it
    nearby: frozenset[str] = frozenset()  # the numbers that were named since the one before
    name: int | None = None  # which of the sentence's names stands before it, if any
    moved: str | None = None  # up or down, if it is the size of a move
    falls: bool = False  # a word of falling or losing stands near it
    beyond: str | None = None  # above or below, if the text says that something is beyond it
    unit: str = ""


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
    of_limits: bool
    denies: bool
    words: tuple[str, ...]
    contrasts: bool
    acts: frozenset[str]  # meanings by which it does something
    content: int  # words that are neither plain or generic nor the name of a number


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    means: Meanings

    @property
    def is_number(self) -> bool:
        return self.text == NUMBER

    @property
    def is_pause(self) -> bool:
        return self.text in _PAUSES


_PAUSES = frozenset(",:()/—–|;<>≤≥")
_WORDS = re.compile(
    r"#|@|%p?|[A-Za-z]+(?:[&/·_.'-][A-Za-z]+)*|[가-힣]+(?:/[가-힣]+)?|[,:()/—–|;±<>≤≥=]"
)
_NO_MEANING: Meanings = frozenset()


@lru_cache(maxsize=50_000)
def understood(sentence: str, language: Language) -> Sense:
    """Returns the meaning of a sentence with NUMBER and NAME in it."""
    words = _read(sentence, language)
    denied = _denied(words, language)
    says: set[str] = set()
    means: set[str] = set()
    for index, word in enumerate(words):
        if index not in denied:
            says |= word.means
        means |= word.means
    of_limits, supposes = "limit" in says, _supposes(words, language)
    return Sense(
        slots=tuple(_slots(words, language)),
        says=frozenset(says),
        means=frozenset(means),
        claims=frozenset(_claims(words, denied)),
        regimes=frozenset(_regimes(words, denied, language)),
        supposes=supposes,
        of_limits=of_limits,
        denies=any("not" in word.means for word in words),
        words=tuple(word.text for word in words if word.text[0].isalpha()),
        contrasts=_contrasts(words, language),
        acts=_acts(words, denied, language),
        content=sum(_has_content(word, language) for word in words),
    )


def _acts(words: list[_Word], denied: set[int], language: Language) -> frozenset[str]:
    """Returns what a sentence does: in Korean its last words say it, in English all, or those
    behind "but"; who begins with "although" says both.
    """
    first = 0
    if language == "ko":
        first = max(0, len(words) - 2)
    elif _contrasts(words, language):
        first = max(
            (place for place, word in enumerate(words) if word.text in _TURNING), default=len(words)
        )
    done: set[str] = set()
    for index in range(first, len(words)):
        if index not in denied:
            done |= words[index].means
    return frozenset(done)


_TURNING = ("but", "yet")
_CONTRASTING_END = re.compile(r"(?:지만|으나|는데|나만)$")


def _contrasts(words: list[_Word], language: Language) -> bool:
    if language == "en":
        return any("but" in word.means for word in words)
    return any(_CONTRASTING_END.search(word.text) for word in words)


def _has_content(word: _Word, language: Language) -> bool:
    if not word.text[0].isalpha() or word.text in _FILLING[language]:
        return False
    return not word.means & _WITHOUT_CONTENT


_WITHOUT_CONTENT = vocabulary.NUMBERS | {"market", "to", "plain", "generic", "verdict"}


# Words.


def _read(sentence: str, language: Language) -> list[_Word]:
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
            word, used = _joined(pieces, index)
        words.append(_Word(word, meanings(word, language)))
        index += used
    return words


@cache
def _phrases() -> re.Pattern[str]:
    """Matches the English entries of several words as texts write them, with spaces."""
    entries = [re.escape(phrase).replace(r"\-", "[ -]") for phrase in vocabulary.phrases("en")]
    return re.compile(rf"\b(?:{'|'.join(entries)})\b")


def _joined(pieces: list[str], index: int) -> tuple[str, int]:
    """Returns the word at the index, with the next one or two if the vocabulary has them as one."""
    first = pieces[index]
    if not first[0].isalpha():
        return first, 1
    for used in (3, 2):
        several = pieces[index : index + used]
        if len(several) == used and all(piece[0].isalpha() for piece in several):
            word = "".join(several)
            if longest_entry(word, "ko") > len(word) - len(several[-1]):
                return word, used
    return first, 1


_DENIED_AHEAD = 6  # words: English denies before it says
_LEADING_TO_DENIAL = re.compile(r"(?:이유|필요|것|적|리|수|일|때문)[은는이가도]?$")


def _denied(words: list[_Word], language: Language) -> set[int]:
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


def _denied_in_korean(words: list[_Word], index: int) -> Iterator[int]:
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


def _supposes(words: list[_Word], language: Language) -> bool:
    if any("if" in word.means for word in words):
        return True
    if language == "en":
        return bool(words) and words[0].text == "should"
    return any(
        _SUPPOSING_END.search(word.text) or word.text.startswith(_KOREAN_NEXT) for word in words
    )


# Numbers.

_FILLING = {
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
_OF_NUMBER = {
    "en": frozenset(("of", "in", "on", "annualized", "%", "x")),
    "ko": frozenset(("의", "%", "x", "배의", "연율", "원의", "짜리")),
}


def _slots(words: list[_Word], language: Language) -> Iterator[Slot]:
    start, names, last_name = 0, 0, None
    for index, word in enumerate(words):
        if word.text == NAME:
            last_name, names = names, names + 1
        if not word.is_number:
            continue
        behind = words[start:index]
        ahead = _until_number(words, index + 1)
        label = _label_before(behind, language) or _label_after(ahead, language)
        nearby = frozenset().union(*(_numbers_of(other) for other in behind[-6:]))
        moved = _moved(behind, ahead, language)
        if moved and any("won" in other.means for other in behind):
            moved = "down" if moved == "up" else "up"  # the won's fall is the rate's rise
        yield Slot(
            label=label,
            nearby=nearby if not any(other.is_pause for other in behind) else frozenset(),
            name=last_name,
            moved=moved,
            falls=_falls(behind, ahead),
            beyond=_beyond(behind, ahead, language),
            unit=next((unit for unit in _UNITS if ahead and ahead[0].text.startswith(unit)), ""),
        )
        start = index + 1


_UNITS = ("%p", "%", "point", "percent", "x", "times", "배", "퍼센트", "포인트")


def _until_number(words: list[_Word], index: int) -> list[_Word]:
    ahead = []
    for word in words[index:]:
        if word.is_number:
            break
        ahead.append(word)
    return ahead


def _numbers_of(word: _Word) -> Meanings:
    return word.means & vocabulary.NUMBERS


def _label_before(behind: list[_Word], language: Language) -> str | None:
    for word in reversed(behind):
        named = _numbers_of(word)
        if named:
            return None if _is_listed(behind) else min(named)
        if _bare(word.text, language) not in _FILLING[language] and word.text not in ":(=":
            return None
    return None


_PARTICLES = "은는이가도"


def _bare(word: str, language: Language) -> str:
    """Returns a word without a Korean particle of the subject."""
    if language == "ko" and len(word) > 1 and word[-1] in _PARTICLES:
        return word[:-1]
    return word


def _is_listed(behind: list[_Word]) -> bool:
    """Whether the last named number is one of several in a row: "breadth, momentum at"."""
    named = [place for place, word in enumerate(behind) if _numbers_of(word)]
    last = _numbers_of(behind[named[-1]])
    others = [place for place in named if _numbers_of(behind[place]) != last]
    if not others:
        return False
    between = behind[others[-1] + 1 : named[-1]]
    return all(word.text in _LISTING or _numbers_of(word) == last for word in between)


_LISTING = frozenset((",", "and", "/", "annualized", "연율", "및"))


def _label_after(ahead: list[_Word], language: Language) -> str | None:
    for place, word in enumerate(ahead):
        named = _numbers_of(word)
        if named:
            own = all(other.text in _FILLING[language] for other in ahead[place + 1 :])
            return None if own and ahead[place + 1 :] else min(named)
        if language == "en" and word.text in ("names", "stocks", "issues"):
            return "breadth_pct"
        if language == "ko" and word.text.startswith("종목"):
            return "breadth_pct"
        joined = place and ahead[place - 1].text in ("of", "in", "on", "the")
        if word.text not in _OF_NUMBER[language] and not (joined and word.text in _ARTICLES):
            return None
    return None


_ARTICLES = ("the", "market")


_AROUND_A_MOVE = frozenset(
    ["by", "about", "some", "another", "a", "roughly", "of", "just", "only", "%", "%", "%p", "x"]
)


def _moved(behind: list[_Word], ahead: list[_Word], language: Language) -> str | None:
    """Returns which way the number moved something, if it is the size of a move: "fell 1%",
    "1% 하락"; not "fell to 1%".
    """
    for word in reversed(behind):
        if word.text in _AROUND_A_MOVE:
            continue
        if language == "en" or word.text in ("하락", "상승", "손실"):
            return _way(word)
        break
    for word in ahead:
        if word.text in ("%", "%p", "x", "만큼", "나", "이나", "가량", "의"):
            continue
        return _way(word)
    return None


def _way(word: _Word) -> str | None:
    if "up" in word.means and "down" not in word.means:
        return "up"
    if word.means & {"down", "loss"} and "up" not in word.means:
        return "down"
    return None


def _falls(behind: list[_Word], ahead: list[_Word]) -> bool:
    pause = next((place for place, word in enumerate(ahead) if word.is_pause), len(ahead))
    near = [*behind[-6:], *ahead[: min(pause, 6)]]
    falling = {"down", "loss", "negative", "lose"}
    return any(word.means & falling or "stop" in word.text for word in near)


def _beyond(behind: list[_Word], ahead: list[_Word], language: Language) -> str | None:
    """Returns above or below if the text puts something there: "above 3%", "3%를 넘어"."""
    last = behind[-1].text if behind else ""
    if last in _SIGNS_OF_SIDES:
        return _SIGNS_OF_SIDES[last]
    near = reversed(behind[-4:]) if language == "en" else ahead
    than = False
    for word in near:
        if than and word.means & {"low", "high"}:
            return "below" if "low" in word.means else "above"
        than = than or word.text == "보다"
        for side in ("above", "below"):
            if side in word.means:
                return None if _is_by_rule(word, ahead) else side
        if word.is_pause or (language == "ko" and word.text not in _TO_LIMIT):
            return None
    return None


def _is_by_rule(word: _Word, ahead: list[_Word]) -> bool:
    """Whether "under" names the rule: "sold under the 15% rule"."""
    return word.text == "under" and any(other.text == "rule" for other in ahead[:3])


_SIGNS_OF_SIDES = {">": "above", "≥": "above", "<": "below", "≤": "below", "±": None}
_TO_LIMIT = frozenset(
    ("에", "에는", "%", "%p", "x", "를", "을", "보다", "선을", "선", "배를", "배", "점")
)
"""What Korean puts between a limit and that it is passed."""


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
_JOINING = ("and", "or", "및", "에", "에서")
"""Words behind which something else is spoken of."""


def _claims(words: list[_Word], denied: set[int]) -> Iterator[Claim]:
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


def _way_before(words: list[_Word], index: int, denied: set[int]) -> str | None:
    if index == 0 or index - 1 in denied:
        return None
    means = words[index - 1].means
    ways: tuple[str, ...] = _WAYS[:-2]
    if words[index].means & {"outcome", "cost"} and _describes(words[index - 1].text):
        ways = _WAYS
    for way in ways:
        if way in means and not means & _SUBJECTS:
            return way
    return None


_FIRST_SYLLABLE, _FINALS, _FINAL_N = 0xAC00, 28, 4


def _describes(word: str) -> bool:
    """Whether a word may stand before the noun that it describes: in Korean it ends in ㄴ."""
    last = ord(word[-1])
    return last < _FIRST_SYLLABLE or (last - _FIRST_SYLLABLE) % _FINALS == _FINAL_N


def _way_behind(words: list[_Word], index: int, denied: set[int]) -> str | None:
    for place in range(index + 1, min(index + 1 + _CLAIM_REACH, len(words))):
        word = words[place]
        pauses = word.is_pause and word.text not in "()"
        if word.means & (_SUBJECTS | vocabulary.NUMBERS) or pauses or word.text in _JOINING:
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
_CODES = {regime.lower(): regime for regime in REGIMES}


def _regimes(words: list[_Word], denied: set[int], language: Language) -> Iterator[str]:
    """Yields the regimes that a sentence says hold, by their code or in words."""
    for index, word in enumerate(words):
        if index in denied:
            continue
        for code, regime in _CODES.items():
            if word.text.startswith(code):
                yield regime
        for regime, names in _REGIME_WORDS[language].items():
            following = words[index + 1].text if index + 1 < len(words) else ""
            both = f"{word.text}-{following}"
            for name in names:
                if (
                    language == "ko"
                    and word.text.startswith(name)
                    or language == "en"
                    and name in (word.text, word.text.rstrip("s"), both)
                ):
                    yield regime
