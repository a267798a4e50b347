"""Lines that the rule cards of several kinds share, with the constants that they state.

The cards are ASCII and the same in both languages (`kospilot schema KIND --rules`).
"""

from collections.abc import Callable

from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.borders import (
    CONFIDENCE_STEP_PCT,
    LEAST_CONFIDENCE_PCT,
    MOST_CONFIDENCE_PCT,
    NEAR,
    WILD_CONFIDENCE_PCT,
)
from tasks.core.strategy.deciding import CONFIDENCE_ROOM_PCT, PARTIAL_CONFIDENCE_PCT, Decision
from tasks.core.strategy.rules import (
    NUMBERS,
    REGIMES,
    THRESHOLDS,
    WEAK_REGIMES,
    WILD_VOLATILITY_PCT,
    carries_longs,
)
from tasks.core.strategy.stated import (
    USUAL_BREADTH,
    USUAL_BREADTHS,
    USUAL_MOMENTUM,
    USUAL_RETURN,
    USUAL_VOLATILITY,
)
from tasks.core.strategy.working import confidence_working, market_working

WITHOUT_LONGS = " or ".join(regime for regime in REGIMES if not carries_longs(regime))
"""The regimes that carry no single-stock longs."""
WEAK_WITH_LONGS = " or ".join(regime for regime in WEAK_REGIMES if carries_longs(regime))
"""The weak regimes that carry some."""

PREFERENCE_CARD = f"""\
lowest betas first in {WEAK_WITH_LONGS}, highest first in STRONG_BULL, nearest to 1 first \
in MILD_BULL; none in {WITHOUT_LONGS}"""

_NEAR = ", ".join(f"{name.removesuffix('_pct')} {points:g}" for name, points in NEAR.items())

CONFIDENCE_CARD = f"""\
Confidence: {LEAST_CONFIDENCE_PCT} at a limit that changes the regime, \
+{MOST_CONFIDENCE_PCT - LEAST_CONFIDENCE_PCT} * min(1, distance / near), near = {_NEAR}; to \
{CONFIDENCE_STEP_PCT}; at most {WILD_CONFIDENCE_PCT} while v>{WILD_VOLATILITY_PCT:g}; within \
{CONFIDENCE_ROOM_PCT} of it is right."""

_HURRIED = Facts({"return_pct": -2.3})
_GIVEN = Facts({}, words={"current_regime": "WEAKENING"})

USUAL_CARD = f"""\
Missing numbers as usual on such a day: b = {USUAL_BREADTH[0]:g}+{USUAL_BREADTH[1]:g}r in \
{USUAL_BREADTHS[0]:g}..{USUAL_BREADTHS[1]:g}, \
m = {USUAL_MOMENTUM[1]:g}r, v = {USUAL_VOLATILITY[0]:g}+{USUAL_VOLATILITY[1]:g}|r|, \
r = {USUAL_RETURN[0]:g}+{USUAL_RETURN[1]:g}(b-50); name them in missing_inputs, halve the \
confidence (any <={PARTIAL_CONFIDENCE_PCT} is right), as in
{market_working(_HURRIED)}
{confidence_working(_HURRIED)}
A regime that is given is taken:
{market_working(_GIVEN)}
{confidence_working(_GIVEN)}"""

EXPOSURE_CARD = f"""\
Point in the bands: long = low + width*b%, short = high - width*b%, net = long - short; any point \
in the bands is right. v>{WILD_VOLATILITY_PCT:g}: least long, most short."""


def _limits() -> str:
    """Each number's limits, in order: between which of them it lies is the first line of a
    working.
    """
    parts = []
    for name in NUMBERS:
        values = sorted(limit for limited, limit in THRESHOLDS if limited == name)
        shown = " ".join(f"{value:g}" for value in values)
        parts.append(f"{name.removesuffix('_pct')} {shown}")
    return "; ".join(parts)


_EXAMPLE = Facts(
    {
        "return_pct": -0.6,
        "breadth_pct": 42.0,
        "momentum_pct": -1.2,
        "volatility_pct": 16.0,
        "drawdown_pct": 62.5,
        "leverage_x": 1.8,
        "usdkrw_change_pct": 0.7,
    },
    (
        StockFacts("005930", {"beta": 1.07, "pnl_pct": -8.4, "weight_pct": 20.0}),
        StockFacts("033780", {"beta": 0.31, "pnl_pct": -3.0, "weight_pct": 14.0}),
        StockFacts("017670", {"beta": 0.4, "pnl_pct": 2.1, "weight_pct": 15.0}),
        StockFacts("005380", {"beta": 1.08, "pnl_pct": 15.2, "weight_pct": 10.0}),
        StockFacts("105560", {"beta": 0.98, "pnl_pct": 6.8, "weight_pct": 21.0}),
        StockFacts("097950", {"beta": 0.76, "pnl_pct": -1.3, "weight_pct": 12.0}),
    ),
    {"event": "memory_price_up"},
)
"""A market, six stocks and an event, of which the cards show the working."""


def working_card(decide: Callable[[Facts], Decision]) -> str:
    """Returns how the working of a kind is written, by an example that is worked out here."""
    lines = "\n".join(decide(_EXAMPLE)["working"])
    return f"Limits: {_limits()}; a number is below, above, between two (x to y) or at one.\n\
working, a line each, e.g.:\n{lines}"
