"""Lines that the rule cards of several kinds share, with the constants that they state.

The cards are ASCII and the same in both languages (`kospilot schema KIND --rules`).
"""

from tasks.core.strategy.borders import (
    CONFIDENCE_STEP_PCT,
    LEAST_CONFIDENCE_PCT,
    MOST_CONFIDENCE_PCT,
    NEAR,
    WILD_CONFIDENCE_PCT,
)
from tasks.core.strategy.deciding import PARTIAL_CONFIDENCE_PCT
from tasks.core.strategy.rules import WILD_VOLATILITY_PCT
from tasks.core.strategy.stated import (
    USUAL_BREADTH,
    USUAL_MOMENTUM,
    USUAL_RETURN,
    USUAL_VOLATILITY,
)

_NEAR = ", ".join(f"{name.removesuffix('_pct')} {points:g}" for name, points in NEAR.items())

CONFIDENCE_CARD = f"""\
Confidence: {LEAST_CONFIDENCE_PCT} at a limit that changes the regime, \
+{MOST_CONFIDENCE_PCT - LEAST_CONFIDENCE_PCT} * min(1, distance / near), near = {_NEAR}; to \
{CONFIDENCE_STEP_PCT}; at most {WILD_CONFIDENCE_PCT} while v>{WILD_VOLATILITY_PCT:g}."""

USUAL_CARD = f"""\
Missing numbers as usual on such a day: b = {USUAL_BREADTH[0]:g}+{USUAL_BREADTH[1]:g}r in 2..98, \
m = {USUAL_MOMENTUM[1]:g}r, v = {USUAL_VOLATILITY[0]:g}+{USUAL_VOLATILITY[1]:g}|r|, \
r = {USUAL_RETURN[0]:g}+{USUAL_RETURN[1]:g}(b-50); name them in missing_inputs, halve the \
confidence (<={PARTIAL_CONFIDENCE_PCT}). A regime that is given is taken; confidence \
{PARTIAL_CONFIDENCE_PCT}."""

EXPOSURE_CARD = f"""\
Point in the bands: long = low + width*b%, short = high - width*b%, net = long - short; any point \
in the bands is right. v>{WILD_VOLATILITY_PCT:g}: least long, most short."""
