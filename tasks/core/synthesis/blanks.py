"""What the blanks of the published sentences hold, by the question, the rules and the answer.

A blank is called by its name there without the Korean particle that is added to it: {beta_ro} is
`beta`. One that means several things in several kinds may hold any of those that are at hand.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from tasks.core.kinds.lexicon import MARKET
from tasks.core.records.facts import Facts
from tasks.core.strategy import rules
from tasks.core.strategy.borders import nearest_turn
from tasks.core.strategy.deciding import exposures
from tasks.core.strategy.stated import known_numbers, missing_numbers, stated_regime
from tasks.core.strategy.universe import etfs, find_etf, sectors

Value = float | str
"""A number, or a regime by its code."""
Values = dict[str, set[Value]]
"""What each blank may hold."""

OF_TURN = "turn_"
"""Begins the names of blanks in sentences on the limit at which the regime would change."""

_STATED = {
    "r": ("return_pct",),
    "b": ("breadth_pct",),
    "m": ("momentum_pct",),
    "v": ("volatility_pct",),
    "us": ("us_return_pct",),
    "vix": ("vix",),
    "rate": ("usdkrw",),
    "change": ("usdkrw_change_pct",),
    "drawdown": ("drawdown_pct",),
    "now": ("net_now_pct", "leverage_x"),
    "size": ("shock_pct",),
}
"""The numbers of the market and its context that a blank holds."""
_OF_STOCK = {
    "pnl": ("pnl_pct",),
    "weight": ("weight_pct",),
    "beta": ("beta",),
    "value": ("per", "pbr", "ev_ebitda", "roe_pct", "f_score"),
    "points": ("gap_pct", "volume_x", "f_score"),
    "missed": ("gap_pct", "volume_x", "f_score"),
}
"""The numbers of a stock, in the reason of its entry."""
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
"""The blank that holds a number of the answer, or in a reason of its entry, by the number's key."""
_RULES: dict[str, Value] = {
    "stop": rules.STOP_LOSS_PCT,
    "cut": rules.REDUCE_PCT,
    "take": rules.TAKE_PROFIT_PCT,
    "step": rules.OVERNIGHT_STEP_PCT,
    "enough": rules.MODERATE_SCORE,
}
_LIMITS: dict[str, tuple[float, ...]] = {
    "us_return_pct": (rules.LARGE_US_MOVE_PCT, -rules.LARGE_US_MOVE_PCT),
    "vix": (rules.HIGH_VIX,),
    "usdkrw_change_pct": (rules.WON_MOVE_PCT, -rules.WON_MOVE_PCT),
}
"""Of which numbers {limit} is said, beside a stock's weight."""
_SINGLE = ("limit", "low", "high", "gap", "rest", "first", "fold", "multiple", "total")
_OF_REGIMES = ("regime", "before", "to", "after")
_LISTS = ("points", "missed", "core", "known", "assumed")
_NAMES = ("sector", "name", "label")

PRINTED_ALONE = frozenset(
    (*_STATED, *_OF_STOCK, *_TOLD.values(), *_RULES, *_SINGLE, *_OF_REGIMES)
).difference(_LISTS)
"""The blanks that hold one number or regime, and no words around it."""
AMONG_WORDS = frozenset((*_LISTS, *_NAMES))
"""The blanks that hold words, and numbers among them."""


def values_everywhere(answer: dict[str, Any], facts: Facts) -> Values:
    """Returns what blanks hold in any text of an answer."""
    regime, after = stated_regime(facts), _after_shock(facts)
    numbers = {**known_numbers(facts), **facts.numbers, **after}
    held: Values = defaultdict(set)
    _add(held, _STATED, numbers)
    for blank, constant in _RULES.items():
        held[blank].add(constant)
    held["limit"].update(_limits(facts))
    held["known"].update(facts.numbers.values())
    held["assumed"].update(numbers[name] for name in missing_numbers(facts))
    for blank, in_names in _in_names().items():
        held[blank].update(in_names)
    held["net"].add(exposures(regime, facts).net.value)
    held["regime"] = held["to"] = {regime}
    held["before"] = {facts.words.get("previous_regime", regime)}
    if after:
        regime = rules.regime_of(**after)
        held["after"].add(regime)
    low, high = _band(regime, facts)
    held["low"].add(low)
    held["high"].add(high)
    _add_turn(held, facts)
    _add_plan(held, answer, facts)
    return held


