"""Numbers that nobody gave are as they usually are on such a day."""

import pytest

from tasks.core.records.facts import Facts
from tasks.core.strategy.stated import known_numbers, missing_numbers, stated_regime


@pytest.mark.parametrize(
    ("market_return", "regime"),
    [
        (-8.24, "BEAR"),
        (-5.54, "BEAR"),
        (-2.3, "SHORT_TERM_STRESS"),
        (-0.5, "WEAKENING"),
        (0.5, "MILD_BULL"),
        (2.0, "STRONG_BULL"),
    ],
)
def test_a_return_alone_gives_the_regime_of_such_days(market_return, regime):
    assert stated_regime(Facts({"return_pct": market_return})) == regime


def test_a_breadth_alone_gives_the_return_of_such_days():
    numbers = known_numbers(Facts({"breadth_pct": 20.0}))
    assert numbers["return_pct"] == -1.3 and numbers["breadth_pct"] == 20.0


def test_nothing_at_all_is_a_day_without_a_change():
    facts = Facts({})
    assert known_numbers(facts)["return_pct"] == 0.0
    assert len(missing_numbers(facts)) == 4
