"""What a question says, read back from its text alone, as a person would read it: labels, numbers,
names, dates and events.

It shares the lexicon, the events and the universe with the code that writes the questions, and
nothing else.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from tasks.core.kinds import lexicon
from tasks.core.kinds.lexicon import (
    CONTEXT,
    CURRENT_REGIME_WORD,
    MARKET,
    REGIME_WORD,
    STOCK,
    STOCK_WORDS,
    Label,
)
from tasks.core.records.facts import Facts, Language, StockFacts
from tasks.core.scripts import HANGUL
from tasks.core.strategy.events import events
from tasks.core.strategy.rules import REGIMES

_DIGIT = re.compile(r"\d")
_WORD_WITH_DIGITS = re.compile(r"\S*\d\S*")
# The pattern begins with a digit, because the regex engine finds that fast.
_DATE = re.compile(r"\d(?<!\d\d)\d{3}-\d{2}-\d{2}(?!\d)")
_STOCK_LINE = re.compile(
    r"^(?:- |\| )?(?P<name>.+)\((?P<ticker>\d[0-9A-Z]{5})\)(?P<rest>.*)$", re.M
)
_BETWEEN = r"(?:[은는이가도])?(?:: | \| |, | (?:is |was |of |at |has )?)"
"""What stands between a label and its number."""
_KIND_LINE = re.compile(r"\n?^kind: (?P<kind>[a-z_]+)\s*\Z", re.M)
_QUOTED = re.compile(r"^> (?P<quoted>.*)$\n?", re.M)
"""A line that somebody else wrote: its numbers need no label."""
_WON = {
    "ko": r"[+-]?(?:\d+조 [\d,]+억|\d+조|[\d,]+억)(?: ?원)?(?: (?:순매수|순매도))?",
    "en": r"[+-]?(?:KRW [\d,]+(?:\.\d+)? ?bn|[\d,]+(?:\.\d+)? ?bn (?:KRW|won)|[\d,]+B KRW)",
}
_AROUND_STOCKS = {**MARKET, **CONTEXT}
"""The labels of numbers that stand outside the stocks' lines."""
_IN_WON = {name for name, label in CONTEXT.items() if label.unit == "won"}


@dataclass(frozen=True)
class OfferedStock:
    """A stock or ETF that a question offers, with its name as it is printed there."""

    ticker: str
    name: str


@dataclass(frozen=True)
class Reading:
    """A question's facts, and what in it is no fact."""

    language: Language
    kind: str | None  # as the last line names it
    facts: Facts
    dates: tuple[str, ...]  # YYYY-MM-DD
    offered: tuple[OfferedStock, ...]
    unread: tuple[str, ...]  # numbers without a label, and labels that stand twice
    wording: str  # the text without all of these


@lru_cache(maxsize=8)
def read_question(text: str) -> Reading:
    """Reads a question. This never fails: what cannot be read is missing in the facts, or it is
    listed as unread. The last ones are remembered, because each of a row's answers is graded by it.
    """
    text = text.replace("\N{MINUS SIGN}", "-")
    named = _KIND_LINE.search(text)
    if named:
        text = text[: named.start()]
    notes = "\n".join(line["quoted"] for line in _QUOTED.finditer(text))
    text = _QUOTED.sub("", text)
    around = _STOCK_LINE.sub("", text)
    language: Language = "ko" if HANGUL.search(around) else "en"
    market = _read_numbers(around, language, _AROUND_STOCKS)
    unread = list(market.repeated)
    stocks = []
    offered = []
    for line in _STOCK_LINE.finditer(text):
        facts, unread_of_stock = _read_stock(line, language)
        stocks.append(facts)
        unread += unread_of_stock
        offered.append(OfferedStock(line["ticker"], line["name"].strip()))
    words, rest = _read_words(market.rest, language)
    if notes:
        words["notes"] = notes
    wording = _DATE.sub("", rest)
    unread += _words_with_digits(wording)
    return Reading(
        language=language,
        kind=named["kind"] if named else None,
        facts=Facts(market.numbers, tuple(stocks), words),
        dates=tuple(_DATE.findall(rest)),
        offered=tuple(offered),
        unread=tuple(unread),
        wording=wording,
    )


def _read_stock(line: re.Match[str], language: Language) -> tuple[StockFacts, list[str]]:
    """Returns what a stock's line says, and what in it cannot be read."""
    labelled = _read_numbers(line["rest"], language, STOCK)
    words = {}
    if labelled.rest.strip():
        for word in _stock_words(language):
            if word.pattern.search(labelled.rest):
                words[word.name] = word.value
    facts = StockFacts(line["ticker"], labelled.numbers, words)
    return facts, [*labelled.repeated, *_words_with_digits(labelled.rest)]


def _words_with_digits(text: str) -> list[str]:
    if not _DIGIT.search(text):  # most texts have no digit left, and this is seen at once
        return []
    return _WORD_WITH_DIGITS.findall(text)


@dataclass(frozen=True)
class _StockWord:
    """One value of a stock's word, and how a line says it."""

    name: str
    value: str
    pattern: re.Pattern[str]


@cache
def _stock_words(language: Language) -> list[_StockWord]:
    words = []
    for name, (label, values) in STOCK_WORDS.items():
        for value, value_label in values.items():
            phrase = re.escape(f"{label.of(language)} {value_label.of(language)}")
            words.append(_StockWord(name, value, re.compile(rf"{phrase}(?![\w-])")))
    return words


