"""What a question states of the market, as the strategy's rule sees it."""

from collections.abc import Mapping

from tasks.core.records.facts import Facts
from tasks.core.strategy.rules import NUMBERS, regime_of

USUAL_BREADTH = (46.0, 15.0)
USUAL_MOMENTUM = (0.0, 2.0)
USUAL_VOLATILITY = (15.0, 3.0)
"""What a missing number is on days with such a return: the value of a day without a change, and
what each point (%) of the return adds; to the volatility each point of its size.

Medians of 1,468 days of 2020 to 2025 (198 KRX names, weighted by the caps of the day before); the
momentum's slope is steeper than theirs, so that large moves reach the rare regimes. Of these days
93 % keep their regime when numbers are missing, and none that fell 2 % or more becomes a bull's.
"""
USUAL_RETURN = (0.2, 0.05)
"""What a missing return is: that of a breadth of 50 %, and what each point of breadth adds, from
the same days.
"""
USUAL_BREADTHS = (2.0, 98.0)
"""The least and the most that a missing breadth is taken for."""


_ALL_FOUR = frozenset(NUMBERS)


def known_numbers(facts: Facts) -> dict[str, float]:
    """Returns the market's four numbers as the rule sees them, in %: missing ones are as they
    usually are on days with such a return, rounded as they are printed.
    """
    stated = facts.numbers
    if stated.keys() >= _ALL_FOUR:  # as of most questions
        return {name: stated[name] for name in NUMBERS}
    market_return = stated.get("return_pct")
    if market_return is None:
        market_return = _usual_return(stated)
    usual = {
        "return_pct": market_return,
        "breadth_pct": _usual_breadth(market_return),
        "momentum_pct": round(USUAL_MOMENTUM[0] + USUAL_MOMENTUM[1] * market_return, 2) + 0.0,
        "volatility_pct": round(USUAL_VOLATILITY[0] + USUAL_VOLATILITY[1] * abs(market_return), 2),
    }
    return {name: stated.get(name, usual[name]) for name in NUMBERS}


def _usual_return(stated: Mapping[str, float]) -> float:
    """Returns the return in % of days with such a breadth, and 0 if that is missing too."""
    if "breadth_pct" not in stated:
        return 0.0
    even, each_point = USUAL_RETURN
    return round(even + each_point * (stated["breadth_pct"] - 50), 2) + 0.0


def _usual_breadth(return_pct: float) -> float:
    fewest, most = USUAL_BREADTHS
    none, each_point = USUAL_BREADTH
    return round(min(max(none + each_point * return_pct, fewest), most), 1)


def usual_sum(name: str, facts: Facts) -> str:
    """Returns how a missing number follows from what is stated, a step at a time as one sums it up
    by heart: 3*2.30=6.90, 15+6.90=21.90; empty if nothing that is stated tells of it.

    The breadth takes ten times the return and then the rest: 46-23.00=23.00, 23.00-11.50=11.50.
    """
    if name == "return_pct":
        if "breadth_pct" not in facts.numbers:
            return ""
        none, each_point = USUAL_RETURN
        breadth = facts.numbers["breadth_pct"]
        below = f"{breadth - 50:.1f}"
        return f"{breadth:.1f}-50={below}, {_sum(none, each_point, below, breadth - 50)}"
    market_return = known_numbers(facts)["return_pct"]
    if name == "volatility_pct":
        size = abs(market_return)
        return _sum(*USUAL_VOLATILITY, f"{size:.2f}", size)
    if name == "breadth_pct":
        none, each_point = USUAL_BREADTH
        tens, rest = 10 * market_return, (each_point - 10) * market_return
        by_tens = none + tens
        return f"{none:g}{tens:+.2f}={by_tens:.2f}, {by_tens:.2f}{rest:+.2f}={by_tens + rest:.2f}"
    return _sum(*USUAL_MOMENTUM, f"{market_return:.2f}", market_return)


def _sum(none: float, each_point: float, shown: str, points: float) -> str:
    product = f"{each_point * points:.2f}"
    step = f"{each_point:g}*{shown}={product}"
    if not none:
        return step
    return f"{step}, {none:g}{each_point * points:+.2f}={none + each_point * points:.2f}"


def stated_regime(facts: Facts) -> str:
    """Returns the regime that the question gives, else the rule's of the numbers that it states."""
    return facts.words.get("current_regime") or regime_of(**known_numbers(facts))


def missing_numbers(facts: Facts) -> list[str]:
    """Returns which of the market's four numbers the question does not state."""
    if facts.numbers.keys() >= _ALL_FOUR:
        return []
    return [name for name in NUMBERS if name not in facts.numbers]
