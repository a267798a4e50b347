"""Bootstrap intervals over days: seeded, narrow with many days, and paired to weigh two models."""

from random import Random

import numpy as np

from tasks.core.evaluation.statistics import difference, estimate, percentile


def days(number, each=1):
    return [f"day {index // each}" for index in range(number)]


def width(found):
    return found["high"] - found["low"]


def test_intervals_are_seeded_and_narrow_with_more_days():
    few, many = estimate([0.0, 1.0] * 5, days(10)), estimate([0.0, 1.0] * 500, days(1000))
    assert few == estimate([0.0, 1.0] * 5, days(10))
    assert few["value"] == many["value"] == 0.5
    assert 0.1 < few["low"] < 0.5 < few["high"] < 0.9
    assert width(many) < 0.07  # 2 × 1.96 × sqrt(0.25 / 1000) = 0.062
    assert estimate([None, 1.0, None], days(3))["n"] == 1
    nothing = {"value": None, "low": None, "high": None, "n": 0, "days": 0}
    assert estimate([None], days(1)) == nothing
    assert percentile([], 50) is None


def test_questions_of_one_day_count_as_one():
    """A hundred questions of ten days, all right or all wrong on a day, are ten drawings."""
    values = [float(number // 10 % 2) for number in range(100)]
    apart, together = estimate(values, days(100)), estimate(values, days(100, each=10))
    assert apart["value"] == together["value"] == 0.5
    assert (apart["days"], together["days"], together["n"]) == (100, 10, 100)
    # 2 × 1.96 × sqrt(0.25 / 10) is 0.62, and 0.20 for a hundred
    assert 0.17 < width(apart) < 0.22 and 0.5 < width(together) < 0.65


def test_the_order_of_the_questions_does_not_show():
    values, dates = [0.0, 1.0, 0.5, 1.0], ["d", "c", "b", "a"]
    assert estimate(values, dates) == estimate(values[::-1], dates[::-1])


def test_a_difference_is_of_pairs():
    """Hard and easy questions differ by far more than the two models do."""
    rng = Random(1)
    old = [rng.random() for _ in range(60)]
    new = [grade - 0.01 for grade in old]
    found = difference(old, new, days(60))
    assert (found["value"], found["low"], found["high"]) == (-0.01, -0.01, -0.01)
    assert width(estimate(old, days(60))) > 0.1
    assert difference([None, 1.0], [1.0, 0.5], days(2))["n"] == 1


def test_intervals_hold_what_they_promise():
    """About 95 of 100 intervals cover the true mean when days differ from one another."""
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        of_day = generator.normal(0.5, 0.2, size=60)
        values = np.repeat(of_day, 3) + generator.normal(0, 0.1, size=180)
        found = estimate(list(values), days(180, each=3))
        covered += found["low"] <= 0.5 <= found["high"]
    assert 180 <= covered <= 198
