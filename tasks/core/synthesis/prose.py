"""Whether an answer's texts are true: every number stands in the question, the rules or the answer, in these digits.

A number with its sign and digits is compared as text: -1.80 is the return that the question prints, 1.8 is not.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from tasks.core.decisions import known_numbers
from tasks.core.kinds.base import Language
from tasks.core.kinds.grading import grounds_claimed, prose, regimes_told, without_names
from tasks.core.kinds.lexicon import MARKET, printed
from tasks.core.strategy import (
    EXPOSURES,
    REDUCE_PCT,
    REGIMES,
    RULE_NUMBERS,
    STOP_LOSS_PCT,
    THRESHOLDS,
    Turn,
    nearest_turn,
    regime_of,
    shocked,
)
from tasks.core.synthesis.reading import Reading
from tasks.core.universe import etfs, names, stocks

_HANGUL = re.compile("[가-힣]")
_NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:,\d{3})*(?:\.\d+)?")
_REGIMES = re.compile("|".join(REGIMES))
_LIMITS = frozenset(
    f"{limit:g}"
    for limits in ((limit for _, limit in THRESHOLDS), RULE_NUMBERS, (STOP_LOSS_PCT, REDUCE_PCT))
    for limit in limits
)
"""The rules' limits as texts quote them, those of the regime rule and of stops with their sign."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def prose_problems(told: dict[str, Any], right: dict[str, Any], reading: Reading) -> Iterator[tuple[str, str]]:
    """What is untrue in the answer's texts, as (rule, detail)."""
    known, market = _known(right, reading), known_numbers(reading.facts)
    regimes, turn = set(regimes_told(right)) | {regime_of(**market)}, nearest_turn(market)
    offered = {name for ticker, _ in reading.names for name in names(ticker)}
    for _, text in prose(told):
        plain = _without_stocks(text)
        if bool(_HANGUL.search(plain)) != (reading.language == "ko"):
            yield "language", f"a text is not in the question's language: {text[:50]}"
        strange = [number for number in _NUMBER.findall(without_names(plain)) if number not in known]
        if strange:
            yield "grounded", f"{strange[0]} stands neither in the question nor in the rules: {text[:60]}"
        yield from _regime_problems(text, regimes, turn, reading.language)
        yield from _name_problems(text, offered)


def _known(right: dict[str, Any], reading: Reading) -> set[str]:
    """Every number that a text may quote, as it is printed."""
    language, numbers = reading.language, known_numbers(reading.facts)
    values = [printed(name, value, language) for name, value in {**reading.facts.numbers, **numbers}.items()]
    values += [printed(name, value, language) for line in reading.facts.stocks for name, value in line.numbers.items()]
    values += [_distance(name, numbers[name] - limit) for name, limit in THRESHOLDS]
    for regime in set(regimes_told(right)) or {regime_of(**numbers)}:
        band = EXPOSURES[regime]
        values += [str(end) for span in (band.long_gross, band.index_short, band.net) for end in span]
    values += list(_integers(right))
    if "shock" in reading.facts.words:
        after = shocked(numbers, reading.facts.words["shock"], reading.facts.numbers["shock_pct"])
        values += [printed(name, value, language) for name, value in after.items()]
    found = {number for value in values for number in _NUMBER.findall(value)}
    return found | {number.removeprefix("+") for number in found} | _LIMITS


def _distance(name: str, value: float) -> str:
    return f"{abs(value):.{MARKET[name].decimals}f}"


def _integers(right: Any) -> Iterator[str]:
    """The decision's integers as prose writes them, and what follows from two of them."""
    if isinstance(right, dict):
        for key, value in right.items():
            scaled = key.endswith(("_x100", "_bp")) and isinstance(value, int)
            yield from ([f"{value / 100:.2f}"] if scaled else _integers(value))
        if "day_1" in right:
            first, second = (right[day]["net_exposure_pct"] for day in ("day_1", "day_2"))
            yield str(abs(second - first))
    elif isinstance(right, list):
        for entry in right:
            yield from _integers(entry)
        added = [entry["weight_pct"] for entry in right if isinstance(entry, dict) and entry.get("action") == "ADD"]
        yield str(sum(added))
    elif isinstance(right, int):
        yield str(right)


def _regime_problems(text: str, regimes: set[str], turn: Turn | None, language: Language) -> Iterator[tuple[str, str]]:
    """A regime named in a text is the decision's, or the one beyond the nearest limit of the rule."""
    claims = grounds_claimed(text, language)
    if claims and not claims & regimes:
        yield "argued", f"a text argues for {', '.join(sorted(claims))}: {text[:60]}"
    for sentence in _SENTENCE.split(text):
        said = set(_REGIMES.findall(sentence))
        turning = turn and f"{turn.limit:g}%" in sentence and MARKET[turn.name].of(language) in sentence
        if turning and said and said != {turn.regime}:
            yield "argued", f"beyond {turn.limit:g}% lies {turn.regime}: {sentence[:60]}"
        elif not turning and said - regimes:
            yield "argued", f"{', '.join(sorted(said - regimes))} is not what the numbers say: {sentence[:60]}"


def _name_problems(text: str, offered: set[str]) -> Iterator[tuple[str, str]]:
    """Stocks named in a text are the question's."""
    strange = [name for name in _names_pattern().findall(text) if name not in offered]
    if strange:
        yield "names", f"{strange[0]} is not in the question: {text[:60]}"


@cache
def _names_pattern() -> re.Pattern[str]:
    """Names of three letters or more, longest first; shorter ones are words of the language as well."""
    known = {name for stock in stocks() for name in (stock.name_ko, stock.name_en)} | {fund.name_ko for fund in etfs()}
    return re.compile("|".join(re.escape(name) for name in sorted(known, key=len, reverse=True) if len(name) > 2))


def _without_stocks(text: str) -> str:
    """The text without stock and fund names: these keep their language."""
    return _names_pattern().sub(" ", text)
