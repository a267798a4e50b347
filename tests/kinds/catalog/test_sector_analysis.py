"""sector_analysis: whom an event moves, and the trade in the stocks that are listed."""

import pytest

from tasks.core.kinds.catalog import sector_analysis
from tasks.core.records.facts import StockFacts
from tasks.core.strategy.events import event_named, events
from tasks.core.strategy.universe import get_stock, stocks
from tests.kinds.given import DAYS, facts_of, parts_after
from tests.synthetic import scene_on


def decided(event, regime, *tickers):
    offered = [StockFacts(ticker, {"beta": get_stock(ticker).beta}) for ticker in tickers]
    return sector_analysis.decide(facts_of(regime, offered, {"event": event}))


GLOVIS, MANDO, S_OIL, SAMSUNG, KB = "086280", "204320", "010950", "005930", "105560"


@pytest.mark.parametrize(
    ("event", "regime", "listed", "action"),
    [
        ("opec_cut", "MILD_BULL", (S_OIL, MANDO), "ADD"),
        ("opec_cut", "WEAKENING", (S_OIL, MANDO), "ADD"),
        ("opec_cut", "BEAR", (S_OIL, MANDO), "HOLD"),
        ("opec_cut", "MILD_BULL", (GLOVIS, MANDO), "REDUCE"),  # it was added to once
        ("opec_cut", "BEAR", (GLOVIS, S_OIL), "REDUCE"),
        ("opec_cut", "MILD_BULL", (GLOVIS, S_OIL), "ADD_AND_REDUCE"),
        ("oil_glut", "STRONG_BULL", (GLOVIS, MANDO), "ADD"),  # bad news, and only winners listed
        ("memory_glut", "STRONG_BULL", (SAMSUNG, KB), "REDUCE"),
        ("memory_glut", "STRONG_BULL", (MANDO, KB), "HOLD"),
    ],
)
def test_the_trade_is_in_the_stocks_that_are_listed(event, regime, listed, action):
    decision = decided(event, regime, *listed)
    assert decision["action"] == action
    assert decision["direction"] == event_named(event).direction


@pytest.mark.parametrize(
    ("event", "ticker", "impact"),
    [
        ("china_game_licences", "018260", None),  # Samsung SDS makes no games
        ("china_game_licences", "112040", "POSITIVE"),
        ("grain_spike", "097950", "NEGATIVE"),  # CJ CheilJedang buys grain
        ("grain_spike", "033780", None),  # tobacco
        ("ceasefire", "013580", None),  # Kyeryong builds at home
        ("us_drug_price_cut", "003220", None),  # Daewon sells at home
        ("power_tariff_freeze", "036460", None),  # gas, not power
        ("china_group_tours", "011200", None),  # HMM carries no tourists
    ],
)
def test_an_event_moves_a_stock_by_its_own_business(event, ticker, impact):
    assert event_named(event).impact_on(get_stock(ticker)) == impact


def test_every_event_moves_some_stock_and_says_why_of_each():
    for event in events():
        moved = [stock for stock in stocks() if event.impact_on(stock)]
        assert moved, event.name
        for sector in {stock.sector for stock in moved} | {event.primary_sector}:
            for language in ("ko", "en"):
                assert sector_analysis._channel(event.name, sector, language).why


def test_the_working_goes_stock_by_stock():
    assert decided("opec_cut", "MILD_BULL", GLOVIS, MANDO, S_OIL)["working"][1:] == [
        "opec_cut: Refining POSITIVE",
        "086280 Transport: NEGATIVE",
        "204320 Autos: none",
        "010950 Refining: POSITIVE",
        "winners 1, losers 1; MILD_BULL longs: ADD_AND_REDUCE",
    ]
    assert decided("opec_cut", "BEAR", S_OIL)["working"][-1] == (
        "winners 1, losers 0; BEAR no longs: HOLD"
    )


def test_a_stock_that_nobody_knows_is_not_moved():
    facts = facts_of("MILD_BULL", [StockFacts("999999", {"beta": 1.0})], {"event": "opec_cut"})
    decision = sector_analysis.decide(facts)
    assert decision["affected_stocks"] == [] and decision["action"] == "HOLD"
    assert "999999 unknown: none" in decision["working"]


def test_a_loser_left_out_or_argued_as_a_winner_is_seen():
    scene = scene_on(sector_analysis, DAYS["MILD_BULL"], event="memory_glut")

    def left_out(answer):
        answer["affected_stocks"].pop()

    def argued(answer):
        answer["affected_stocks"][0]["reason"] = "Profits soar on a beta of 1.05, a clear winner."

    assert "book" in parts_after(sector_analysis, scene, left_out)
    assert parts_after(sector_analysis, scene, argued) == {"argued"}
