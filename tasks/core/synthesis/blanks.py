"""What the blanks of the published sentences hold, by the question, the rules and the answer.

A blank is called by its name there without the Korean particle that is added to it: {beta_ro} is
`beta`. One that means several things in several kinds may hold any of those that are at hand.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from tasks.core.kinds.lexicon import MARKET
from tasks.core.records.facts import Facts
from tasks.core.strategy import rules
from tasks.core.strategy.borders import Turn, nearest_turn
from tasks.core.strategy.stated import known_numbers, stated_regime
from tasks.core.strategy.universe import find_etf, sectors
from tasks.core.synthesis.marks import Value

Values = dict[str, list[Value]]
"""What each blank may hold, and each number of the question under its own name."""

OF_TURN = "turn_"
"""Begins the names of blanks in sentences on the limit at which the regime would change."""

_STATED = {
    "return_pct": "r",
    "breadth_pct": "b",
    "momentum_pct": "m",
    "volatility_pct": "v",
    "us_return_pct": "us",
    "vix": "vix",
    "usdkrw": "rate",
    "usdkrw_change_pct": "change",
    "drawdown_pct": "drawdown",
    "net_now_pct": "now",
    "leverage_x": "now",
    "shock_pct": "size",
    "pnl_pct": "pnl",
    "weight_pct": "weight",
    "beta": "beta",
    "per": "value",
    "pbr": "value",
    "ev_ebitda": "value",
    "roe_pct": "value",
    "f_score": "value",
}
"""The blank that holds a number of the question, by the number's name."""
_TOLD = {
    "weight_pct": "weight",
    "effective_pct": "effective",
    "target_weight_pct": "target",
    "target_net_exposure_pct": "target",
    "score_points": "score",
    "stop_bp": "stop",
    "long_gross_pct": "long",
    "index_short_pct": "short",
    "net_exposure_pct": "net",
    "recommended_net_exposure_pct": "net",
    "max_leverage_x100": "most",
}
"""The blank that holds a number of the answer, in a reason of its entry, by the number's key."""
_RULES = {
    "stop": rules.STOP_LOSS_PCT,
    "cut": rules.REDUCE_PCT,
    "take": rules.TAKE_PROFIT_PCT,
    "step": rules.OVERNIGHT_STEP_PCT,
    "enough": rules.MODERATE_SCORE,
}
_LIMITS = {
    "us_return_pct": rules.LARGE_US_MOVE_PCT,
    "vix": rules.HIGH_VIX,
    "usdkrw_change_pct": rules.WON_MOVE_PCT,
}
"""Of which numbers {limit} is said, beside a stock's weight."""
_SINGLE = ("limit", "low", "high", "gap", "rest", "first", "fold", "multiple", "total")
_OF_REGIMES = ("regime", "before", "to", "after")
LISTS = ("points", "missed", "core", "known", "assumed")
"""The blanks that list numbers, each beside what it is called."""
_NAMES = ("sector", "name", f"{OF_TURN}label")

PRINTED_ALONE = frozenset((*_STATED.values(), *_TOLD.values(), *_RULES, *_SINGLE, *_OF_REGIMES))
"""The blanks that hold one number or regime, and no words around it."""
AMONG_WORDS = frozenset((*LISTS, *_NAMES))
"""The blanks that hold words, and numbers among them."""


@cache
def values_anywhere() -> Values:
    """Returns what blanks hold in every answer: the rules' numbers, and those in names."""
    held: Values = {blank: [number] for blank, number in _RULES.items()}
    held["sector"] = _numbers_in(sector.name_ko for sector in sectors())
    held["known"] = _numbers_in(label.ko for label in MARKET.values())
    held["assumed"] = held[f"{OF_TURN}label"] = held["known"]
    return held


def _numbers_in(names: Iterable[str]) -> list[Value]:
    return [float(number) for number in re.findall(r"\d+", " ".join(names))]


def values_everywhere(answer: dict[str, Any], facts: Facts) -> Values:
    """Returns what blanks hold in any text of an answer, beside values_anywhere."""
    numbers, regime, after = known_numbers(facts), stated_regime(facts), _after_shock(facts)
    held: Values = defaultdict(list)
    _add_stated(held, {**numbers, **facts.numbers, **after})
    held["limit"] = list(_limits(facts))
    held["-limit"] = [-limit for limit in _limits(facts)]
    held["regime"] = held["to"] = [regime]
    held["before"] = [facts.words.get("previous_regime", regime)]
    if after:
        regime = rules.regime_of(**after)
        held["after"] = [regime]
    low, high = _band(regime, facts)
    held["low"], held["high"] = [low], [high]
    if "net_exposure_pct" not in answer:
        held["net"] = [_taught(regime, numbers)]
    _add_turn(held, numbers)
    _add_plan(held, answer, facts)
    return held


def values_on_the_whole(answer: dict[str, Any], facts: Facts) -> Values:
    """Returns what blanks hold beside that in the texts which are no entry's reason."""
    objects = list(objects_in(answer))
    held = _told(objects)
    held["total"] = [sum(told.get("weight_pct", 0) for told in objects)]
    for stock in facts.stocks:
        _add_stated(held, stock.numbers)
    if facts.numbers.keys() >= {"leverage_x", "drawdown_pct"}:
        held["gap"] = [_room(facts)]
    if "us_return_pct" in facts.numbers:
        held["size"] = _overnight_size(answer["working"])
    return held


