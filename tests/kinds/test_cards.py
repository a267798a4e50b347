"""The rule cards state what decides an answer: whoever has one can work as training teaches."""

import pytest

from tasks.core.kinds import KINDS, kind_named
from tasks.core.strategy.deciding import CONFIDENCE_ROOM_PCT
from tasks.core.strategy.universe import stocks


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_card_shows_how_the_working_is_written(kind):
    assert kind.card.isascii()
    assert "working" in kind.card


@pytest.mark.parametrize("kind", ["full_analysis", "regime_classification", "multi_step"])
def test_a_card_says_how_far_a_confidence_may_lie_from_the_taught_one(kind):
    assert f"within {CONFIDENCE_ROOM_PCT} of it is right" in kind_named(kind).card


def test_the_card_of_events_says_which_sector_a_stock_is_in():
    lines = kind_named("sector_analysis").card.splitlines()
    for stock in stocks():
        (line,) = [line for line in lines if line.startswith(f"{stock.sector}: ")]
        assert stock.ticker in line.split()
