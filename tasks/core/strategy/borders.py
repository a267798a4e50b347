"""How near a day is to another regime: its confidence, and the limit that it would cross first."""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.core.strategy.rules import THRESHOLDS, regime_of

_SMALL_MOVE = {"return_pct": 0.4, "breadth_pct": 4.0, "momentum_pct": 1.0, "volatility_pct": 3.0}
"""How far each number moves, in points, to see whether the regime would be another one."""

_NEAR = {"return_pct": 1.0, "breadth_pct": 10.0, "momentum_pct": 2.0, "volatility_pct": 5.0}
"""The distance of each number from a limit, in points, that counts as equally near."""

_JUST_BEYOND = 0.1  # points beyond a limit, to see which regime lies there


def confidence_pct(
    return_pct: float, breadth_pct: float, momentum_pct: float, volatility_pct: float
) -> int:
    """Returns how far the day is from another regime, in %.

    That is 50, and 5 more for each of eight small moves that would not change the regime: each of
    the four numbers up, and each of them down.
    """
    numbers = {
        "return_pct": return_pct,
        "breadth_pct": breadth_pct,
        "momentum_pct": momentum_pct,
        "volatility_pct": volatility_pct,
    }
    regime = regime_of(**numbers)
    confidence = 50
    for name, size in _SMALL_MOVE.items():
        for move in (-size, size):
            moved = {**numbers, name: numbers[name] + move}
            if regime_of(**moved) == regime:
                confidence += 5
    return confidence


@dataclass(frozen=True)
class Turn:
    """A limit that changes the regime if one number crosses it."""

    name: str
    limit: float
    falls: bool  # the number crosses it downwards
    regime: str  # the regime beyond


def nearest_turn(numbers: Mapping[str, float]) -> Turn | None:
    """Returns the turn of the number that is nearest to its limit, or None if there is no turn.

    A number that stands on its limit can cross it either way.
    """

    def distance(threshold: tuple[str, float]) -> float:
        name, limit = threshold
        return abs(numbers[name] - limit) / _NEAR[name]

    regime = regime_of(**numbers)
    for name, limit in sorted(THRESHOLDS, key=distance):
        if numbers[name] >= limit:
            beyond = regime_of(**{**numbers, name: limit - _JUST_BEYOND})
            if beyond != regime:
                return Turn(name, limit, falls=True, regime=beyond)
        if numbers[name] <= limit:
            beyond = regime_of(**{**numbers, name: limit + _JUST_BEYOND})
            if beyond != regime:
                return Turn(name, limit, falls=False, regime=beyond)
    return None
