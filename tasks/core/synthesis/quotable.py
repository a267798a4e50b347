"""The numbers that an answer's texts may quote, as they are printed: those of the question, the
limits of the rules, and the decision with what follows from it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tasks.core.kinds.lexicon import MARKET, printed
from tasks.core.kinds.texts import regimes_in
from tasks.core.records.facts import Language
from tasks.core.strategy.borders import Turn
from tasks.core.strategy.deciding import Decision
from tasks.core.strategy.rules import (
    EXPOSURES,
    GAP_PCT,
    HIGH_VIX,
    LARGE_US_MOVE_PCT,
    MAX_LEVERAGE,
    MAX_LONG_WEIGHT_PCT,
    MODERATE_SCORE,
    OVERNIGHT_PCT,
    OVERNIGHT_STEP_PCT,
    REDUCE_PCT,
    RISK_LEVELS,
    STOP_LOSS_PCT,
    STRONG_SCORE,
    TAKE_PROFIT_PCT,
    VOLUME_RATIO,
    WON_MOVE_PCT,
    Exposure,
    rule_of,
    shocked,
)
from tasks.core.strategy.stated import known_numbers, stated_regime
from tasks.core.strategy.universe import names
from tasks.core.synthesis.reading import Reading

NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:%|x(?![a-z]))?")
"""A number as texts print it, with its sign and its unit."""

_RULES = {
    1: (-2, 30, -5),
    2: (-1.5, 25),
    3: (1, 65, 3),
    4: (35, 50),
    5: (50,),
    6: (-1, 1),  # a loss is also called 1%
}
"""What the argument for each rule of strategy.rule_of may quote as its limits, in %."""

_RISK_LIMITS = [f"{limit:g}%" for limit, _ in RISK_LEVELS[:-1]]
_OVERNIGHT = [f"{size}%" for size in OVERNIGHT_PCT]
_OVERNIGHT_STEP = (str(OVERNIGHT_STEP_PCT), f"{OVERNIGHT_STEP_PCT}%")
_LIMITS = {
    "us_return_pct": (f"{LARGE_US_MOVE_PCT:g}%", *_OVERNIGHT_STEP, *_OVERNIGHT),
    "vix": (f"{HIGH_VIX:g}",),
    "usdkrw_change_pct": (f"{WON_MOVE_PCT:g}%", f"-{WON_MOVE_PCT:g}%"),
    "drawdown_pct": ("100", f"{MAX_LEVERAGE:g}", *_RISK_LIMITS),
    "gap_pct": (f"{GAP_PCT:g}%",),
    "volume_x": (f"{VOLUME_RATIO:g}x",),
    "pnl_pct": (f"{STOP_LOSS_PCT:g}%", f"{REDUCE_PCT:g}%", f"{TAKE_PROFIT_PCT:g}%"),
    "weight_pct": (f"{MAX_LONG_WEIGHT_PCT}%",),
}
"""The limits of the rules as texts quote them, by the number that they limit."""

_OPENING_SCORES = {str(MODERATE_SCORE), str(STRONG_SCORE)}
"""The scores from which an opening gap counts."""


def of_every_text(decision: Decision, reading: Reading) -> set[str]:
    """Returns what every text may quote: the context with its limits, and the bands of the regimes
    that the decision names.
    """
    facts = reading.facts
    context = {name: value for name, value in facts.numbers.items() if name not in MARKET}
    quotable = _tokens(_printed(context, reading.language)) | _limits_of(facts.numbers)
    regimes = set(regimes_in(decision)) or {stated_regime(facts)}
    for regime in regimes:
        quotable |= _BAND_ENDS[regime]
    return quotable


def of_market(decision: Decision, reading: Reading, turn: Turn | None) -> set[str]:
    """Returns what a text on the whole may quote as well: the market, the limits of its rule and
    the decision.
    """
    language = reading.language
    numbers = known_numbers(reading.facts)
    values = _printed(numbers, language)
    if turn:
        decimals = MARKET[turn.name].decimals
        distance = f"{abs(numbers[turn.name] - turn.limit):.{decimals}f}"
        # English says 0.14 points.
        values += [f"{turn.limit:g}%", f"{distance}%", distance]
    values += _integers(decision)
    if "drawdown_pct" in reading.facts.numbers:
        values.append(f"{reading.facts.numbers['drawdown_pct']:.1f}")  # as in 100/45.3
    if "shock" in reading.facts.words:
        after = shocked(numbers, reading.facts.words["shock"], reading.facts.numbers["shock_pct"])
        values += _printed(after, language)
    quotable = _tokens(values)
    rule, _ = rule_of(**numbers)
    quotable.update(f"{limit:g}%" for limit in _RULES[rule])
    if "opening_analysis" in decision:
        quotable |= _OPENING_SCORES
    return quotable


def of_stock(entry: dict[str, Any], reading: Reading) -> set[str]:
    """Returns what a text on one stock may quote as well: its numbers, their limits and its
    decision.

    `entry` is what the answer says of the stock.
    """
    values = []
    limits: set[str] = set()
    for stock in reading.facts.stocks:
        if stock.ticker == entry.get("ticker"):
            values = _printed(stock.numbers, reading.language)
            limits = _limits_of(stock.numbers)
            break
    return _tokens([*values, *_integers(entry)]) | limits


def by_name(text: str, on_the_whole: set[str], reading: Reading) -> set[str]:
    """Returns what a text may quote beside its own matter because it says of what it speaks.

    By a label of the market it may quote all that a text on the whole may; by a stock's name, that
    stock's numbers.
    """
    quotable: set[str] = set()
    if any(label.of(reading.language) in text for label in MARKET.values()):
        quotable |= on_the_whole
    for stock in reading.facts.stocks:
        if any(name in text for name in names(stock.ticker)):
            quotable |= _tokens(_printed(stock.numbers, reading.language))
    return quotable


def _printed(numbers: Mapping[str, float], language: Language) -> list[str]:
    return [printed(name, value, language) for name, value in numbers.items()]


def _limits_of(numbers: Iterable[str]) -> set[str]:
    limits: set[str] = set()
    for name in numbers:
        limits.update(_LIMITS.get(name, ()))
    return limits


def _tokens(values: Iterable[str]) -> set[str]:
    """Returns the numbers of printed values. A plus may be left out, and times (x) be a word."""
    tokens: set[str] = set()
    for number in NUMBER.findall(" ".join(values)):
        plain = number.removeprefix("+")
        tokens.update((number, plain, plain.removesuffix("x")))
    return tokens


def _ends_of(band: Exposure) -> set[str]:
    ends = {str(band.net[0]), str(band.long_gross[0])}  # as in 40~70% and "40 to 70%"
    for span in (band.long_gross, band.index_short, band.net):
        ends.update(f"{end}%" for end in span)
    return ends


_BAND_ENDS = {regime: _ends_of(band) for regime, band in EXPOSURES.items()}


def _integers(decision: Any) -> Iterator[str]:
    """Yields the decision's integers as prose writes them, and what follows from two of them."""
    if isinstance(decision, dict):
        for key, value in decision.items():
            if isinstance(value, int):
                yield _written(key, value)
            else:
                yield from _integers(value)
        if "day_1" in decision:
            first = decision["day_1"]["net_exposure_pct"]
            second = decision["day_2"]["net_exposure_pct"]
            yield from (f"{abs(second - first)}%", str(abs(second - first)))
    elif isinstance(decision, list):
        yield from _sum_of_added(decision)


def _sum_of_added(entries: list[Any]) -> Iterator[str]:
    """Yields the sum of the weights that a list adds, if any. A list's other integers belong to its
    stocks, and a text on the whole does not quote them.
    """
    added = []
    for entry in entries:
        if isinstance(entry, dict) and entry.get("action") == "ADD":
            added.append(entry["weight_pct"])
    if added:
        yield f"{sum(added)}%"


def _written(key: str, value: int) -> str:
    if key.endswith("_bp"):
        return f"{value / 100:.2f}%"
    if key.endswith("_x100"):
        return f"{value / 100:.2f}x"  # _tokens knows it without the x as well
    if key.endswith("_pct"):
        return f"{value}%"
    return str(value)
