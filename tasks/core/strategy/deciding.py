"""What the kinds' decisions are made of: right answers without their prose, and where the strategy
leaves room.

A leaf of a decision is a value, or a Choice if the strategy leaves room: training teaches the
Choice's value, a grader accepts its range. What another decides is Open. The module reads no file.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tasks.core.records.facts import Facts
from tasks.core.strategy.borders import confidence_pct
from tasks.core.strategy.rules import EXPOSURES, allocation_for
from tasks.core.strategy.stated import known_numbers, missing_numbers

Decision = dict[str, Any]
"""What a right answer says, by the answer's keys, without its prose. `working` comes first."""

PARTIAL_CONFIDENCE_PCT = 50
"""The most that a judgement on incomplete numbers may claim, in %."""

CONFIDENCE_ROOM_PCT = 10
"""How far a right answer's confidence may lie from the one that training teaches, in points."""


@dataclass(frozen=True)
class Choice:
    """What training teaches, and what a right answer may say instead.

    Right are the value itself, the integers low..high, and each of `others`.
    """

    value: Any
    low: int = 0
    high: int = -1
    others: tuple[Any, ...] = ()

    def allows(self, reply: Any) -> bool:
        """Whether a reply that says this is right."""
        if reply == self.value or reply in self.others:
            return True
        return isinstance(reply, int) and self.low <= reply <= self.high


@dataclass(frozen=True)
class Open:
    """What the question leaves open: each of the integers low..high is as right as another."""

    low: int
    high: int

    def allows(self, reply: Any) -> bool:
        """Whether a reply that says this is right."""
        return isinstance(reply, int) and self.low <= reply <= self.high


def settled(decision: Any) -> Any:
    """Returns the decision with every Choice made: what training teaches. What is Open stays so."""
    if isinstance(decision, (str, int)):  # as most of it is
        return decision
    if isinstance(decision, dict):
        return {key: settled(value) for key, value in decision.items()}
    if isinstance(decision, list):
        return [settled(value) for value in decision]
    if isinstance(decision, Choice):
        return decision.value
    return decision


# What several kinds decide.


def confidence(facts: Facts) -> Choice:
    """Returns the confidence in %: that of the distance to the next regime, and half of it if a
    number of the market is missing. A regime that is given without numbers gets what is allowed.
    """
    if "current_regime" in facts.words:
        return Choice(PARTIAL_CONFIDENCE_PCT, 0, PARTIAL_CONFIDENCE_PCT)
    full = confidence_pct(**known_numbers(facts))
    if missing_numbers(facts):
        return Choice(full // 2, 0, PARTIAL_CONFIDENCE_PCT)
    return Choice(full, full - CONFIDENCE_ROOM_PCT, full + CONFIDENCE_ROOM_PCT)


def missing_inputs(facts: Facts) -> Decision:
    """Returns the entry of a decision that names the numbers which the question does not state, or
    nothing if it states all.
    """
    missing = missing_numbers(facts)
    return {"missing_inputs": missing} if missing else {}


@dataclass(frozen=True)
class Exposures:
    """Exposures in % of NAV: training teaches one point, and all of the regime's band is right."""

    long_gross: Choice
    index_short: Choice
    net: Choice


def exposures(regime: str, facts: Facts) -> Exposures:
    """Returns the regime's exposures, each taught at the point that the breadth gives it."""
    numbers = known_numbers(facts)
    return _exposures(regime, numbers["breadth_pct"], numbers["volatility_pct"])


@lru_cache(maxsize=1024)
def _exposures(regime: str, breadth_pct: float, volatility_pct: float) -> Exposures:
    bands = EXPOSURES[regime]
    taught = allocation_for(regime, breadth_pct, volatility_pct)
    return Exposures(
        long_gross=Choice(taught.long_gross, *bands.long_gross),
        index_short=Choice(taught.index_short, *bands.index_short),
        net=Choice(taught.net, *bands.net),
    )
