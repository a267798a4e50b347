"""Whole numbers in given proportions sum to their total."""

from tasks.core.apportionment import largest_remainder


def test_the_largest_remainders_get_what_is_left():
    assert largest_remainder(7, {"a": 0.5, "b": 0.25, "c": 0.25}) == {"a": 3, "b": 2, "c": 2}


def test_no_row_is_lost_to_rounding():
    shares = {"a": 0.4, "b": 0.25, "c": 0.2, "d": 0.1, "e": 0.05}
    assert sum(largest_remainder(200_001, shares).values()) == 200_001
