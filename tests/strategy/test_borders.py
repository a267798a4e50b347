"""How near a day is to another regime: at the limits, and for every turn that is named."""

from random import Random

import pytest

from tasks.core.strategy.borders import confidence_pct, nearest_turn
from tasks.core.strategy.rules import NUMBERS, regime_of


@pytest.mark.parametrize(
    ("numbers", "confidence"),
    [
        ((0.0, 58, 0, 15), 50),  # at a limit
        ((0.7, 58, 0, 15), 80),  # 50 + 45 * 0.7 = 81.5
        ((-1.55, 40, 0, 25.5), 50),  # the return is 0.05 from -1.5
        ((2.5, 90, 8, 18), 95),  # far from everything
        ((2.5, 90, 8, 41), 70),  # so wild a market allows no more
    ],
)
def test_confidence_is_50_at_a_limit_and_95_far_from_all(numbers, confidence):
    assert confidence_pct(*numbers) == confidence


@pytest.mark.parametrize(
    ("numbers", "name", "limit", "falls", "beyond"),
    [
        ((-2.0, 20.0, -6.0, 20.0), "return_pct", -2.0, True, "BEAR"),
        ((-1.0, 60.0, 0.0, 15.0), "return_pct", -1.0, True, "SHORT_TERM_STRESS"),
        ((0.9, 70.0, 4.0, 15.0), "return_pct", 1.0, False, "STRONG_BULL"),
        ((-1.2, 34.5, 0.0, 15.0), "breadth_pct", 35.0, False, "WEAKENING"),
        ((-1.7, 42.0, 0.0, 24.0), "volatility_pct", 25.0, False, "SHORT_TERM_STRESS"),
    ],
)
def test_the_nearest_turn_names_the_limit_its_side_and_the_regime_beyond(
    numbers, name, limit, falls, beyond
):
    turn = nearest_turn(dict(zip(NUMBERS, numbers, strict=True)))
    assert (turn.name, turn.limit, turn.falls, turn.regime) == (name, limit, falls, beyond)


def test_every_turn_is_true():
    rng = Random(2)
    for _ in range(500):
        numbers = {
            "return_pct": round(rng.uniform(-4, 3), 2),
            "breadth_pct": round(rng.uniform(5, 95), 1),
            "momentum_pct": round(rng.uniform(-10, 8), 2),
            "volatility_pct": round(rng.uniform(8, 40), 2),
        }
        turn = nearest_turn(numbers)
        crossed = {**numbers, turn.name: turn.limit + (-0.05 if turn.falls else 0.05)}
        assert regime_of(**crossed) == turn.regime != regime_of(**numbers)


def test_a_day_far_from_every_limit_still_has_a_turn():
    assert nearest_turn(dict(zip(NUMBERS, (2.5, 80.0, 8.0, 12.0), strict=True))) is not None