def values_of_entry(entry: dict[str, Any], facts: Facts) -> Values:
    """Returns what blanks hold beside that in the reason of an entry about one stock."""
    held = _told([entry])
    held["size"] = [abs(entry.get("effective_pct", 0))]
    for stock in facts.stocks:
        if stock.ticker == entry["ticker"]:
            _add_stated(held, stock.numbers)
            held["gap"] = list(_to_limits(stock.numbers))
    return held


def _add_stated(held: Values, numbers: Mapping[str, float]) -> None:
    """Adds each number under its own name, by which lists call it, and for its blank."""
    for name, number in numbers.items():
        held[name].append(number)
        if name in _STATED:
            held[_STATED[name]].append(number)


# By the question and the rules.


def _limits(facts: Facts) -> Iterator[float]:
    for name, limit in _LIMITS.items():
        if name in facts.numbers:
            yield limit
    yield min(facts.numbers.get("max_weight_pct", 100), rules.MAX_LONG_WEIGHT_PCT)


def _after_shock(facts: Facts) -> dict[str, float]:
    """Returns the market's numbers after a shock, and none if none is to come."""
    shock, size = facts.words.get("shock"), facts.numbers.get("shock_pct")
    if shock is None or size is None:
        return {}
    return rules.shocked(known_numbers(facts), shock, size)


def _band(regime: str, facts: Facts) -> tuple[int, int]:
    """Returns the band that texts name: on leverage that of the hedge, on a book of weights that of
    the longs.
    """
    bands = rules.EXPOSURES[regime]
    if "leverage_x" in facts.numbers:
        return bands.index_short
    if facts.stocks and "weight_pct" in facts.stocks[0].numbers:
        return bands.long_gross
    return bands.net


def _taught(regime: str, numbers: Mapping[str, float]) -> int:
    """Returns the net exposure in % that training teaches for a regime."""
    return rules.allocation_for(regime, numbers["breadth_pct"], numbers["volatility_pct"]).net


@lru_cache(maxsize=1_024)
def turn_of(**numbers: float) -> Turn | None:
    """Returns the limit at which the regime would change first; every text on it asks anew."""
    return nearest_turn(numbers)


def _add_turn(held: Values, numbers: Mapping[str, float]) -> None:
    """Adds the limit at which the regime would change, the way there and the regime beyond."""
    turn = turn_of(**numbers)
    if turn:
        held[f"{OF_TURN}limit"] = [turn.limit]
        held[f"{OF_TURN}gap"] = [round(turn.distance(numbers), 2)]
        held[f"{OF_TURN}regime"] = [turn.regime]


# By the answer.

_SUM_OF_STEPS = re.compile(r"\+\d+\+\d+=(\d+)$")
"""How the line of the working ends that adds up an overnight position."""


def _overnight_size(working: list[str]) -> list[Value]:
    sums = (_SUM_OF_STEPS.search(line) for line in working)
    return [float(found[1]) for found in sums if found]


def _told(objects: Iterable[dict[str, Any]]) -> Values:
    """Returns what an answer's own numbers give to blanks."""
    held: Values = defaultdict(list)
    for told in objects:
        for key, number in told.items():
            if key in _TOLD:
                held[_TOLD[key]].append(number / _MULTIPLIED_BY.get(key, 1))
        fund = find_etf(told["ticker"]) if "effective_pct" in told else None
        if fund:
            held["multiple"].append(fund.multiple)
            held["fold"].append(abs(fund.multiple))
            held["name"] += _numbers_in([fund.name_ko])
    return held


_MULTIPLIED_BY = {"stop_bp": 100, "max_leverage_x100": 100}
"""How many of a key's number make one that texts print."""


def objects_in(value: Any) -> Iterator[dict[str, Any]]:
    """Yields an answer and every object in it, at any depth."""
    if isinstance(value, dict):
        yield value
        value = value.values()
    for content in value:
        if isinstance(content, (dict, list)):
            yield from objects_in(content)


def _add_plan(held: Values, answer: dict[str, Any], facts: Facts) -> None:
    """Adds the steps of a plan of two days, from the present net exposure to the target."""
    if "execution_plan" not in answer:
        return
    now, target = facts.numbers["net_now_pct"], answer["target_net_exposure_pct"]
    first = answer["execution_plan"]["day_1"]["net_exposure_pct"]
    held["first"] = [first]
    held["step"] = [abs(first - now)]
    held["rest"] = [abs(target - first)]
    held["size"] = [abs(target - now)]


def _room(facts: Facts) -> float:
    """Returns how far the leverage is from its ceiling."""
    ceiling = rules.max_leverage_x100(facts.numbers["drawdown_pct"]) / 100
    return round(abs(facts.numbers["leverage_x"] - ceiling), 2)


def _to_limits(stock: Mapping[str, float]) -> Iterator[float]:
    """Yields how far a stock's profit or loss is from each of its limits."""
    if "pnl_pct" in stock:
        for limit in (rules.STOP_LOSS_PCT, rules.REDUCE_PCT, rules.TAKE_PROFIT_PCT):
            yield round(abs(stock["pnl_pct"] - limit), 1)