def values_on_the_whole(answer: dict[str, Any], facts: Facts) -> Values:
    """Returns what blanks hold beside that in the texts which are no entry's reason."""
    objects = list(_objects(answer))
    held = _told(objects)
    held["total"].add(sum(told.get("weight_pct", 0) for told in objects))
    held["core"].update(stock.numbers.get("beta", 1.0) for stock in facts.stocks)
    held["gap"].update(_room(facts))
    for sum_of_steps in _SUM_OF_STEPS.findall("\n".join(answer["working"])):
        held["size"].add(float(sum_of_steps))
    return held


def values_of_entry(entry: dict[str, Any], facts: Facts) -> Values:
    """Returns what blanks hold beside that in the reason of an entry about one stock."""
    held = _told([entry])
    held["size"].add(abs(entry.get("effective_pct", 0)))
    for stock in facts.stocks:
        if stock.ticker == entry["ticker"]:
            _add(held, _OF_STOCK, stock.numbers)
            held["gap"].update(_to_limits(stock.numbers))
    return held


def _add(held: Values, blanks: Mapping[str, tuple[str, ...]], numbers: Mapping[str, float]) -> None:
    """Adds those of the numbers that each of the blanks may hold."""
    for blank, names in blanks.items():
        held[blank].update(numbers[name] for name in names if name in numbers)


# By the question and the rules.


def _limits(facts: Facts) -> Iterator[float]:
    for name, limits in _LIMITS.items():
        if name in facts.numbers:
            yield from limits
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


def _add_turn(held: Values, facts: Facts) -> None:
    """Adds the limit at which the regime would change, the way there and the regime beyond."""
    numbers = known_numbers(facts)
    turn = nearest_turn(numbers)
    if turn:
        held[f"{OF_TURN}limit"].add(turn.limit)
        held[f"{OF_TURN}gap"].add(round(turn.distance(numbers), 2))
        held[f"{OF_TURN}regime"].add(turn.regime)


@cache
def _in_names() -> Mapping[str, frozenset[float]]:
    """Returns the numbers in the names that blanks hold."""
    labels = _numbers_in(name for label in MARKET.values() for name in (label.ko, label.en))
    return {
        "name": _numbers_in(fund.name_ko for fund in etfs()),
        "sector": _numbers_in(sector.name_ko for sector in sectors()),
        "known": labels,
        "assumed": labels,
        f"{OF_TURN}label": labels,
    }


def _numbers_in(names: Iterable[str]) -> frozenset[float]:
    return frozenset(map(float, re.findall(r"\d+", " ".join(names))))


# By the answer.

_SUM_OF_STEPS = re.compile(r"\d+\+\d+\+\d+=(\d+)$", re.M)
"""How the line of the working ends that adds up an overnight position."""


def _told(objects: Iterable[dict[str, Any]]) -> Values:
    """Returns what an answer's own numbers give to blanks."""
    held: Values = defaultdict(set)
    for told in objects:
        for key, number in told.items():
            if key in _TOLD:
                held[_TOLD[key]].add(number / _MULTIPLIED_BY.get(key, 1))
        fund = find_etf(told.get("ticker", ""))
        if fund:
            held["multiple"].add(fund.multiple)
            held["fold"].add(abs(fund.multiple))
    return held


_MULTIPLIED_BY = {"stop_bp": 100, "max_leverage_x100": 100}
"""How many of a key's number make one that texts print."""


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yields an answer and every object in it, at any depth."""
    if isinstance(value, dict):
        yield value
        value = value.values()
    for content in value:
        if isinstance(content, dict | list):
            yield from _objects(content)


def _add_plan(held: Values, answer: dict[str, Any], facts: Facts) -> None:
    """Adds the steps of a plan of two days, from the present net exposure to the target."""
    if "execution_plan" not in answer:
        return
    now, target = facts.numbers["net_now_pct"], answer["target_net_exposure_pct"]
    first = answer["execution_plan"]["day_1"]["net_exposure_pct"]
    held["first"].add(first)
    held["step"].add(abs(first - now))
    held["rest"].add(abs(target - first))
    held["size"].add(abs(target - now))


def _room(facts: Facts) -> Iterator[float]:
    """Yields how far the leverage is from its ceiling."""
    if "leverage_x" in facts.numbers:
        ceiling = rules.max_leverage_x100(facts.numbers["drawdown_pct"]) / 100
        yield round(abs(facts.numbers["leverage_x"] - ceiling), 2)


def _to_limits(stock: Mapping[str, float]) -> Iterator[float]:
    """Yields how far a stock's profit or loss is from each of its limits."""
    if "pnl_pct" in stock:
        for limit in (rules.STOP_LOSS_PCT, rules.REDUCE_PCT, rules.TAKE_PROFIT_PCT):
            yield round(abs(stock["pnl_pct"] - limit), 1)
