"""A misread profit or loss is a near miss: just across a limit, where the action is another."""

from random import Random

import pytest

from tasks.core.kinds.spoilt.limits import misread
from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.rules import REGIMES, stop_action

PNLS = [tenth / 10 for tenth in range(-140, 220)]


def held(*pnls):
    return Facts({}, tuple(StockFacts(f"{at:06}", {"pnl_pct": pnl}) for at, pnl in enumerate(pnls)))


@pytest.mark.parametrize("regime", REGIMES)
def test_it_has_another_action_than_the_one_it_is_taken_for(regime):
    for pnl in PNLS:
        wrong = misread(held(pnl), regime, Random(1))
        assert stop_action(wrong.read, regime) != stop_action(pnl, regime)


def test_it_is_one_of_the_two_positions_nearest_to_a_limit():
    facts = held(3.0, -7.9, 14.5, 8.0)
    chosen = {misread(facts, "MILD_BULL", Random(seed)).ticker for seed in range(20)}
    assert chosen == {"000001", "000002"}


def test_the_working_shows_the_number_of_the_question():
    wrong = misread(held(-7.9, 1.0), "MILD_BULL", Random(2))
    working = ["000000 -8.1: <=-8 STOP_LOSS", "000001 -8.1: <=-8 STOP_LOSS"]
    assert wrong.ticker == "000000"
    assert wrong.as_printed(working) == ["000000 -7.9: <=-8 STOP_LOSS", working[1]]
    assert wrong.as_read(held(-7.9, 1.0)) == held(-8.1, 1.0)
