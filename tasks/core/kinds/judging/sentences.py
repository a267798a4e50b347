"""A text as the judge reads it: its sentences, with their numbers, names and meaning.

Numbers and names are taken out first, so that a sentence which many answers share is understood
once: what it means depends on its other words.
"""

import re
from functools import cache, lru_cache
from math import nan
from typing import Any, NamedTuple

from tasks.core.kinds.judging.meaning import Sense, understood
from tasks.core.kinds.judging.words import NAME, NUMBER
from tasks.core.records.facts import Language
from tasks.core.strategy.universe import etfs, stocks


class Number(NamedTuple):
    """A number as a text prints it."""

    value: float  # with the sign that is printed; amounts of won are in 억
    decimals: int
    signed: bool  # whether a sign is printed


class Sentence(NamedTuple):
    """One sentence of a text."""

    text: str
    sense: Sense
    numbers: tuple[Number, ...]  # one for each of sense.slots
    tickers: tuple[str, ...]  # of the stocks and funds that it names, in its order


_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+")


class Text(NamedTuple):
    """A text with its sentences."""

    plain: str  # with NAME for every name
    sentences: tuple[Sentence, ...]


@lru_cache(maxsize=256)
def read_text(content: str, language: Language) -> Text:
    """Returns a text as the judge reads it. The last ones are remembered, because a spoiled answer
    has most texts of the right one: a quarter of the texts of pairs are read once less.
    """
    tickers: list[str] = []

    def take_name(match: re.Match[str]) -> str:
        tickers.append(tickers_by_name()[match[0]])
        return NAME

    # A model may write the marks themselves.
    content = content.replace(NUMBER, " ").replace(NAME, " ")
    plain = names_pattern().sub(take_name, content)
    sentences = []
    for part in _BETWEEN_SENTENCES.split(plain):
        if part and not part.isspace():
            named = part.count(NAME)
            sentences.append(_sentence(part, tuple(tickers[:named]), language))
            del tickers[:named]
    return Text(plain, tuple(sentences))


def _sentence(text: str, tickers: tuple[str, ...], language: Language) -> Sentence:
    numbers: list[Number] = []

    def take_number(match: re.Match[str]) -> str:
        digits, unit = match.group("digits", "unit")
        if unit is None:
            numbers.append(_plain(digits))
            return NUMBER
        if unit.lstrip()[0] in _OF_WON:
            numbers.append(_won(match))
            return NUMBER
        return _TEN_DAYS[language] if _plain(match["digits"]).value == _OF_MOMENTUM else " "

    skeleton = _NUMBERS.sub(take_number, text)
    return Sentence(text, understood(skeleton, language), tuple(numbers), tickers)


# Numbers.

_NUMBERS = re.compile(
    r"(?=[-+\dK])"  # most letters are passed over at once, which saves two thirds of the time
    r"(?:(?P<minus>-)?KRW\s?)?(?<![A-Za-z0-9_.])(?<!S&P )(?<!KOSPI )(?<!코스피 )"
    r"(?P<digits>(?:(?<![\d%])[+-])?\d[\d,]*(?:\.\d+)?)"
    r"(?P<unit>-\d\d-\d\d|년|월(?! )|거래일|일(?![가-힣]*지)|주(?=[^가-힣]|간)|개월|차전지"
    r"|[- ](?:days?|weeks?|months?)\b"
    r"|\s?조(?=[\s,.)원의를에이가는은까]|$)(?:\s?(?P<rest>\d[\d,]*)\s?억)?"
    r"|\s?억(?=[\s,.)원의를에이가는은까]|$)"
    r"|\s?(?:bn|tn|trillion|billion)\b)?"
)
"""A number, and behind it what makes it a date, a duration or an amount of won."""
_OF_MOMENTUM = 10  # days
_TEN_DAYS = {"en": " tenday ", "ko": " 십일 "}
_OF_WON = frozenset("조억bt")


@lru_cache(maxsize=20_000)
def _plain(printed: str) -> Number:
    digits = printed.replace(",", "")
    _, _, behind_point = digits.partition(".")
    value = nan if _MISPRINTED.match(digits) else float(digits)
    return Number(value, len(behind_point), printed[0] in "+-")


_MISPRINTED = re.compile(r"[+-]?0\d")  # 01: it is no number of anybody's


def _won(match: re.Match[str]) -> Number:
    """Returns an amount of won in 억."""
    amount = _plain(match["digits"])
    unit = match["unit"].lstrip()[0]
    value = amount.value * _IN_HUNDRED_MILLIONS[unit]
    if match["rest"]:
        value += float(match["rest"].replace(",", ""))
    if match["minus"]:
        value = -value
    return Number(value, 1, amount.signed or bool(match["minus"]))


_IN_HUNDRED_MILLIONS = {"조": 10_000.0, "t": 10_000.0, "b": 10.0, "억": 1.0}


# Names.


@cache
def tickers_by_name() -> dict[str, str]:
    """Returns the ticker of every name of three letters or more. Shorter ones are words of the
    language as well.
    """
    known = {fund.name_ko: fund.ticker for fund in etfs()}
    for stock in stocks():
        known[stock.name_ko] = stock.ticker
        known[stock.name_en] = stock.ticker
    return {name: ticker for name, ticker in known.items() if len(name) > 2}


@cache
def names_pattern() -> re.Pattern[str]:
    """Matches the names of stocks and funds, the longest first.

    It is a tree of letters, which is five times as fast as a list of names.
    """
    tree: dict[str, Any] = {}
    for name in tickers_by_name():
        branch = tree
        for letter in name:
            branch = branch.setdefault(letter, {})
        branch[""] = {}
    return re.compile(_pattern_of(tree))


def _pattern_of(tree: dict[str, Any]) -> str:
    branches = [re.escape(letter) + _pattern_of(tree[letter]) for letter in tree if letter]
    if not branches:
        return ""
    pattern = branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
    return f"(?:{pattern})?" if "" in tree else pattern
