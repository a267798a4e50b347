"""Bootstrap intervals: seeded, and narrow with many values."""

from tasks.core.evaluation.statistics import estimate, percentile


def test_intervals_are_seeded_and_narrow_with_more_values():
    few, many = estimate([0.0, 1.0] * 5), estimate([0.0, 1.0] * 500)
    assert few == estimate([0.0, 1.0] * 5)
    assert few["value"] == many["value"] == 0.5
    assert 0.1 < few["low"] < 0.5 < few["high"] < 0.9
    assert many["high"] - many["low"] < 0.07  # 2 × 1.96 × sqrt(0.25 / 1000) = 0.062
    assert estimate([None, 1.0, None])["n"] == 1
    assert estimate([None]) == {"value": None, "low": None, "high": None, "n": 0}
    assert percentile([], 50) is None
