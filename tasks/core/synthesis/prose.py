"""Whether an answer's texts are true: every number stands in the question, the rules or the answer,
in these digits.

A number is compared as text, with its sign, digits and unit: -1.80% is the return that the question
prints, 1.8% is not. A reason given for a stock may quote that stock's numbers, not its neighbour's.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from tasks.core.kinds.base import Language
from tasks.core.kinds.grading import PROSE_KEYS, grounds_claimed, regimes_told, without_names
from tasks.core.kinds.lexicon import MARKET, printed
from tasks.core.records.facts import StockFacts
from tasks.core.strategy.decisions import known_numbers
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
    REGIMES,
    RISK_LEVELS,
    STOP_LOSS_PCT,
    STRONG_SCORE,
    TAKE_PROFIT_PCT,
    VOLUME_RATIO,
    WON_MOVE_PCT,
    Exposure,
    Turn,
    nearest_turn,
    regime_of,
    rule_of,
    shocked,
)
from tasks.core.strategy.universe import etfs, names, stocks
from tasks.core.synthesis.reading import Reading

_HANGUL = re.compile("[가-힣]")
_NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:%|x(?![a-z]))?")
_REGIMES = re.compile("|".join(REGIMES))
_RULES = {
    1: (-2, 30, -5), 2: (-1.5, 25), 3: (1, 65, 3), 4: (35, 50), 5: (50,), 6: (-1, 1)
}  # fmt: skip
"""What the argument for each rule of strategy.rule_of may quote as its limits, in %; a loss is also
called 1%.
"""
_LIMITS = {
    "us_return_pct": (f"{LARGE_US_MOVE_PCT:g}%", str(OVERNIGHT_STEP_PCT), f"{OVERNIGHT_STEP_PCT}%",
                      *(f"{size}%" for size in OVERNIGHT_PCT)),
    "vix": (f"{HIGH_VIX:g}",),
    "usdkrw_change_pct": (f"{WON_MOVE_PCT:g}%", f"-{WON_MOVE_PCT:g}%"),
    "drawdown_pct": ("100", f"{MAX_LEVERAGE:g}", *(f"{limit:g}%" for limit, _ in RISK_LEVELS[:-1])),
    "gap_pct": (f"{GAP_PCT:g}%",),
    "volume_x": (f"{VOLUME_RATIO:g}x",),
    "pnl_pct": (f"{STOP_LOSS_PCT:g}%", f"{REDUCE_PCT:g}%", f"{TAKE_PROFIT_PCT:g}%"),
    "weight_pct": (f"{MAX_LONG_WEIGHT_PCT}%",),
}  # fmt: skip
"""The limits of the rules as texts quote them, by the number that they limit."""
_OPENING = {str(MODERATE_SCORE), str(STRONG_SCORE)}
"""The scores from which an opening gap counts."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def prose_problems(
    told: dict[str, Any], right: dict[str, Any], reading: Reading
) -> Iterator[tuple[str, str]]:
    """What is untrue in the answer's texts, as (rule, detail)."""
    market = known_numbers(reading.facts)
    regimes, turn = set(regimes_told(right)) | {regime_of(**market)}, nearest_turn(market)
    offered = {name for ticker, _ in reading.names for name in names(ticker)}
    common = _in_common(right, reading)  # printed once, not for each text
    whole = common | _of_market(right, reading, turn)
    for text, entry in _texts(told):
        plain = _names_pattern().sub(" ", text)  # stocks and funds keep the language of their names
        if bool(_HANGUL.search(plain)) != (reading.language == "ko"):
            yield "language", f"a text is not in the question's language: {text[:50]}"
        known = whole if entry is None else common | _of_stock(entry, reading)
        strange = [
            number for number in _NUMBER.findall(without_names(plain)) if number not in known
        ]
        if strange and (
            strange := [one for one in strange if one not in _called(text, whole, reading)]
        ):
            yield (
                "grounded",
                f"{strange[0]} stands neither in the question nor in the rules: {text[:60]}",
            )
        yield from _regime_problems(text, regimes, turn, reading.language)
        if plain != text:
            yield from _name_problems(text, offered)


