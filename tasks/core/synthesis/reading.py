"""What a question says, read back from its text alone, as a person would: labels, numbers, names,
dates, events.

Shares the lexicon, the events and the universe with the prompts' writer, and nothing else.
"""

import re
from dataclasses import dataclass
from functools import cache

from tasks.core.kinds import lexicon
from tasks.core.kinds.base import Language
from tasks.core.kinds.lexicon import CONTEXT, MARKET, REGIME_WORD, STOCK, STOCK_WORDS, Label
from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.events import events
from tasks.core.strategy.rules import REGIMES

_HANGUL = re.compile("[가-힣]")
_DIGIT = re.compile(r"\d")
_DIGITS = re.compile(r"\S*\d\S*")
_DATE = re.compile(
    r"\d(?<!\d\d)\d{3}-\d{2}-\d{2}(?!\d)"
)  # a digit first: the regex engine finds that fast
_STOCK_LINE = re.compile(
    r"^(?:- |\| )?(?P<name>.+)\((?P<ticker>\d[0-9A-Z]{5})\)(?P<rest>.*)$", re.M
)
_BETWEEN = r"(?:: | \| | )"
_WON = {
    "ko": r"-?(?:\d+조 [\d,]+억|\d+조|[\d,]+억)원",
    "en": r"-?KRW [\d,]+\.\d bn",
}


_AROUND = {**MARKET, **CONTEXT}


@dataclass(frozen=True)
class Reading:
    """A question's facts, and what in it is no fact."""

    language: Language
    facts: Facts
    dates: tuple[str, ...]
    names: tuple[tuple[str, str], ...]  # (ticker, name) as printed
    unread: tuple[str, ...]  # numbers without a label, and labels that stand twice
    wording: str  # the text without all of these


def read_question(text: str) -> Reading:
    """Reads a prompt. Never fails: what cannot be read is missing in the facts or listed as unread."""
    lines = list(_STOCK_LINE.finditer(text))
    around = _STOCK_LINE.sub("", text)
    language: Language = "ko" if _HANGUL.search(around) else "en"
    numbers, rest, twice = _numbers(around, language, _AROUND)
    stocks, odd = [], list(twice)
    for line in lines:
        found, left = _stock(line, language)
        stocks.append(found)
        odd += left
    words, rest = _words(rest, language)
    dates = tuple(_DATE.findall(rest))
    wording = _DATE.sub("", rest)
    odd += _words_with_digits(wording)
    names = tuple((line["ticker"], line["name"].strip()) for line in lines)
    return Reading(
        language, Facts(numbers, tuple(stocks), words), dates, names, tuple(odd), wording
    )


def _stock(line: re.Match[str], language: Language) -> tuple[StockFacts, list[str]]:
    numbers, rest, twice = _numbers(line["rest"], language, STOCK)
    words = (
        {name: value for name, value, told in _stock_words(language) if told.search(rest)}
        if rest.strip()
        else {}
    )
    return StockFacts(line["ticker"], numbers, words), [*twice, *_words_with_digits(rest)]


def _words_with_digits(text: str) -> list[str]:
    """Most texts have none, which is seen at once."""
    return _DIGITS.findall(text) if _DIGIT.search(text) else []


@cache
def _stock_words(language: Language) -> list[tuple[str, str, re.Pattern[str]]]:
    return [
        (
            name,
            value,
            re.compile(
                rf"{re.escape(label.of(language))} {re.escape(called.of(language))}(?![\w-])"
            ),
        )
        for name, (label, values) in STOCK_WORDS.items()
        for value, called in values.items()
    ]


def _words(text: str, language: Language) -> tuple[dict[str, str], str]:
    """The regime of the day before, the event and the shock, and the text without them."""
    words = {}
    pattern = _previous_regime(language)
    if found := pattern.search(text):
        words["previous_regime"] = found[1]
        text = pattern.sub("", text)
    for event in events():
        if (told := event.ko if language == "ko" else event.en) in text:
            words["event"], text = event.name, text.replace(told, "")
    for name, label in lexicon.SHOCKS.items():
        if label.of(language) in text:
            words["shock"], text = name, text.replace(label.of(language), "")
    return words, text


@cache
def _previous_regime(language: Language) -> re.Pattern[str]:
    return re.compile(re.escape(REGIME_WORD.of(language)) + _BETWEEN + f"({'|'.join(REGIMES)})")


def _numbers(
    text: str, language: Language, labels: dict[str, Label]
) -> tuple[dict[str, float], str, list[str]]:
    """The labelled numbers, the text without them, and labels that were found twice."""
    numbers: dict[str, float] = {}
    twice: list[str] = []

    def take(match: re.Match[str]) -> str:
        name = str(match.lastgroup)
        if name in numbers:
            twice.append(match[0])
        numbers[name] = _value(match[name], labels[name])
        return " "

    rest = _pattern(language, labels is STOCK).sub(take, text)
    return numbers, rest, twice


@cache
def _pattern(language: Language, of_stock: bool) -> re.Pattern[str]:
    """One pattern for all labels, longest first, each with its number in the digits that it is
    printed with.
    """
    parts = []
    for name, label in sorted(
        (STOCK if of_stock else _AROUND).items(), key=lambda entry: -len(entry[1].of(language))
    ):
        if label.unit == "won":
            value = _WON[language]
        else:
            decimals = rf"\.\d{{{label.decimals}}}" if label.decimals else ""
            sign = "[+-]" if label.signed else "-?"
            value = rf"{sign}\d+{decimals}(?![\d.]\d|\d)(?={re.escape(label.unit)})"
        parts.append(
            rf"{re.escape(label.of(language))}{_BETWEEN}(?P<{name}>{value}){re.escape(_unit(label))}"
        )
    return re.compile("|".join(parts))


def _unit(label: Label) -> str:
    return "" if label.unit == "won" else label.unit


def _value(text: str, label: Label) -> float:
    if label.unit != "won":
        return float(text)
    sign = -1.0 if text.startswith("-") else 1.0
    if "KRW" in text:
        return sign * round(10 * float(re.sub(r"[^\d.]", "", text)), 1)
    trillions, hundred_millions = (re.search(rf"([\d,]+){unit}", text) for unit in ("조", "억"))
    amounts = (trillions, 10_000), (hundred_millions, 1)
    return sign * sum(scale * float(found[1].replace(",", "")) for found, scale in amounts if found)