def _read_words(text: str, language: Language) -> tuple[dict[str, str], str]:
    """Returns the regimes that are given, the event and the shock; and the text without them."""
    words = {}
    for name, label in (("previous_regime", REGIME_WORD), ("current_regime", CURRENT_REGIME_WORD)):
        pattern = _regime_pattern(label.of(language))
        match = pattern.search(text)
        if match:
            words[name] = match[1]
            text = pattern.sub("", text)
    for event in events():
        phrase = event.ko if language == "ko" else event.en
        if phrase in text:
            words["event"] = event.name
            text = text.replace(phrase, "")
    for name, label in lexicon.SHOCKS.items():
        phrase = label.of(language)
        if phrase in text:
            words["shock"] = name
            text = text.replace(phrase, "")
    return words, text


@cache
def _regime_pattern(label: str) -> re.Pattern[str]:
    return re.compile(f"(?i:{re.escape(label)}){_BETWEEN}({'|'.join(REGIMES)})")


@dataclass(frozen=True)
class _LabelledNumbers:
    """The labelled numbers of a text."""

    numbers: dict[str, float]
    rest: str  # the text without them
    repeated: list[str]  # labels with numbers, as printed, that stand there a second time


def _read_numbers(text: str, language: Language, labels: dict[str, Label]) -> _LabelledNumbers:
    numbers: dict[str, float] = {}
    repeated: list[str] = []

    def take(match: re.Match[str]) -> str:
        name = str(match.lastgroup)
        if name in numbers:
            repeated.append(match[0])
        value = _value(match[name], name)
        if name in _IN_WON and _tells_of_selling(match[0], language):
            value = -abs(value)
        numbers[name] = value
        return " "

    rest = _numbers_pattern(language, of_stock=labels is STOCK).sub(take, text)
    return _LabelledNumbers(numbers, rest, repeated)


def _tells_of_selling(said: str, language: Language) -> bool:
    sellings = (*lexicon.SELLING[language], *lexicon.SELLING_HEARD[language])
    return said.lower().startswith(sellings) or said.endswith("순매도")


@cache
def _numbers_pattern(language: Language, of_stock: bool) -> re.Pattern[str]:
    """Returns one pattern for all numbers, each by any of its names and in the digits that it is
    printed with. Of two names that begin alike the longer one is tried first.
    """
    labels = STOCK if of_stock else _AROUND_STOCKS
    longest_first = sorted(labels.items(), key=lambda entry: -len(entry[1].of(language)))
    parts = []
    starts: set[str] = set()
    for name, label in longest_first:
        names = _names_of(name, label, language)
        starts.update(re.escape(known[0]) for known in names)
        called = "|".join(map(re.escape, names))
        number = _number_pattern(name, label, language)
        unit = "" if name in MARKET else _unit_pattern(label)
        parts.append(rf"(?:{called}){_BETWEEN}(?P<{name}>{number}){unit}")
    # A name begins a word, with some letters: elsewhere none of the many alternatives is tried.
    return re.compile(rf"(?=[{''.join(sorted(starts))}])(?<!\w)(?:{'|'.join(parts)})", re.I)


def _names_of(name: str, label: Label, language: Language) -> list[str]:
    known = [*label.names(language)]
    if name == "foreign_net_buy_100m_krw":
        known += (*lexicon.SELLING[language], *lexicon.SELLING_HEARD[language])
    return sorted(known, key=len, reverse=True)


def _number_pattern(name: str, label: Label, language: Language) -> str:
    if label.unit == "won":
        return _WON[language]
    if name in MARKET:
        return _market_pattern(label, language)
    sign = "[+-]" if label.signed else "-?"
    digits = r"\d+"
    if label.decimals:
        digits += rf"\.\d{{{label.decimals}}}"
    return rf"{sign}{digits}(?![\d.]\d|\d)(?={_unit_pattern(label)})"


def _market_pattern(label: Label, language: Language) -> str:
    """Returns the pattern of a number of the market with its unit: as people write it, with a sign
    or with a word that tells which way it moved, and with no more decimals than it has.
    """
    size = rf"[+-]?\d+(?:\.\d{{1,{label.decimals}}})? ?%"
    words = "|".join(word for move in lexicon.MOVES[language] for word in move)
    if language == "ko":
        return rf"{size}(?: ?(?:{words}))?"
    return rf"(?:(?:{words}) )?(?:by )?{size}"


def _unit_pattern(label: Label) -> str:
    if label.unit == "won":  # the number's own pattern ends with it
        return ""
    return re.escape(label.unit)


def _value(text: str, name: str) -> float:
    """Returns the number that a text prints; won are in hundred millions (억)."""
    if name in MARKET:
        return _market_value(text)
    if name not in _IN_WON:
        return float(text)
    sign = -1.0 if text.startswith("-") else 1.0
    if "억" not in text and "조" not in text:
        billions = float(re.sub(r"[^\d.]", "", text))
        return sign * round(10 * billions, 1)
    return sign * (10_000 * _amount(text, "조") + _amount(text, "억"))


_SIZE = re.compile(r"[+-]?\d+(?:\.\d+)?")
_FELL = re.compile("|".join(lexicon.MOVES["ko"][lexicon.FELL] + lexicon.MOVES["en"][lexicon.FELL]))


def _market_value(text: str) -> float:
    """Returns a number of the market; a word that it fell is a minus."""
    size = _SIZE.search(text)
    assert size, "the pattern has a number in it"
    value = float(size[0])
    return -abs(value) if _FELL.search(text.lower()) else value


def _amount(text: str, unit: str) -> float:
    """Returns the number in front of a unit, or 0 if the text does not have it."""
    match = re.search(rf"([\d,]+){unit}", text)
    if match is None:
        return 0.0
    return float(match[1].replace(",", ""))
