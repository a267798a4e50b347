"""What the words in a blank of a published sentence name, such as a sector or the stocks that gain,
and whether they may.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tasks.core.kinds import catalog
from tasks.core.kinds.judging.meaning import understood
from tasks.core.kinds.lexicon import MARKET
from tasks.core.kinds.words import Sentences, words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy.stated import known_numbers
from tasks.core.strategy.universe import etfs, find_stock, sectors, stocks
from tasks.core.synthesis.blanks import OF_TURN, objects_in, turn_of
from tasks.core.synthesis.marks import MARK, PARTICLES, marked

Named = frozenset[str]
"""Tickers, or names as the tables have them."""


def texts_of(kind: str | None) -> Mapping[str, Sentences]:
    """Returns the published texts of a kind; none if there is no such kind."""
    module = Path(catalog.__file__).with_name(f"{kind}.py")
    return words_beside(str(module)).texts if module.is_file() else {}


def named_in(blank: str, words: str, kind: str | None, language: Language) -> Named | None:
    """Returns what the words in a blank name; None if they are none that this blank may have, so
    that the sentence is another.
    """
    match blank:
        case "turn_label":
            return _found(words, _labels(language))
        case "turn_moves":
            return understood(words, language).says & {"up", "down"}
        case "sector":
            return _found(words, _sectors(language))
        case "what" | "What" | "why":
            return _found(words, _channels(kind, language))
        case "name" | "names" | "winners" | "losers" | "core":
            return _all_found(words, _stocks())
    return frozenset()


@dataclass(frozen=True)
class Place:
    """Where a text stands."""

    answer: dict[str, Any]
    entry: dict[str, Any] | None  # about one stock, of which the text is the reason
    facts: Facts


def may_name(blank: str, named: Named, place: Place) -> bool:
    """Whether the words in a blank of a text name what they must."""
    match blank:
        case "turn_label" | "turn_moves":
            return named == _of_turn(blank, place.facts)
        case "sector":
            return named == {_sector(place)}
        case "what" | "What" | "why":
            return any(set(bank.split("/")) <= _truths(place) for bank in named)
        case "name" | "names" | "winners" | "losers" | "core":
            return named == set(_tickers(blank, place.answer))
    return True


# What words name.


def _found(words: str, table: Mapping[str, Named]) -> Named | None:
    """Returns what a table has for words, with a particle behind them or not."""
    words = words.lower()
    for particle in ("", *PARTICLES):
        if words.endswith(particle) and words.removesuffix(particle) in table:
            return table[words.removesuffix(particle)]
    return None


def _all_found(words: str, table: Mapping[str, Named]) -> Named | None:
    """Returns what a table has for each of the words in a list, which may have a number in
    brackets.
    """
    named: set[str] = set()
    for word in re.split(r", | and ", re.sub(rf" ?\([^()]*{MARK}\)", "", words)):
        found = _found(word, table)
        if found is None:
            return None
        named |= found
    return frozenset(named)


@cache
def _labels(language: Language) -> dict[str, Named]:
    return {_key(label.of(language)): frozenset((name,)) for name, label in MARKET.items()}


@cache
def _sectors(language: Language) -> dict[str, Named]:
    table = {}
    for sector in sectors():
        printed = sector.name_ko if language == "ko" else sector.name
        table[_key(printed)] = frozenset((sector.name,))
    return table


@cache
def _stocks() -> dict[str, Named]:
    """Returns the tickers of stocks and funds by each of their names."""
    table = {_key(fund.name_ko): frozenset((fund.ticker,)) for fund in etfs()}
    for stock in stocks():
        for name in (stock.name_ko, stock.name_en):
            table[_key(name)] = frozenset((stock.ticker,))
    return table


@cache
def _channels(kind: str | None, language: Language) -> dict[str, Named]:
    """Returns the banks of a kind that hold a phrase, each of a way in which an event or the won
    reaches profits. A bank's name says of what that is true, with slashes between.
    """
    table: dict[str, Named] = {}
    for bank, phrases in texts_of(kind).items():
        for phrase in phrases[language] if "/" in bank else ():
            table[_key(phrase)] = table.get(_key(phrase), frozenset()) | {bank}
    return table


def _key(words: str) -> str:
    return marked(words)[0].lower()


# What they must name.


def _of_turn(blank: str, facts: Facts) -> Named:
    turn = turn_of(**known_numbers(facts))
    if turn is None:
        return frozenset()
    if blank == f"{OF_TURN}label":
        return frozenset((turn.name,))
    return frozenset(("down" if turn.falls else "up",))


def _sector(place: Place) -> str | None:
    if place.entry is None:
        return place.answer.get("primary_sector")
    stock = find_stock(place.entry["ticker"])
    return stock.sector if stock else None


def _truths(place: Place) -> set[str]:
    """Returns what is true of the answer, and of the stock if the text is about one."""
    truths = {"price", str(_sector(place))}
    for told in objects_in(place.answer):
        truths.update(told[key] for key in ("event", "direction") if key in told)
    stock = find_stock(place.entry["ticker"]) if place.entry else None
    return truths | {stock.business} if stock else truths


_OF_ENTRIES = {"winners": "POSITIVE", "losers": "NEGATIVE", "names": "ADD"}


def _tickers(blank: str, answer: dict[str, Any]) -> Iterator[str]:
    """Yields the tickers of the answer that a list of names is of."""
    for told in objects_in(answer):
        verdicts = (told.get("impact"), told.get("action"))
        wanted = _OF_ENTRIES.get(blank)
        if "ticker" in told and (wanted is None or wanted in verdicts):
            yield told["ticker"]
