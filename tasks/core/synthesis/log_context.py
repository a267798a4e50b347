"""What a reasoning log was told of the market: the numbers and words that our questions print
themselves, and the rest, which they quote.

A context is an object, or a text as people write it. Percentages are in %.
"""

import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tasks.core.kinds.lexicon import CONTEXT, MARKET
from tasks.core.kinds.texts import sentences_in
from tasks.core.strategy.rules import REGIMES
from tasks.core.synthesis.log_faults import Unsound
from tasks.core.synthesis.reading import read_question

_CONTEXTS = ("market_context", "context", "prompt")
"""Where a log has its context, in its metadata or beside it: the first that is there counts."""

_GROUPS = ("market", "index", "kospi", "macro", "indicators", "snapshot")
"""Objects in a context that hold more of the market's numbers, and not a stock's."""

_REGIMES = {
    "current_regime": ("regime", "current_regime", "market_regime", "regime_assessment"),
    "previous_regime": ("previous_regime",),
}
"""Under which names a log gives a regime, by the words of Facts."""

_PLAUSIBLE = {
    "return_pct": (-30.0, 30.0),
    "breadth_pct": (0.0, 100.0),
    "momentum_pct": (-100.0, 100.0),
    "volatility_pct": (0.0, 300.0),
}
"""Between which values each of the market's numbers lies, in %: 2,650 is no return."""


@dataclass
class Context:
    """What a log was told, taken apart."""

    numbers: dict[str, float] = field(default_factory=dict)  # by their names in kinds.lexicon
    words: dict[str, str] = field(default_factory=dict)
    quoted: list[str] = field(default_factory=list)  # lines of what is left


def context_of(log: dict[str, Any], metadata: dict[str, Any]) -> Context:
    """Returns the log's context, its numbers rounded as they are printed.

    Raises Unsound if a number cannot be what its name says.
    """
    found = Context()
    told = _told(metadata, log)
    if isinstance(told, dict):
        _take_named(found, told, rest=True)
    else:
        _take_text(found, told if isinstance(told, str) else _as_text(told))
    _take_named(found, metadata, rest=False)
    _take_named(found, log, rest=False)
    return found


def _told(*places: dict[str, Any]) -> Any:
    """Returns the first context that is not empty, else an empty text."""
    for name in _CONTEXTS:
        for place in places:
            if place.get(name):
                return place[name]
    return ""


def _take_named(found: Context, named: dict[str, Any], rest: bool) -> None:
    """Takes what an object holds under names that we know; the rest is quoted if that is wanted."""
    for key, value in named.items():
        number = _number(key, value)
        word = _regime_word(key, value)
        if rest and isinstance(value, dict) and key.lower() in _GROUPS:
            _take_named(found, {name: value[name] for name in value if name not in _GROUPS}, rest)
        elif number:
            found.numbers.setdefault(number[0], number[1])
        elif word:
            found.words.setdefault(word, _as_regime(value))
        elif rest and value not in (None, "", [], {}):
            found.quoted += f"{key}: {_as_text(value)}".splitlines()


def _take_text(found: Context, text: str) -> None:
    """Takes what a text says under names that we know, and quotes the sentences that say more."""
    reading = read_question(text)
    for name, value in reading.facts.numbers.items():
        _refuse_implausible(name, value)
        found.numbers.setdefault(name, value)
    for word in _REGIMES:
        if word in reading.facts.words:
            found.words.setdefault(word, reading.facts.words[word])
    for line in text.splitlines():
        more = [sentence for sentence in sentences_in(line) if _says_more(sentence)]
        if more:
            found.quoted.append(" ".join(more))


def _says_more(sentence: str) -> bool:
    reading = read_question(sentence)
    return bool(reading.unread or re.search(r"[^\W\d_]", reading.wording))


def _number(key: str, value: Any) -> tuple[str, float] | None:
    """Returns the lexicon's name and the value of a number that we know, else None."""
    plain = _normal(key)
    name = _names().get(plain)
    size = _size(value)
    if name is None or size is None:
        return None
    in_pct = plain.endswith("pct") or (isinstance(value, str) and "%" in value)
    if name in MARKET and not in_pct:
        if plain in _LEVELS:
            return None
        _refuse_fraction(key, name, size)
    _refuse_implausible(name, size)
    label = MARKET.get(name) or CONTEXT[name]
    return name, round(size, label.decimals) + 0.0


def _refuse_fraction(key: str, name: str, size: float) -> None:
    """Raises Unsound if a number without a unit looks like 0.42 for 42 %, or -0.0123 for -1.23 %:
    nothing tells which it is.
    """
    is_share = name in _SHARES and 0 < size < 1
    if is_share or (abs(size) < _SMALL and size != round(size, 2)):
        raise Unsound("numbers", f"{key} {size:g} has no unit: name it {name} if it is in %")


_SHARES = ("breadth_pct", "volatility_pct")
_SMALL = 0.3


def _refuse_implausible(name: str, value: float) -> None:
    low, high = _PLAUSIBLE.get(name, (-1e9, 1e9))
    if not low <= value <= high:
        raise Unsound("numbers", f"{name} {value:g} is not from {low:g} to {high:g}")


_SIZE = re.compile(r"\s*[+-]?\d[\d,]*(?:\.\d+)?\s*%?\s*")
_LEVELS = ("kospi", "코스피", "지수", "코스피지수", "index", "theindex", "market")
"""Names of an index, under which an object may as well give its level."""


def _size(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and _SIZE.fullmatch(value):
        return float(value.strip(" \t%").replace(",", ""))
    return None


@cache
def _names() -> dict[str, str]:
    """Returns the lexicon's name by every name of it, without signs and spaces."""
    names: dict[str, str] = {}
    for name, label in {**CONTEXT, **MARKET}.items():
        names[_normal(name)] = name
        if label.unit == "won":  # under another name nothing tells the unit
            continue
        also = _ALSO.get(name, ())
        for called in (name.removesuffix("_pct"), *label.names("ko"), *label.names("en"), *also):
            names[_normal(called)] = name
            if label.unit == "%":
                names[f"{_normal(called)}pct"] = name
    return names


_ALSO = {
    "return_pct": ("kospi_change", "index_change", "market_change", "daily_return"),
    "breadth_pct": ("advancing_pct", "advance_ratio"),
    "momentum_pct": ("momentum_10d", "return_10d"),
    "volatility_pct": ("realized_vol", "volatility_annualized"),
}
"""Names that programs have for the market's numbers, beside those of the lexicon."""


def _normal(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _regime_word(key: str, value: Any) -> str | None:
    if not isinstance(value, str) or _as_regime(value) not in REGIMES:
        return None
    return next((word for word, keys in _REGIMES.items() if key.lower() in keys), None)


def _as_regime(value: str) -> str:
    return re.sub(r"[\s-]+", "_", value.strip()).upper()


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
