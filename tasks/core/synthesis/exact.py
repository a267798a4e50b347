"""Whether every number in our own texts stands, in these digits, in the question, the working, the
answer or the rules: ours are exact, where a model's may be rounded or derived.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from tasks.core.kinds.judging.figures import LIMITS
from tasks.core.kinds.lexicon import CONTEXT, MARKET
from tasks.core.kinds.texts import PROSE_KEYS, regimes_in
from tasks.core.records.facts import Facts
from tasks.core.strategy.borders import nearest_turn
from tasks.core.strategy.rules import EXPOSURES
from tasks.core.strategy.stated import known_numbers, missing_numbers, stated_regime
from tasks.core.strategy.universe import etfs

_NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?")
_SCALES = (1, 10, 100)  # keys such as per_x10 and stop_bp hold tenths and hundredths


def inexact_numbers(answer: dict[str, Any], facts: Facts) -> Iterator[tuple[str, str]]:
    """Yields each number of the answer's texts that stands nowhere, with its text."""
    on_the_whole = _of_market(answer, facts)
    for text, entry in _texts(answer):
        known = on_the_whole | _of_working(answer["working"], entry) | _of_entry(entry, facts)
        if entry is None:
            known |= _integers(answer)
        for number in _NUMBER.findall(_names().sub(" ", text)):
            if float(number.replace(",", "")) not in known:
                yield number, text


def _texts(
    value: Any, entry: dict[str, Any] | None = None
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yields each free text with the entry about one stock that it belongs to, if any."""
    if isinstance(value, dict):
        for key, content in value.items():
            if isinstance(content, str) and key in PROSE_KEYS:
                yield content, entry
            else:
                yield from _texts(content, entry)
    elif isinstance(value, list):
        for item in value:
            about_one = isinstance(item, dict) and "ticker" in item
            yield from _texts(item, item if about_one else entry)


def _of_market(answer: dict[str, Any], facts: Facts) -> set[float]:
    """Returns what every text may quote: the market, the context, bands and limits."""
    numbers = known_numbers(facts)
    known = {abs(number) for number in (*facts.numbers.values(), *numbers.values())}
    known |= {abs(limit) for limits in LIMITS.values() for limit in limits}
    for regime in {*regimes_in(answer), stated_regime(facts)}:
        bands = EXPOSURES[regime]
        for band in (bands.long_gross, bands.index_short, bands.net):
            known.update(map(abs, band))
    turn = None if missing_numbers(facts) else nearest_turn(numbers)
    if turn:
        known.add(round(turn.distance(numbers), 2))
    return known | {1.0, 100.0}


def _of_working(working: list[str], entry: dict[str, Any] | None) -> set[float]:
    """Returns the numbers of the lines about the entry's stock, or of all lines."""
    lines = working
    if entry is not None:
        lines = [line for line in working if entry["ticker"] in line] or working
    found = _NUMBER.findall(" ".join(lines))
    return {float(number) for number in found}


def _of_entry(entry: dict[str, Any] | None, facts: Facts) -> set[float]:
    """Returns what the question states of a stock, and what the answer's entry says of it."""
    if entry is None:
        return {abs(number) for stock in facts.stocks for number in stock.numbers.values()}
    known = _integers(entry)
    for stock in facts.stocks:
        if stock.ticker == entry["ticker"]:
            known.update(map(abs, stock.numbers.values()))
    return known


def _integers(value: Any) -> set[float]:
    if isinstance(value, dict):
        return set().union(*map(_integers, value.values()))
    if isinstance(value, list):
        return set().union(*map(_integers, value))
    return {abs(value) / scale for scale in _SCALES} if isinstance(value, int) else set()


@cache
def _names() -> re.Pattern[str]:
    """Matches labels and names of funds that hold digits, which are no numbers."""
    names = {fund.name_ko for fund in etfs()} | {"S&P 500"}
    for label in (*MARKET.values(), *CONTEXT.values()):
        names.update((*label.names("ko"), *label.names("en")))
    longest_first = sorted(names, key=len, reverse=True)
    with_digits = [re.escape(name) for name in longest_first if re.search(r"\d", name)]
    return re.compile("|".join(with_digits))