def _texts(
    told: Any, entry: dict[str, Any] | None = None
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Every text, with the entry of a list that it is the reason of: it speaks of that stock alone."""
    if isinstance(told, dict):
        for key, value in told.items():
            if isinstance(value, str) and key in PROSE_KEYS:
                yield value, entry
            else:
                yield from _texts(value, entry)
    elif isinstance(told, list):
        for value in told:
            yield from _texts(value, value if isinstance(value, dict) else entry)


def _in_common(right: dict[str, Any], reading: Reading) -> set[str]:
    """What every text may quote: the context with its limits, and the bands of the regimes that the
    decision names.
    """
    facts = reading.facts
    regimes = set(regimes_told(right)) or {regime_of(**known_numbers(facts))}
    context = [
        printed(name, value, reading.language)
        for name, value in facts.numbers.items()
        if name not in MARKET
    ]
    limits = {limit for name in facts.numbers for limit in _LIMITS.get(name, ())}
    return _tokens(context) | limits.union(*(_BAND_ENDS[regime] for regime in regimes))


def _of_market(right: dict[str, Any], reading: Reading, turn: Turn | None) -> set[str]:
    """What a text on the whole may quote beside that: the market, the limits of its rule, the
    decision.
    """
    language, numbers = reading.language, known_numbers(reading.facts)
    values = [printed(name, value, language) for name, value in numbers.items()]
    if turn:
        gap = _distance(turn.name, numbers[turn.name] - turn.limit)
        values += [f"{turn.limit:g}%", gap, gap.rstrip("%")]  # English says 0.14 points
    values += _integers(right)
    if "drawdown_pct" in reading.facts.numbers:
        values.append(f"{reading.facts.numbers['drawdown_pct']:.1f}")  # as in 100/45.3
    if "shock" in reading.facts.words:
        after = shocked(numbers, reading.facts.words["shock"], reading.facts.numbers["shock_pct"])
        values += [printed(name, value, language) for name, value in after.items()]
    limits = {f"{limit:g}%" for limit in _RULES[rule_of(**numbers)[0]]}
    return _tokens(values) | limits | (_OPENING if "opening_analysis" in right else set())


def _of_stock(entry: dict[str, Any], reading: Reading) -> set[str]:
    """What a text on one stock may quote beside that: its numbers, their limits and its decision."""
    own = next(
        (line for line in reading.facts.stocks if line.ticker == entry.get("ticker")),
        StockFacts(""),
    )
    values = [printed(name, value, reading.language) for name, value in own.numbers.items()]
    limits = {limit for name in own.numbers for limit in _LIMITS.get(name, ())}
    return _tokens([*values, *_integers(entry)]) | limits


def _called(text: str, whole: set[str], reading: Reading) -> set[str]:
    """What a text may quote beside its own matter because it says of what it speaks: a market
    label, a stock's name.
    """
    language = reading.language
    known = set(whole) if any(label.of(language) in text for label in MARKET.values()) else set()
    for line in reading.facts.stocks:
        if any(name in text for name in names(line.ticker)):
            known |= _tokens(printed(name, value, language) for name, value in line.numbers.items())
    return known


def _tokens(values: Iterable[str]) -> set[str]:
    """The numbers of printed values; a plus may be left out, and times (x) stand in words."""
    found = _NUMBER.findall(" ".join(values))
    plain = [number.removeprefix("+") for number in found]
    return {*found, *plain, *(number.removesuffix("x") for number in plain)}


def _ends_of(band: Exposure) -> set[str]:
    ends = [f"{end}%" for span in (band.long_gross, band.index_short, band.net) for end in span]
    return {*ends, str(band.net[0]), str(band.long_gross[0])}  # as in 40~70% and "40 to 70%"


_BAND_ENDS = {regime: _ends_of(band) for regime, band in EXPOSURES.items()}


def _distance(name: str, value: float) -> str:
    return f"{abs(value):.{MARKET[name].decimals}f}%"


def _integers(right: Any) -> Iterator[str]:
    """The decision's integers as prose writes them, and what follows from two of them."""
    if isinstance(right, dict):
        for key, value in right.items():
            yield from [_written(key, value)] if isinstance(value, int) else _integers(value)
        if "day_1" in right:
            first, second = (right[day]["net_exposure_pct"] for day in ("day_1", "day_2"))
            yield from (f"{abs(second - first)}%", str(abs(second - first)))
    elif isinstance(right, list):
        # A list's own integers belong to its stocks; what a text on the whole may quote is their
        # sum.
        added = [
            entry["weight_pct"]
            for entry in right
            if isinstance(entry, dict) and entry.get("action") == "ADD"
        ]
        if added:
            yield f"{sum(added)}%"


def _written(key: str, value: int) -> str:
    if key.endswith("_bp"):
        return f"{value / 100:.2f}%"
    if key.endswith("_x100"):
        return f"{value / 100:.2f}x"  # _tokens knows it without the x as well
    return f"{value}%" if key.endswith("_pct") else str(value)


def _regime_problems(
    text: str, regimes: set[str], turn: Turn | None, language: Language
) -> Iterator[tuple[str, str]]:
    """A regime named in a text is the decision's, or the one beyond the nearest limit of the rule."""
    claims = grounds_claimed(text, language)
    if claims and not claims & regimes:
        yield "argued", f"a text argues for {', '.join(sorted(claims))}: {text[:60]}"
    for sentence in _SENTENCE.split(text) if _REGIMES.search(text) else ():
        named = _REGIMES.findall(sentence)
        said = set(named)
        turning = (
            turn and f"{turn.limit:g}%" in sentence and MARKET[turn.name].of(language) in sentence
        )
        if turning and said and said != {turn.regime}:
            yield "argued", f"beyond {turn.limit:g}% lies {turn.regime}: {sentence[:60]}"
        elif not turning and said - regimes:
            yield (
                "argued",
                f"{', '.join(sorted(said - regimes))} is not what the numbers say: {sentence[:60]}",
            )
        if len(named) > len(said):
            yield "argued", f"a sentence names {named[0]} twice: {sentence[:60]}"


def _name_problems(text: str, offered: set[str]) -> Iterator[tuple[str, str]]:
    """Stocks named in a text are the question's."""
    strange = [name for name in _names_pattern().findall(text) if name not in offered]
    if strange:
        yield "names", f"{strange[0]} is not in the question: {text[:60]}"


@cache
def _names_pattern() -> re.Pattern[str]:
    """Names of three letters or more, longest first; shorter ones are words of the language as
    well.
    """
    known = {name for stock in stocks() for name in (stock.name_ko, stock.name_en)} | {
        fund.name_ko for fund in etfs()
    }
    return re.compile(
        "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True) if len(name) > 2)
    )
