"""How near a day is to another regime: its confidence, and the limit that it would cross first."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from tasks.core.strategy.rules import NUMBERS, THRESHOLDS, WILD_VOLATILITY_PCT, regime_of

NEAR = {"return_pct": 1.0, "breadth_pct": 10.0, "momentum_pct": 2.0, "volatility_pct": 5.0}
"""The distance of each number from a limit, in points, that counts as equally near."""

_JUST_BEYOND = 0.1  # points beyond a limit, to see which regime lies there


@dataclass(frozen=True)
class Turn:
    """A limit that changes the regime if one number crosses it."""

    name: str
    limit: float
    falls: bool  # the number crosses it downwards
    regime: str  # the regime beyond

    @property
    def value_beyond(self) -> float:
        """A value of the number that lies just beyond the limit."""
        return self.limit - _JUST_BEYOND if self.falls else self.limit + _JUST_BEYOND

    def distance(self, numbers: Mapping[str, float]) -> float:
        """How far the number is from the limit, in points."""
        return abs(numbers[self.name] - self.limit)

    def nearness(self, numbers: Mapping[str, float]) -> float:
        """The distance in units of NEAR: 0 at the limit, 1 as far as counts."""
        return self.distance(numbers) / NEAR[self.name]


def nearest_turn(numbers: Mapping[str, float]) -> Turn | None:
    """Returns the turn of the number that is nearest to its limit, or None if there is no turn."""
    return min(turns(numbers), key=lambda turn: turn.nearness(numbers), default=None)


def turns(numbers: Mapping[str, float]) -> tuple[Turn, ...]:
    """Returns the nearest turn of each of the market's numbers that has one, in their order.

    A number that stands on its limit can cross it either way.
    """
    return _turns(**numbers)


@lru_cache(maxsize=1024)
def _turns(**numbers: float) -> tuple[Turn, ...]:
    """Is turns. A row's are asked for seven times while it is made and proven, which took a
    fiftieth of the time of both.
    """
    found = (_turn_of(name, numbers) for name in NUMBERS)
    return tuple(turn for turn in found if turn)


def _turn_of(name: str, numbers: Mapping[str, float]) -> Turn | None:
    """The nearest limit at which this number alone changes the regime."""
    regime = regime_of(**numbers)
    limits = [limit for of, limit in THRESHOLDS if of == name]
    for limit in sorted(limits, key=lambda limit: abs(numbers[name] - limit)):
        if numbers[name] >= limit:
            beyond = regime_of(**{**numbers, name: limit - _JUST_BEYOND})
            if beyond != regime:
                return Turn(name, limit, falls=True, regime=beyond)
        if numbers[name] <= limit:
            beyond = regime_of(**{**numbers, name: limit + _JUST_BEYOND})
            if beyond != regime:
                return Turn(name, limit, falls=False, regime=beyond)
    return None


LEAST_CONFIDENCE_PCT, MOST_CONFIDENCE_PCT = 50, 95
CONFIDENCE_STEP_PCT = 5
WILD_CONFIDENCE_PCT = 70
"""No confidence is higher while the volatility is above WILD_VOLATILITY_PCT."""


@lru_cache(maxsize=1024)
def confidence_pct(
    return_pct: float, breadth_pct: float, momentum_pct: float, volatility_pct: float
) -> int:
    """Returns the confidence in %: the least at a limit that changes the regime, the most if the
    nearest such limit is as far as NEAR says or further, and in proportion in between, in steps; at
    most WILD_CONFIDENCE_PCT while the volatility is above WILD_VOLATILITY_PCT.
    """
    numbers = {
        "return_pct": return_pct,
        "breadth_pct": breadth_pct,
        "momentum_pct": momentum_pct,
        "volatility_pct": volatility_pct,
    }
    confidence = in_steps(by_distance(numbers))
    if volatility_pct > WILD_VOLATILITY_PCT:
        return min(confidence, WILD_CONFIDENCE_PCT)
    return confidence


def by_distance(numbers: Mapping[str, float]) -> float:
    """Returns the confidence in % that the distance to the nearest turn alone gives."""
    turn = nearest_turn(numbers)
    nearness = 1.0
    if turn:
        nearness = min(1.0, turn.nearness(numbers))
    return LEAST_CONFIDENCE_PCT + (MOST_CONFIDENCE_PCT - LEAST_CONFIDENCE_PCT) * nearness


def in_steps(confidence: float) -> int:
    """Returns the confidence in steps of CONFIDENCE_STEP_PCT, a half step up."""
    return int(confidence / CONFIDENCE_STEP_PCT + 0.5) * CONFIDENCE_STEP_PCT
