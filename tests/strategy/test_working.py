"""The working is right, short, ASCII, and a pure function of the facts."""

from random import Random

import pytest

from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.rules import NUMBERS, THRESHOLDS, regime_of
from tasks.core.strategy.working import (
    confidence_working,
    exposure_working,
    market_working,
    preference_working,
    stop_working,
)


def facts_of(*values: float) -> Facts:
    return Facts(dict(zip(NUMBERS, values, strict=True)))


def test_the_market_line_places_each_number_and_ends_with_the_regime():
    assert market_working(facts_of(-1.45, 7.5, -1.4, 13.13)) == (
        "return -1.45: -1.5 to -1; breadth 7.5: below 30; momentum -1.40: -5 to 3;"
        " volatility 13.13: below 25; rule 6: SHORT_TERM_STRESS"
    )


def test_a_number_at_a_limit_is_said_to_be_there():
    line = market_working(facts_of(0.0, 50.0, 3.0, 25.0))
    assert "return 0.00: at 0;" in line and "breadth 50.0: at 50;" in line
    assert "momentum 3.00: at 3;" in line and "volatility 25.00: at 25;" in line


def test_a_missing_number_is_marked_and_the_confidence_halved():
    facts = Facts({"return_pct": -8.24})
    line = market_working(facts)
    assert "46-82.40=-36.40, -36.40-41.20=-77.60 breadth 2.0 (usual): below 30" in line
    assert "2*-8.24=-16.48 momentum -16.48 (usual)" in line
    assert "3*8.24=24.72, 15+24.72=39.72 volatility 39.72 (usual)" in line and line.endswith(
        "rule 1: BEAR"
    )
    assert confidence_working(facts).endswith("confidence 1 or more: 95; half 47")
    line = market_working(Facts({"breadth_pct": 15.0}))
    assert line.startswith(
        "15.0-50=-35.0, 0.05*-35.0=-1.75, 0.2-1.75=-1.55 return -1.55 (usual): -2 to -1.5;"
    )
    assert market_working(Facts({"momentum_pct": 2.0})).startswith("return 0.00 (usual): at 0;")


def test_the_confidence_is_worked_out_from_the_distance():
    assert confidence_working(facts_of(-1.31, 23.1, -1.4, 18.0)) == (
        "turns: return -1: 1.31-1=0.310, breadth 35: 35-23.1=11.9/10=1.190; return first,"
        " to WEAKENING; confidence 50+45*0.310: 65"
    )
    assert confidence_working(facts_of(1.8, 92.5, 5.4, 45.0)) == (
        "turns: return 1: 1.80-1=0.800, breadth 65: 92.5-65=27.5/10=2.750,"
        " momentum 3: 5.40-3=2.40/2=1.200; return first, to MILD_BULL; confidence 50+45*0.800: 85;"
        " volatility above 40, at most 70: 70"
    )


def test_a_distance_across_zero_adds_both_sizes():
    assert "momentum 3: 0.50+3=3.50/2=1.750" in confidence_working(facts_of(1.8, 80.0, -0.5, 18.0))


@pytest.mark.parametrize(
    ("regime", "line"),
    [
        ("WEAKENING", "betas 1.25 000660, 0.90 005930; lowest first: 0.90 005930"),
        ("STRONG_BULL", "betas 1.25 000660, 0.90 005930; highest first: 1.25 000660"),
        ("MILD_BULL", "betas from 1 0.25 000660, 0.10 005930; nearest first: 0.10 005930"),
    ],
)
def test_all_betas_stand_in_their_order_before_they_are_put_in_the_regimes(regime, line):
    stocks = (StockFacts("000660", {"beta": 1.25}), StockFacts("005930", {"beta": 0.9}))
    assert preference_working(Facts({}, stocks), regime, 1) == line


@pytest.mark.parametrize(
    ("pnl", "regime", "step"),
    [
        (-8.0, "BEAR", "-8.0: <=-8 STOP_LOSS"),
        (-7.9, "BEAR", "-7.9: -8 to -3, BEAR: EXIT"),
        (-7.9, "MILD_BULL", "-7.9: -8 to -3, not weak: HOLD"),
        (-3.0, "WEAKENING", "-3.0: -8 to -3, weak: REDUCE"),
        (-2.9, "WEAKENING", "-2.9: -3 to 15 HOLD"),
        (15.0, "BEAR", "+15.0: >=15 TAKE_PROFIT"),
    ],
)
def test_a_profit_or_loss_is_placed_among_the_limits_of_the_stop_review(pnl, regime, step):
    assert stop_working(pnl, regime) == step


def test_the_exposures_are_points_of_the_bands():
    assert exposure_working("WEAKENING", facts_of(-0.5, 40.0, 0.0, 15.0)) == (
        "long 60+20*40.0%=68; short 20-10*40.0%=16; net 68-16=52"
    )
    assert exposure_working("BEAR", facts_of(-3.0, 10.0, -6.0, 30.0)) == (
        "long 0; short 80-30*10.0%=77; net 0-77=-77"
    )


@pytest.mark.parametrize("seed", range(200))
def test_the_places_alone_decide_the_regime(seed):
    """Two days with the same places have the same regime: a reader needs no other comparison."""
    rng = Random(seed)
    limits = {name: sorted(limit for of, limit in THRESHOLDS if of == name) for name in NUMBERS}
    values = [rng.choice(limits[name]) + rng.choice((-0.4, 0.0, 0.4)) for name in NUMBERS]
    facts = facts_of(*values)
    line = market_working(facts)
    assert line.isascii() and line.endswith(f": {regime_of(*values)}")
