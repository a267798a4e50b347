"""stop_loss_management: every limit of the review, and no long kept in a bear market."""

from random import Random

import pytest

from tasks.core.kinds.catalog import stop_loss_management
from tasks.core.records.facts import StockFacts
from tasks.core.strategy.rules import REGIMES
from tasks.core.strategy.universe import stocks
from tests.kinds.given import DAYS, answered, facts_of, outsider, parts_after
from tests.synthetic import scene_on

PNLS = (-8.0, -7.9, -3.0, -2.9, 14.9, 15.0)


def held(*pnls):
    positions = zip(stocks(), pnls, strict=False)
    return [StockFacts(stock.ticker, {"pnl_pct": pnl}) for stock, pnl in positions]


@pytest.mark.parametrize("regime", REGIMES)
def test_each_position_has_the_action_of_the_first_limit_that_holds(regime):
    decision = stop_loss_management.decide(facts_of(regime, held(*PNLS)))
    small = {"WEAKENING": "REDUCE", "SHORT_TERM_STRESS": "REDUCE", "BEAR": "EXIT"}
    rest = "EXIT" if regime == "BEAR" else "HOLD"
    loss = small.get(regime, "HOLD")
    actions = [entry["action"] for entry in decision["position_review"]]
    assert actions == ["STOP_LOSS", loss, loss, rest, rest, "TAKE_PROFIT"]
    assert [line.split()[0] for line in decision["working"][2:]] == [
        stock.ticker for stock in held(*PNLS)
    ]


def test_the_working_says_where_each_result_lies_and_how_near_its_next_limit_is():
    bull = stop_loss_management.decide(facts_of("MILD_BULL", held(-8.1, -7.9, 14.9)))["working"]
    assert bull[1:] == [
        "MILD_BULL not weak: limits -8, 15",
        "005930 -8.1: <=-8 STOP_LOSS",
        "000660 -7.9: -8 to -3, not weak: HOLD, 0.1 from -8",
        "042700 +14.9: -3 to 15 HOLD, 0.1 from 15",
    ]
    weak = stop_loss_management.decide(facts_of("WEAKENING", held(-3.0, -2.5)))["working"]
    assert weak[1:] == [
        "WEAKENING weak: limits -8, -3, 15",
        "005930 -3.0: -8 to -3, weak: REDUCE",
        "000660 -2.5: -3 to 15 HOLD, 0.5 from -3",
    ]
    bear = stop_loss_management.decide(facts_of("BEAR", held(4.0)))["working"]
    assert bear[1:] == [
        "BEAR: no longs; limits -8, 15",
        "005930 +4.0: -3 to 15, BEAR: EXIT",
    ]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_position_near_its_stop_is_watched_and_not_called_fine(language):
    """A loss of 7.9 % was "no problem" once."""
    scene = scene_on(stop_loss_management, DAYS["MILD_BULL"], language)
    for stock in scene.facts.stocks:
        stock.numbers["pnl_pct"] = -7.9
    for seed in range(20):
        reasons = stop_loss_management.answer(scene, Random(seed))["position_review"]
        for entry in reasons:
            assert entry["action"] == "HOLD"
            assert "손절" in entry["reason"] or "stop" in entry["reason"], entry["reason"]


def test_a_review_of_a_stock_that_is_not_held_is_made_up():
    scene = scene_on(stop_loss_management, DAYS["WEAKENING"])
    stock = outsider(scene)

    def swap(answer):
        answer["position_review"][0] |= {"ticker": stock.ticker, "name": stock.name_en}

    assert "tickers" in parts_after(stop_loss_management, scene, swap)


def test_a_position_left_out_or_judged_wrongly_is_seen():
    scene = scene_on(stop_loss_management, DAYS["WEAKENING"])

    def left_out(answer):
        del answer["position_review"][-1]

    def wrong(answer):
        answer["position_review"][0]["action"] = "STOP_LOSS"

    assert parts_after(stop_loss_management, scene, left_out) == {"book"}
    assert "actions" in parts_after(stop_loss_management, scene, wrong)


def test_a_reason_that_holds_what_the_action_cuts_is_seen():
    scene = scene_on(stop_loss_management, DAYS["WEAKENING"])

    def contradict(answer):
        answer["position_review"][0]["reason"] = (
            "No problem at -3.5%, the position is kept as it is."
        )

    assert answered(stop_loss_management, scene)["position_review"][0]["action"] == "REDUCE"
    assert parts_after(stop_loss_management, scene, contradict) == {"argued"}
