"""Whether an answer's texts are true: every number stands in the question, the rules or the answer,
in these digits.

A number is compared as text, with its sign, digits and unit: -1.80% is the return that the question
prints, 1.8% is not. A reason given for a stock may quote that stock's numbers, not its neighbour's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from tasks.core.kinds.lexicon import MARKET
from tasks.core.kinds.texts import (
    PROSE_KEYS,
    grounds_claimed,
    regimes_in,
    sentences_in,
    without_names,
)
from tasks.core.records.facts import Language
from tasks.core.scripts import HANGUL
from tasks.core.strategy.borders import Turn, nearest_turn
from tasks.core.strategy.deciding import Decision
from tasks.core.strategy.rules import REGIMES
from tasks.core.strategy.stated import known_numbers, missing_numbers, stated_regime
from tasks.core.strategy.universe import etfs, names, stocks
from tasks.core.synthesis import quotable
from tasks.core.synthesis.problems import Problem
from tasks.core.synthesis.reading import Reading

_REGIMES = re.compile("|".join(REGIMES))


@dataclass(frozen=True)
class _Text:
    """A free text of an answer."""

    content: str
    plain: str  # without stocks and funds, which keep the language of their names
    entry: dict[str, Any] | None  # the stock, in a list, that it is the reason of, and no other


def prose_problems(
    answer: dict[str, Any], decision: Decision, reading: Reading
) -> Iterator[Problem]:
    """Yields what is untrue in the answer's texts; `decision` is the strategy's."""
    regimes = {*regimes_in(decision), stated_regime(reading.facts)}
    turn = None  # nobody says what lies beyond a limit of which a number is missing
    if not missing_numbers(reading.facts):
        turn = nearest_turn(known_numbers(reading.facts))
    offered = _offered_names(reading)
    in_common = quotable.of_every_text(decision, reading)  # printed once, not for each text
    on_the_whole = in_common | quotable.of_market(decision, reading, turn)
    for text in _texts(answer):
        if bool(HANGUL.search(text.plain)) != (reading.language == "ko"):
            yield Problem(
                "language", f"a text is not in the question's language: {text.content[:50]}"
            )
        known = on_the_whole
        if text.entry is not None:
            known = in_common | quotable.of_stock(text.entry, reading)
        yield from _number_problems(text, known, on_the_whole, reading)
        yield from _regime_problems(text.content, regimes, turn, reading.language)
        if text.plain != text.content:
            yield from _name_problems(text.content, offered)


def _texts(value: Any, entry: dict[str, Any] | None = None) -> Iterator[_Text]:
    if isinstance(value, dict):
        for key, content in value.items():
            if isinstance(content, str) and key in PROSE_KEYS:
                yield _Text(content, _names_pattern().sub(" ", content), entry)
            else:
                yield from _texts(content, entry)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, item if isinstance(item, dict) else entry)


def _number_problems(
    text: _Text, known: set[str], on_the_whole: set[str], reading: Reading
) -> Iterator[Problem]:
    """Yields the first number of a text that is neither known, nor quotable because the text says
    of what it speaks.
    """
    numbers = quotable.NUMBER.findall(without_names(text.plain))
    strange = [number for number in numbers if number not in known]
    if not strange:
        return
    called = quotable.by_name(text.content, on_the_whole, reading)
    for number in strange:
        if number not in called:
            yield Problem(
                "grounded",
                f"{number} stands neither in the question nor in the rules: {text.content[:60]}",
            )
            return


def _offered_names(reading: Reading) -> set[str]:
    """Returns every name of the stocks and ETFs that the question offers."""
    offered: set[str] = set()
    for stock in reading.offered:
        offered.update(names(stock.ticker))
    return offered


def _regime_problems(
    text: str, regimes: set[str], turn: Turn | None, language: Language
) -> Iterator[Problem]:
    """A regime named in a text must be the decision's, or the one beyond the nearest limit of the
    rule.
    """
    claims = grounds_claimed(text, language)
    if claims and not claims & regimes:
        yield Problem("argued", f"a text argues for {', '.join(sorted(claims))}: {text[:60]}")
    if not _REGIMES.search(text):
        return
    for sentence in sentences_in(text):
        named = _REGIMES.findall(sentence)
        strange = set(named) - regimes
        if turn and _is_about(turn, sentence, language):
            if named and set(named) != {turn.regime}:
                yield Problem(
                    "argued", f"beyond {turn.limit:g}% lies {turn.regime}: {sentence[:60]}"
                )
        elif strange:
            yield Problem(
                "argued",
                f"{', '.join(sorted(strange))} is not what the numbers say: {sentence[:60]}",
            )
        if len(named) > len(set(named)):
            yield Problem("argued", f"a sentence names {named[0]} twice: {sentence[:60]}")


def _is_about(turn: Turn, sentence: str, language: Language) -> bool:
    """Whether a sentence speaks of the limit at which the regime turns."""
    return f"{turn.limit:g}%" in sentence and MARKET[turn.name].of(language) in sentence


def _name_problems(text: str, offered: set[str]) -> Iterator[Problem]:
    """Stocks named in a text must be the question's."""
    for name in _names_pattern().findall(text):
        if name not in offered:
            yield Problem("names", f"{name} is not in the question: {text[:60]}")
            return


@cache
def _names_pattern() -> re.Pattern[str]:
    """Matches names of three letters or more, the longest first; shorter ones are words of the
    language as well.
    """
    known = {fund.name_ko for fund in etfs()}
    for stock in stocks():
        known.update((stock.name_ko, stock.name_en))
    longest_first = sorted(known, key=len, reverse=True)
    return re.compile("|".join(re.escape(name) for name in longest_first if len(name) > 2))
