"""The strategy's rules at their edges: every limit once on it and once beside it."""

import pytest

from tasks.core.strategy.rules import (
    EXPOSURES,
    MAX_LONG_WEIGHT_PCT,
    NUMBERS,
    REGIMES,
    SHOCKS,
    Allocation,
    allocation_for,
    long_weights,
    max_leverage_x100,
    regime_of,
    risk_level,
    shocked,
    stop_action,
    won_direction,
)


@pytest.mark.parametrize(
    ("numbers", "regime"),
    [
        ((-2.01, 29.9, -5.01, 20), "BEAR"),
        ((-2.0, 29.9, -5.01, 20), "SHORT_TERM_STRESS"),
        ((-2.01, 30.0, -5.01, 20), "SHORT_TERM_STRESS"),
        ((-2.01, 29.9, -5.0, 20), "SHORT_TERM_STRESS"),
        ((-2.01, 29.9, -5.01, 40), "BEAR"),
        ((-1.51, 40, 0, 25.01), "SHORT_TERM_STRESS"),
        ((-1.51, 40, 0, 25.0), "WEAKENING"),
        ((-1.5, 40, 0, 30), "WEAKENING"),
        ((1.01, 65.1, 3.01, 15), "STRONG_BULL"),
        ((1.0, 65.1, 3.01, 15), "MILD_BULL"),
        ((1.01, 65.0, 3.01, 15), "MILD_BULL"),
        ((1.01, 65.1, 3.0, 15), "MILD_BULL"),
        ((-0.01, 35.0, 0, 15), "WEAKENING"),
        ((-1.2, 50.0, 0, 15), "WEAKENING"),
        ((-1.2, 34.9, 0, 15), "SHORT_TERM_STRESS"),
        ((-1.0, 34.9, 0, 15), "WEAKENING"),
        ((-1.01, 50.1, 0, 15), "SHORT_TERM_STRESS"),
        ((-0.5, 60.0, 0, 15), "WEAKENING"),
        ((0.01, 50.1, 0, 15), "MILD_BULL"),
        ((0.0, 50.0, 0, 15), "MILD_BULL"),
        ((0.5, 40.0, 0, 15), "MILD_BULL"),
    ],
)
def test_regime(numbers, regime):
    assert regime_of(*numbers) == regime


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("breadth", [0, 12.5, 37.3, 50, 66.6, 99.9, 100])
def test_exposure_is_inside_every_band(regime, breadth):
    band = EXPOSURES[regime]
    allocation = allocation_for(regime, breadth, 20.0)
    assert band.long_gross[0] <= allocation.long_gross <= band.long_gross[1]
    assert band.index_short[0] <= allocation.index_short <= band.index_short[1]
    assert band.net[0] <= allocation.net <= band.net[1]


@pytest.mark.parametrize("regime", REGIMES)
def test_the_breadths_ends_are_the_bands_ends(regime):
    band = EXPOSURES[regime]
    lowest, highest = allocation_for(regime, 0, 20.0), allocation_for(regime, 100, 20.0)
    assert lowest == Allocation(band.long_gross[0], band.index_short[1])
    assert highest == Allocation(band.long_gross[1], band.index_short[0])
    assert allocation_for(regime, -3, 20.0) == lowest
    assert allocation_for(regime, 120, 20.0) == highest
    assert allocation_for(regime, 100, 40.0) == highest
    assert allocation_for(regime, 100, 40.01) == lowest  # a wild market is traded with care


@pytest.mark.parametrize(
    ("gross", "weights"), [(0, []), (18, [18]), (19, [10, 9]), (60, [15] * 4), (108, [18] * 6)]
)
def test_weights_are_even_and_sum_to_the_gross(gross, weights):
    assert long_weights(gross) == weights


def test_weights_of_every_gross_sum_to_it_and_keep_the_limit():
    for gross in range(131):
        weights = long_weights(gross)
        assert sum(weights) == gross and all(
            0 < weight <= MAX_LONG_WEIGHT_PCT for weight in weights
        )


@pytest.mark.parametrize(
    ("pnl", "regime", "action"),
    [
        (-8.0, "MILD_BULL", "STOP_LOSS"),
        (-7.9, "MILD_BULL", "HOLD"),
        (-7.9, "WEAKENING", "REDUCE"),
        (-8.0, "BEAR", "STOP_LOSS"),
        (-7.9, "BEAR", "EXIT"),
        (14.9, "BEAR", "EXIT"),
        (15.0, "BEAR", "TAKE_PROFIT"),
        (-3.0, "SHORT_TERM_STRESS", "REDUCE"),
        (-2.9, "SHORT_TERM_STRESS", "HOLD"),
        (-3.0, "STRONG_BULL", "HOLD"),
        (15.0, "SHORT_TERM_STRESS", "TAKE_PROFIT"),
        (14.9, "SHORT_TERM_STRESS", "HOLD"),
    ],
)
def test_stop(pnl, regime, action):
    assert stop_action(pnl, regime) == action


@pytest.mark.parametrize(
    ("drawdown", "most"),
    [
        (0.0, 200),
        (49.9, 200),
        (50.0, 200),
        (50.1, 199),
        (62.5, 160),
        (30.0, 200),
        (99.9, 100),
        (100.0, 100),
    ],
)
def test_leverage_is_at_most_two_or_a_hundred_over_the_drawdown(drawdown, most):
    assert max_leverage_x100(drawdown) == most


@pytest.mark.parametrize(
    ("drawdown", "level"),
    [
        (0.0, "LOW"),
        (9.9, "LOW"),
        (10.0, "ELEVATED"),
        (19.9, "ELEVATED"),
        (20.0, "HIGH"),
        (34.9, "HIGH"),
        (35.0, "CRITICAL"),
        (90.0, "CRITICAL"),
    ],
)
def test_risk_level(drawdown, level):
    assert risk_level(drawdown) == level


@pytest.mark.parametrize(
    ("change", "direction"),
    [
        (0.5, "WON_WEAK"),
        (0.49, "NEUTRAL"),
        (0.0, "NEUTRAL"),
        (-0.49, "NEUTRAL"),
        (-0.5, "WON_STRONG"),
    ],
)
def test_a_dollar_that_rises_is_a_weak_won(change, direction):
    assert won_direction(change) == direction


def test_a_shock_moves_each_number_by_its_sensitivity_and_breadth_stays_a_share():
    calm = dict(zip(NUMBERS, (0.4, 55.0, 1.0, 14.0), strict=True))
    assert shocked(calm, "index_drop", 3.0) == dict(
        zip(NUMBERS, (-2.6, 37.0, -2.0, 20.0), strict=True)
    )
    assert shocked(calm, "index_drop", 9.9)["breadth_pct"] == 0.0
    assert shocked(calm, "index_rally", 8.0)["breadth_pct"] == 100.0
    assert regime_of(**shocked(calm, "index_drop", 7.0)) == "BEAR"
    assert len(SHOCKS) == 7 and all(shocked(calm, shock, 0.0) == calm for shock in SHOCKS)
