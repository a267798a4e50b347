"""The strategy's rules at their edges: every limit once on it and once beside it."""

import pytest

from tasks.core.kinds.korean import with_particle
from tasks.core.strategy import (
    EXPOSURES,
    REGIMES,
    book_for,
    confidence_pct,
    exposure_for,
    long_weights,
    regime_of,
    stop_action,
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
    long_gross, index_short, net = exposure_for(regime, breadth)
    assert band.long_gross[0] <= long_gross <= band.long_gross[1]
    assert band.index_short[0] <= index_short <= band.index_short[1]
    assert band.net[0] <= net <= band.net[1]


@pytest.mark.parametrize("regime", REGIMES)
def test_six_stocks_carry_a_book_of_every_regime(regime):
    for breadth in range(101):
        long_gross, index_short, net = book_for(regime, breadth, stocks=6)
        band = EXPOSURES[regime]
        assert band.long_gross[0] <= long_gross <= min(band.long_gross[1], 108)
        assert band.net[0] <= net == long_gross - index_short <= band.net[1]


@pytest.mark.parametrize(("gross", "weights"), [(0, []), (18, [18]), (19, [10, 9]), (60, [15] * 4), (108, [18] * 6)])
def test_weights_are_even_and_sum_to_the_gross(gross, weights):
    assert long_weights(gross) == weights


@pytest.mark.parametrize(
    ("pnl", "regime", "action"),
    [
        (-8.0, "MILD_BULL", "STOP_LOSS"),
        (-7.9, "MILD_BULL", "HOLD"),
        (-7.9, "WEAKENING", "REDUCE"),
        (-3.0, "BEAR", "REDUCE"),
        (-2.9, "BEAR", "HOLD"),
        (-3.0, "STRONG_BULL", "HOLD"),
        (15.0, "SHORT_TERM_STRESS", "TAKE_PROFIT"),
        (14.9, "SHORT_TERM_STRESS", "HOLD"),
    ],
)
def test_stop(pnl, regime, action):
    assert stop_action(pnl, regime) == action


def test_confidence_falls_near_a_border():
    assert confidence_pct(0.7, 58, 0, 15) == 90
    assert confidence_pct(-1.55, 40, 0, 25.5) <= 80


@pytest.mark.parametrize(
    ("word", "pair", "said"),
    [
        ("삼성전자", "은/는", "삼성전자는"),
        ("한국전력", "은/는", "한국전력은"),
        ("기아", "이/가", "기아가"),
        ("POSCO홀딩스", "을/를", "POSCO홀딩스를"),
        ("SK텔레콤", "이/가", "SK텔레콤이"),
        ("LG", "은/는", "LG는"),
        ("KB금융", "과/와", "KB금융과"),
        ("2.31%", "으로/로", "2.31%로"),
        ("50", "을/를", "50을"),
        ("1.2", "은/는", "1.2는"),
        ("7", "으로/로", "7로"),
        ("10", "으로/로", "10으로"),
        ("WEAKENING", "으로/로", "WEAKENING으로"),
        ("MILD_BULL", "으로/로", "MILD_BULL로"),
        ("BEAR", "으로/로", "BEAR로"),
    ],
)
def test_particles_follow_the_sound(word, pair, said):
    assert with_particle(word, pair) == said
