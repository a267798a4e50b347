"""risk_management: level, ceiling, and the action of regime and leverage."""

import pytest

from tasks.core.kinds.catalog import risk_management
from tests.kinds.given import DAYS, facts_of, parts_after
from tests.synthetic import scene_on


def decided(regime, drawdown, leverage):
    return risk_management.decide(facts_of(regime, drawdown_pct=drawdown, leverage_x=leverage))


@pytest.mark.parametrize(
    ("drawdown", "leverage", "regime", "action"),
    [
        (62.5, 1.6, "STRONG_BULL", "MAINTAIN"),  # exactly 100 / 62.5
        (62.5, 1.61, "STRONG_BULL", "DELEVERAGE"),
        (62.6, 1.6, "MILD_BULL", "DELEVERAGE"),
        (20.0, 2.0, "MILD_BULL", "MAINTAIN"),
        (20.0, 2.01, "MILD_BULL", "DELEVERAGE"),
        (20.0, 2.0, "WEAKENING", "HEDGE"),
        (20.0, 2.01, "SHORT_TERM_STRESS", "DELEVERAGE"),
        (20.0, 1.0, "BEAR", "EXIT_LONGS"),  # a hedge alone kept the longs once
        (20.0, 2.01, "BEAR", "EXIT_LONGS"),
    ],
)
def test_a_bear_market_comes_first_and_the_ceiling_second(drawdown, leverage, regime, action):
    decision = decided(regime, drawdown, leverage)
    assert decision["action"] == action
    assert decision["risk_assessment"]["leverage_x100"] == round(100 * leverage)


def test_the_working_shows_level_ceiling_and_action():
    assert decided("WEAKENING", 43.0, 1.16)["working"][1:] == [
        "MDD 43.0: 35 or more: CRITICAL",
        "MDD 43.0<=50: ceiling 2.00",
        "leverage 1.16<=2.00, gap 2.00-1.16=0.84; WEAKENING weak: HEDGE",
    ]
    assert decided("MILD_BULL", 62.5, 1.61)["working"][2:] == [
        "ceiling 100/62.5=1.60",
        "leverage 1.61>1.60, gap 1.61-1.60=0.01; MILD_BULL: DELEVERAGE",
    ]
    assert decided("BEAR", 9.9, 0.5)["working"][1] == "MDD 9.9: below 10: LOW"
    assert decided("BEAR", 0.0, 0.5)["working"][2] == "no MDD: ceiling 2.00"


def test_a_card_that_states_every_level_makes_a_neighbouring_one_wrong():
    scene = scene_on(risk_management, DAYS["WEAKENING"], drawdown_pct=43.0, leverage_x=1.16)

    def lower(answer):
        answer["risk_assessment"]["level"] = "HIGH"

    assert parts_after(risk_management, scene, lower) == {"actions"}
    for level in ("LOW <10", "ELEVATED <20", "HIGH <35", "CRITICAL"):
        assert level in risk_management.card


def test_a_hedge_in_a_bear_market_is_not_enough():
    scene = scene_on(risk_management, DAYS["BEAR"], drawdown_pct=30.7, leverage_x=1.24)

    def hedge(answer):
        answer["action"] = "HEDGE"

    assert "actions" in parts_after(risk_management, scene, hedge)
