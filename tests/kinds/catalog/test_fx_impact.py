"""fx_impact: the won's direction, and how it reaches each business."""

from random import Random

import pytest

from tasks.core.kinds.catalog import fx_impact
from tasks.core.records.facts import StockFacts
from tasks.core.strategy.universe import find_stock, stocks
from tests.kinds.given import DAYS, facts_of, parts_after
from tests.synthetic import scene_on

ALL = tuple(StockFacts(stock.ticker) for stock in stocks())
ABROAD = {stock.ticker for stock in stocks() if stock.business in ("exporter", "overseas")}
AT_HOME = {stock.ticker for stock in stocks()} - ABROAD


def decided(change, regime="MILD_BULL", offered=ALL):
    return fx_impact.decide(facts_of(regime, offered, usdkrw=1300.0, usdkrw_change_pct=change))


@pytest.mark.parametrize(
    ("change", "direction", "action", "gaining", "losing"),
    [
        (0.5, "WON_WEAK", "TILT_TO_EXPORTERS", ABROAD, AT_HOME),
        (-0.5, "WON_STRONG", "TILT_TO_DOMESTIC", AT_HOME, ABROAD),
        (0.49, "NEUTRAL", "KEEP", set(), set()),
    ],
)
def test_the_won_divides_earners_abroad_from_all_others(change, direction, action, gaining, losing):
    decision = decided(change)
    assert decision["fx_analysis"]["direction"] == direction
    assert decision["portfolio_action"] == action
    assert {entry["ticker"] for entry in decision["beneficiaries"]} == gaining
    assert {entry["ticker"] for entry in decision["negatively_affected"]} == losing


def test_a_bear_market_holds_no_longs_to_tilt():
    assert decided(1.3, "BEAR")["portfolio_action"] == "KEEP"
    assert decided(1.3, "BEAR")["working"][-1] == "WON_WEAK, BEAR: KEEP"


@pytest.mark.parametrize(
    ("ticker", "business"),
    [
        ("005380", "exporter"),
        ("271560", "overseas"),  # Orion earns yuan, dong and roubles
        ("097950", "importer"),  # CJ CheilJedang buys grain
        ("003490", "dollar_debt"),
        ("105560", "domestic"),
    ],
)
def test_the_working_names_each_business(ticker, business):
    assert find_stock(ticker).business == business
    working = decided(0.8, offered=[StockFacts(ticker)])["working"]
    gains = "gains" if ticker in ABROAD else "loses"
    assert working[1:] == [
        "USD/KRW +0.80 >=0.5: WON_WEAK",
        f"{ticker} {business}: {gains}",
        "WON_WEAK, MILD_BULL: TILT_TO_EXPORTERS",
    ]


def test_a_stock_whose_business_is_unknown_is_in_neither_list():
    decision = decided(0.8, offered=[StockFacts("999999")])
    assert decision["beneficiaries"] == decision["negatively_affected"] == []
    assert "999999 unknown: none" in decision["working"]


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("change", [0.8, -0.8])
def test_every_stock_has_a_reason_that_is_true_of_its_business(change, language):
    """An importer never earns dollars, and no reason is said of two stocks in the same words."""
    for at in range(0, len(ALL), 6):
        scene = scene_on(
            fx_impact, DAYS["MILD_BULL"], language, usdkrw=1300.0, usdkrw_change_pct=change
        )
        object.__setattr__(scene.facts, "stocks", ALL[at : at + 6])
        answer = fx_impact.answer(scene, Random(at))
        reasons = [
            entry["reason"] for entry in answer["beneficiaries"] + answer["negatively_affected"]
        ]
        assert len(set(reasons)) == len(ALL[at : at + 6])
        assert not [reason for reason in reasons if "{" in reason]


def test_a_winner_among_the_losers_is_a_wrong_decision_and_a_strange_name_made_up():
    scene = scene_on(fx_impact, DAYS["MILD_BULL"], usdkrw=1300.0, usdkrw_change_pct=0.9)

    def moved(answer):
        answer["negatively_affected"].append(answer["beneficiaries"].pop(0))

    def renamed(answer):
        answer["beneficiaries"][0]["name"] = "Hanbit Test"

    assert "actions" in parts_after(fx_impact, scene, moved)
    assert parts_after(fx_impact, scene, renamed) == {"tickers"}


def test_a_gain_from_a_weak_won_that_is_argued_as_a_loss_is_seen():
    scene = scene_on(fx_impact, DAYS["MILD_BULL"], usdkrw=1300.0, usdkrw_change_pct=0.9)

    def loses(answer):
        answer["beneficiaries"][0]["reason"] = (
            "Its profit shrinks a lot on a USD/KRW move of +0.90%."
        )

    assert parts_after(fx_impact, scene, loses) == {"argued"}
