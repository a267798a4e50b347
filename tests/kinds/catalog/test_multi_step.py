"""multi_step: regime, portfolio and risk, each of which rests on the one before."""

import json
from random import Random

import pytest

from tasks.core.kinds.catalog import multi_step
from tasks.core.kinds.texts import to_text
from tasks.core.strategy.deciding import settled
from tests.kinds.given import DAYS, each_regime, facts_of, parts_after, stocks_of
from tests.synthetic import LANGUAGES, scene_on


@each_regime
def test_the_steps_follow_from_one_another(regime):
    decision = settled(multi_step.decide(facts_of(regime, stocks_of(5), drawdown_pct=62.5)))
    book, risk = decision["step_2_portfolio"], decision["step_3_risk"]
    assert decision["step_1_regime"]["regime"] == regime
    assert book["long_gross_pct"] - book["index_short_pct"] == book["net_exposure_pct"]
    assert len(book["core_longs"]) == (0 if regime == "BEAR" else 3)
    assert risk == {"max_leverage_x100": 160, "stop_loss_pct": -8, "take_profit_pct": 15}


@pytest.mark.parametrize(
    ("drawdown", "line", "most"),
    [
        (11.7, "MDD 11.7<=50: ceiling 2.00", 200),
        (50.0, "MDD 50.0<=50: ceiling 2.00", 200),
        (62.3, "ceiling 100/62.3=1.60", 160),
        (0.0, "no MDD: ceiling 2.00", 200),
    ],
)
def test_the_ceiling_is_divided_in_the_working(drawdown, line, most):
    decision = multi_step.decide(facts_of("WEAKENING", stocks_of(3), drawdown_pct=drawdown))
    assert decision["working"][-1] == line
    assert decision["step_3_risk"]["max_leverage_x100"] == most


def test_a_wild_market_gets_the_least_long_of_its_band_and_no_high_confidence():
    """2020-03-25: 6.23 % up at a volatility of 95.99 % was told to hold 95 %, with confidence."""
    facts = facts_of(
        "MILD_BULL",
        stocks_of(4),
        drawdown_pct=11.7,
        return_pct=6.23,
        breadth_pct=96.2,
        momentum_pct=-7.85,
        volatility_pct=95.99,
    )
    decision = settled(multi_step.decide(facts))
    assert decision["step_1_regime"] == {"regime": "MILD_BULL", "confidence_pct": 70}
    assert decision["step_2_portfolio"]["net_exposure_pct"] == 80
    assert decision["working"][2] == (
        "volatility above 40: least long 80; most short 0; net 80-0=80"
    )


@pytest.mark.parametrize("language", LANGUAGES)
@each_regime
def test_each_step_reasons_before_it_decides(regime, language):
    scene = scene_on(multi_step, DAYS[regime], language)
    told = json.loads(to_text(multi_step.answer(scene, Random(3))))
    for step in ("step_1_regime", "step_2_portfolio", "step_3_risk"):
        assert next(iter(told[step])) == "reasoning"


def test_a_ceiling_that_ignores_the_drawdown_and_a_sum_outside_the_band_fail():
    scene = scene_on(multi_step, DAYS["WEAKENING"], drawdown_pct=60.0)

    def borrow(answer):
        answer["step_3_risk"]["max_leverage_x100"] = 200

    def unhedge(answer):
        portfolio = answer["step_2_portfolio"]
        portfolio["index_short_pct"] = 5
        portfolio["net_exposure_pct"] = portfolio["long_gross_pct"] - 5

    assert "exposure" in parts_after(multi_step, scene, borrow)
    assert "exposure" in parts_after(multi_step, scene, unhedge)


def test_a_ceiling_with_the_digits_of_the_return_is_the_ceiling():
    """1.90x beside a return of -1.90 % is no return that lost its sign."""
    scene = scene_on(multi_step, (-1.9, 20.0, -1.0, 18.0), drawdown_pct=52.6)
    for seed in range(30):
        told = multi_step.answer(scene, Random(seed))
        assert multi_step.grade(scene, to_text(told)).score == 1, told["step_3_risk"]


def test_the_card_is_ascii_and_states_the_constants():
    assert multi_step.card.isascii()
    assert "100 / drawdown %" in multi_step.card and "target 15" in multi_step.card
